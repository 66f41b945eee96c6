"""A Ray cluster: how it is reached, and what runs on its nodes."""
