"""Ways to be rewarded without being right, and what they earn.

`catalog.ATTACKS` lists them; each is written in the file of its family.
"""
