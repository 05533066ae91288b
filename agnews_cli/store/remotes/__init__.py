"""Stores that are not the working folder: immutable named objects on some other machine.

`remote` says what every one can do; one file for each kind. What they promise differs, and
docs/stores.md says how.
"""
