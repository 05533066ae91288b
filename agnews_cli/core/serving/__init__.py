"""How much a server takes, from whom, in which order, and whether its answers have shifted."""
