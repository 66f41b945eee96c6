"""What may be asked: one file per grader type, the spec beside its evaluator."""
