"""Hours: what is left, what was used, what users say of it, when this session ends."""
