"""Files as tables: bytes, encodings and formats below, columns and raw rows above."""
