"""The pages of fine-tuning jobs."""
