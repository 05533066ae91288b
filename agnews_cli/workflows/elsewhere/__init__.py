"""agnews on other machines: a notebook that trains there, and how it gets agnews."""
