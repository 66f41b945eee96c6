"""Requests whose answer is sampled as it is, and not read as a verdict."""
