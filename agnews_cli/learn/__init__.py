"""The room that learns: the only one with torch, always a process of its own.

A `Job` file goes in; an events file, model files and an `Outcome` file come out.
"""
