"""A model answers over HTTP: one process that listens, and beside it the one that predicts."""
