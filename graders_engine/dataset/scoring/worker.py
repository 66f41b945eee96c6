"""A worker process's program: a job and then shards on standard input, what they became on standard output.

Whoever started it is the only one to write to it, and runs the same code: the messages are pickles.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys

from graders_engine.blocking import Engine
from graders_engine.dataset.scoring.grading import Job, score_shard

READY = "ready"
"""The first message: the job is understood, shards may come."""


def main() -> None:
    """Score shards until standard input ends."""
    messages = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints does not garble the answers
    try:
        job: Job = pickle.load(messages)  # noqa: S301 - from the process that started this one
        with Engine(**job.settings) as engine:
            compiled = engine.compile(job.grader)
            answer: object = READY
            # A shard's rows and results live till its end; looking for cycles among them again and again
            # took a fifth of the time.
            gc.freeze()
            gc.set_threshold(50_000)
            while True:
                pickle.dump(answer, answers)
                answers.flush()
                shard = pickle.load(messages)  # noqa: S301 - as above
                answer = score_shard(engine, compiled, job.shape, shard)
    except EOFError:
        return
    except (
        BrokenPipeError
    ):  # killed while this worked; the answer has no reader, nor has the file's end
        os._exit(1)


if __name__ == "__main__":
    main()
