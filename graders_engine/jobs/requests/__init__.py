"""The body of a request for a job, and the rows of its files, checked."""
