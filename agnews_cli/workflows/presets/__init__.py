"""What presets say, and files of one's own that extend them."""
