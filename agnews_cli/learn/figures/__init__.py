"""Figures of probabilities: how good, how certain, averaged, and which is best."""
