"""Saving: the manifest, who continues whom, how often to save, and lives on machines that die."""
