"""Models that answer: one process that holds a model, and what asks it."""
