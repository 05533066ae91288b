"""Labels for new texts, and for a competition's rows."""
