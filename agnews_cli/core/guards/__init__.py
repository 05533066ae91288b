"""What keeps figures true and models from learning by heart: what was measured, and rules."""
