"""One file that says all of finished runs: what was run, how good it is, how far to trust it."""
