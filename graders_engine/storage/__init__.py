"""Where files, evals, runs and jobs are kept: an SQLite database, and a file of its own for each content."""
