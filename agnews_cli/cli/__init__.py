"""The room that talks: commands and the only place that prints."""
