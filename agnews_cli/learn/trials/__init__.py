"""What is tried on a model that is finished: changed texts, and what of a text it looks at."""
