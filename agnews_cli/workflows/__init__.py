"""The room of use cases: each gathers facts from the rooms below and returns a value."""
