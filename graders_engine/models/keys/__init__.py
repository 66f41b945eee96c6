"""The forms in which a key may stand in a text: how it is found there, and what is replaced."""
