"""One session of a run: the worker watched, signs of life given, what is saved sent."""
