"""This machine judged: doctor's checks, and exact resume proven on it."""
