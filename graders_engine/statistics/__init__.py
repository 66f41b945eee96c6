"""What the numbers mean: intervals, paired tests, samples of a prompt, agreement. Pure functions."""
