"""`python -m graders_engine.view.searching.index_worker`: makes the texts of a data set searchable.

It is a process of its own, so that answers do not wait for it. It reads what to do from a line of standard
input, as JSON, and writes the number of each segment when it is ready.
"""

from __future__ import annotations

import json
import sys

from graders_engine.view.searching.folded import from_json


def main() -> None:
    """Do what standard input says."""
    task = json.loads(sys.stdin.buffer.readline())
    texts = from_json(task["data"])
    try:
        for number in task["segments"]:
            if not texts.is_there(number):
                texts.build(number)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
    except BrokenPipeError:  # nobody wants it any more
        sys.stderr.close()


if __name__ == "__main__":
    main()
