"""What endpoints do not support: read from their errors, and left out of later requests."""
