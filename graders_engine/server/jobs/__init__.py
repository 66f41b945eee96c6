"""Fine-tuning jobs over HTTP: the jobs, their events and checkpoints, and what changes them."""
