"""Models: fine-tuned, linear and embedded, and what they compute in."""
