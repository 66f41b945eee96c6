"""The grader types: one file per type, with its spec and its evaluator."""
