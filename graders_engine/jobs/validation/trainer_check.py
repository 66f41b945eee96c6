"""A job is checked by its trainer, in the Python that will train it, before it waits for its turn.

Only the model's tokenizer can say that a row is too long, or that a chat template does not take it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec

from graders_engine.jobs.trainers import TRAINER, load_trainer, not_available
from graders_engine.training.trainer import JobSpec, TrainingFailed
from graders_engine.version import __version__

_MODULE = "graders_engine.jobs.validation.trainer_check"
_NO_MODULE = "No module named"


class Answer(msgspec.Struct, frozen=True):
    """What the program prints.

    Attributes:
        version: of the graders-engine that has checked.
        failed: code, message and param of what keeps the job from being trained; None for nothing.
    """

    version: str
    failed: tuple[str, str, str | None] | None = None


def check_with_trainer(
    spec: JobSpec, python: str, environment: Mapping[str, str] | None = None
) -> None:
    """See whether a job can be trained.

    Args:
        spec: of the job.
        python: that trains; empty for this one.
        environment: of the check; None for that of this process.

    Raises:
        TrainingFailed: it cannot.
        RuntimeError: the check has died.
    """
    command = [python or sys.executable, "-P", "-m", _MODULE]
    try:
        done = subprocess.run(  # noqa: S603 - graders.toml has the path
            command, input=msgspec.json.encode(spec), capture_output=True, check=False,
            env=environment,
        )  # fmt: skip
    except OSError as error:
        raise not_available(f"{command[0]} cannot be started: {error.strerror}") from None
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip()
        last = reason.rpartition("\n")[2]
        if _NO_MODULE in last and "graders_engine" in last:
            raise not_available(f"it has not the graders-engine of this server ({__version__})")
        raise RuntimeError(reason)
    answer = msgspec.json.decode(done.stdout, type=Answer)
    if answer.version != __version__:
        raise not_available(
            f"it has graders-engine {answer.version}, and this server is {__version__}"
        )
    if answer.failed is not None:
        raise TrainingFailed(*answer.failed)


def main(arguments: Sequence[str]) -> None:
    """Check the job whose spec standard input has."""
    parser = argparse.ArgumentParser(prog=_MODULE)
    parser.add_argument("--trainer", default=TRAINER)
    given = parser.parse_args(arguments)
    answer, sys.stdout = sys.stdout, sys.stderr  # for what packages print
    failed = None
    try:
        spec = msgspec.json.decode(sys.stdin.buffer.read(), type=JobSpec)
        load_trainer(given.trainer).check(spec)
    except TrainingFailed as error:
        failed = error.code, error.message, error.param
    except ModuleNotFoundError as error:
        missing = not_available(str(error))
        failed = missing.code, missing.message, missing.param
    answer.write(msgspec.json.encode(Answer(__version__, failed)).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
