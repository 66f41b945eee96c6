"""Many rows: read them, score them, write results so that a crash loses nothing, count."""
