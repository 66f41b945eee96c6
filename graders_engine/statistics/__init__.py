"""Intervals, paired tests, several samples per prompt, agreement; pure functions."""
