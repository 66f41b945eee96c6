"""Reports of preflight, and the rows that their findings name."""
