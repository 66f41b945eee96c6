"""Exports of the hosted evals as graders and rows."""
