"""Hours on disk: the ledger, the journals that it is rebuilt from, and its copies."""
