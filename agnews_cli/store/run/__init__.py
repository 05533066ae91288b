"""Runs on disk: their folders, their checkpoints and who may write them."""
