"""The loop. Lightning lives here and nowhere else."""
