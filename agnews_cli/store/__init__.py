"""The room that remembers: presets, data sets, runs and the ledger, all on disk."""
