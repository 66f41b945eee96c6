"""The page of a job: what it reads, and what it says."""
