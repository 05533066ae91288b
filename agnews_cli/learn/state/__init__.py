"""All the state there is: copied, streamed, saved beside training, put back whole."""
