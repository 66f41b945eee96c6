"""A job is checked by its trainer, in the Python that will train it, before it waits for its turn.

Only the model's tokenizer can say that a row is too long, or that a chat template does not take it.
"""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from tempfile import TemporaryFile

import msgspec

from graders_engine.evals.worker_processes import end_of
from graders_engine.jobs.spec_json import as_json, from_json
from graders_engine.jobs.trainers import TRAINER, load_trainer, not_available, other_version
from graders_engine.language import strict_json
from graders_engine.training.trainer import JobSpec, TrainingFailed
from graders_engine.version import __version__

_MODULE = "graders_engine.jobs.validation.trainer_check"
_PASSING = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE)
"""Why a process cannot be started just now."""
_NO_MODULE = "No module named"
_OWN = f"{_NO_MODULE} 'graders_engine"
"""Begins what a Python says without graders-engine, or with one from before this program."""


class CheckDied(Exception):
    """Raised when a check has ended without an answer; the message is what it has printed last."""


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
        CheckDied: the check has ended without an answer.
    """
    command = [python or sys.executable, "-P", "-m", _MODULE]
    with TemporaryFile() as printed:  # it may be much
        try:
            done = subprocess.run(  # noqa: S603 - graders.toml has the path
                command, input=as_json(spec), stdout=subprocess.PIPE, stderr=printed,
                check=False, env=environment,
            )  # fmt: skip
        except OSError as error:
            if error.errno in _PASSING:
                raise CheckDied(f"{command[0]} cannot be started: {error.strerror}") from None
            raise not_available(f"{command[0]} cannot be started: {error.strerror}") from None
        # With an answer, it does not matter how the process ends: some packages crash then.
        answer = _answer_in(done.stdout)
        if answer is None:
            raise _death(done.returncode, end_of(printed))
    if answer.version != __version__:
        raise not_available(other_version(answer.version, __version__))
    if answer.failed is not None:
        raise TrainingFailed(*answer.failed)


def _answer_in(printed: bytes) -> Answer | None:
    """The answer of a check; what a Python prints when it starts may stand before it."""
    try:
        return msgspec.convert(strict_json.decode(printed.rpartition(b"\n")[2]), Answer)
    except (ValueError, msgspec.ValidationError):
        return None


def _death(code: int, printed: str) -> Exception:
    """What is raised for a check without an answer."""
    last = printed.rpartition("\n")[2]
    if _OWN in last or f"{_NO_MODULE} graders_engine" in last:
        return not_available(f"it has not the graders-engine of this server ({__version__})")
    if _NO_MODULE in last:
        return not_available(last[last.index(_NO_MODULE) :])
    how = f"It was killed by signal {-code}." if code < 0 else f"It ended with code {code}."
    return CheckDied(f"{printed}\n{how}".lstrip())


def main(arguments: Sequence[str]) -> None:
    """Check the job whose spec standard input has."""
    parser = argparse.ArgumentParser(prog=_MODULE)
    parser.add_argument("--trainer", default=TRAINER)
    given = parser.parse_args(arguments)
    # What packages print is no part of the answer, also where they do it without Python.
    answer = os.dup(1)
    os.dup2(2, 1)
    failed = None
    try:
        spec = from_json(sys.stdin.buffer.read())
        load_trainer(given.trainer).check(spec)
    except TrainingFailed as error:
        failed = error.code, error.message, error.param
    except ImportError as error:  # also of another version, in which something has another name
        missing = not_available(str(error))
        failed = missing.code, missing.message, missing.param
    with os.fdopen(answer, "wb") as file:
        file.write(b"\n" + strict_json.encode({"version": __version__, "failed": failed}))


if __name__ == "__main__":
    main(sys.argv[1:])
