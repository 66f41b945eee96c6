"""A worker process: reads a job and then shards from standard input, writes results to standard output.

Only the process that started it writes to it, and it runs the same code: the messages are pickles.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys

from graders_engine.blocking import Engine
from graders_engine.dataset.scoring.grading import Job, grader_of, score_shard

READY = "ready"
"""The first message: the job is accepted, and shards may follow."""


def main() -> None:
    """Score shards until standard input ends."""
    messages = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(
        sys.stderr.fileno(), sys.stdout.fileno()
    )  # what graders print must not mix with answers
    try:
        job: Job = pickle.load(messages)  # noqa: S301 - from the process that started this one
        with Engine(**job.settings) as engine:
            compiled = grader_of(job, engine)
            answer: object = READY
            # The rows and results of a shard live until its end; searching them for cycles again and again
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
    except BrokenPipeError:
        # The process that reads the answers was killed. Closing the pipe at exit would raise again.
        os._exit(1)


if __name__ == "__main__":
    main()
