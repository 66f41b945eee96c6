"""Fine-tuning jobs: their requests, files, states, workers, events and checkpoints; no torch and no HTTP."""
