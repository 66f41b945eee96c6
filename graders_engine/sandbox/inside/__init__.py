"""The confined program: run by `python -I` in a process of its own; standard library only."""
