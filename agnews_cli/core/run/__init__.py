"""What a run is: its work and what that costs, its id, the job that does it, how good it became."""
