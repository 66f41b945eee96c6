"""What generates, behind the port of `inference.generator`, and what it needs."""
