"""`agnews advise`: what to do next with these data, here, and why."""
