"""The room that knows this machine: what it is, what it can do, how to start a process on it."""
