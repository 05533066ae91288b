"""Rows as training meets them: read, tokenised, weighed, and put into batches."""
