"""What a run delivered becomes a model on the Hugging Face Hub."""
