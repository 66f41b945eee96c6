"""`python -m graders_engine.view.lengths.worker`: reads how long the samples of a data set are.

It is a process of its own, so that answers do not wait for it. It reads what to do from a line of standard
input, as JSON, and writes how many parts of the data set it has read. Then they are in the cache.
"""

from __future__ import annotations

import json
import os
import sys

from graders_engine.view.lengths.stored import store_lengths
from graders_engine.view.searching.folded import from_json


def main() -> None:
    """Do what standard input says."""
    if sys.platform != "win32":
        os.nice(10)  # pages and searches go first
    task = json.loads(sys.stdin.buffer.readline())

    def report(done: int) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    try:
        store_lengths(from_json(task), report)
    except BrokenPipeError:  # nobody wants it any more
        sys.stderr.close()


if __name__ == "__main__":
    main()
