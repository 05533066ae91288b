"""The exact loop, and what it asks at every step."""
