"""The reward route: one grader, asked by trainers and evaluation tools, each in its own form."""
