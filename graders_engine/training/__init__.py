"""What trains: a small port, and the trainers behind it. It runs in a job's worker alone."""
