"""What runs there are, how each stands, and which stores are meant."""
