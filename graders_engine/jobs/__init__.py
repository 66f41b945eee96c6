"""What a fine-tuning job is, without HTTP and without torch: its states, its worker, what looks after it."""
