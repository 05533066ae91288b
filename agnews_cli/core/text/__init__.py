"""Text that people and programs exchange: durations, JSON from outside, secrets taken out."""
