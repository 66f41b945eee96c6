"""Wrong versions of right answers, and whether the grader notices.

`catalog.OPERATORS` lists how they are made; each is written in the file of its family.
"""
