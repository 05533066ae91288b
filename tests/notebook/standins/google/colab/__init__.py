"""Stands in for what only Colab's kernels have."""
