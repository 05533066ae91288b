"""Sessions that start themselves: what an answer means, and when a next session may begin."""
