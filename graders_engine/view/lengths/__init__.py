"""How long samples are, in characters, and whether rewards follow it."""
