"""The worker of an eval run, and what looks after it."""
