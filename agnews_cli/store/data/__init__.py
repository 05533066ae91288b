"""Labelled text wherever it lies: files as tables, tables as data sets."""
