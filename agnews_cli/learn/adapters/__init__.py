"""What several fine-tuning methods share: PEFT's wrapping, bottlenecks, virtual tokens, files."""
