"""What happens to a job between its creation and the queue."""
