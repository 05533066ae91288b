"""Hours of sessions: what platforms allow, what was used, what is left and how we know."""
