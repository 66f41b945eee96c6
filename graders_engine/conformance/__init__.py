"""Does an implementation of `run` and `validate` answer as the format says? `graders conformance` asks it.

`cases/` holds what is asked and what must come back, in the short form in which people write it. `cases.py`
makes requests of it that stand for themselves, `asking.py` sends them, `comparing.py` says what differs.
"""
