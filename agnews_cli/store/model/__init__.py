"""Models on disk: where a base model's weights come from, and what a run delivered."""
