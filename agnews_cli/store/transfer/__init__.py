"""What goes to further stores and comes back: sent, fetched, owned and proven there."""
