"""Cells of a CSV, which are texts: what they look like, and whether code takes them for it."""
