"""Training as it is asked for: decided, carried out, resumed, and what is left to say."""
