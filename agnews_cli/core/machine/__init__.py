"""What this machine is: its markers, its platform, what computes and what a probe proved."""
