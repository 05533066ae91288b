"""What a report says of finished runs: figures of their answers, and how they came to be."""
