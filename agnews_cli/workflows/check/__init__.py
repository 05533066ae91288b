"""Data looked at before training."""
