"""The wizard: what it sees before it asks, and which question comes next."""
