"""The tables of graders.toml that need more than a record: how a table is read, and what is trained."""
