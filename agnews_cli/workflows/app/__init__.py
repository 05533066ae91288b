"""`agnews app`: a page on which people ask a model, here or as a Hugging Face Space."""
