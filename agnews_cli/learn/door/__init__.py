"""The worker's side of the door: what it tells, and the time that it has."""
