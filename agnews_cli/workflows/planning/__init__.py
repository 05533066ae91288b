"""Plans of sessions, and plans lived through."""
