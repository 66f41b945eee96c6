"""Results files as columns, and what is computed of them while they are open."""
