"""How a command line becomes the values of a command, and how its help is laid out."""
