"""What a report measures of finished runs, and its pictures."""
