"""What a run is: its preset and data, its id, the job that trains it and how good it became."""
