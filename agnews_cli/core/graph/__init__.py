"""Runs that need other runs: what is done, what can be done now, and what is planned."""
