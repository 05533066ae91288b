"""The forms of what can be added to training, and how it is found."""
