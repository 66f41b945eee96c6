"""Two runs over the same rows: their figures, and what became of each row."""
