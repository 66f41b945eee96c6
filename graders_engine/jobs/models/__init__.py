"""The base models that jobs may name: where they are, and whether there is room to train them."""
