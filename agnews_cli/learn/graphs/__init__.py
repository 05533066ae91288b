"""Models as graphs: written by torch once, and answering without it."""
