"""Where files, evals and their runs are kept: an SQLite database, and a file of its own for each content."""
