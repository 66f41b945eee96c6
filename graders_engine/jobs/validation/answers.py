"""What a reinforcement job asks of its model's answers, checked by the Python that trains."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from graders_engine.engine import AsyncEngine
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.training.answers import FORMAT, Question
from graders_engine.training.trainer import JobSpec, TrainingFailed

_MODULE = "graders_engine.training.answers"
_LONGEST_S = 300.0


def check_answers(spec: JobSpec, python: str) -> None:
    """Check that a job's model can answer as the job wants it; none is asked for plain text.

    Args:
        spec: of the job.
        python: that has the packages of training; empty for this one.

    Raises:
        TrainingFailed: it cannot, or the other Python does not say.
    """
    if spec.grader is None:
        return
    question = Question(
        spec.model_path, spec.response_format, asyncio.run(_names_calls(spec.grader))
    )
    if question.names_calls or is_bound(spec.response_format):
        fault = _asked(question, python)
        if fault is not None:
            raise TrainingFailed(fault["code"], fault["message"], fault["param"])


def is_bound(response_format: Mapping[str, Any] | None) -> bool:
    """Whether answers are bound to be JSON."""
    return response_format is not None and response_format["type"] != "text"


async def _names_calls(grader: dict[str, Any]) -> bool:
    async with AsyncEngine(templates="as_served") as engine:
        return GraderFacts(engine.compile(grader)).names_calls


def _asked(question: Question, python: str) -> dict[str, Any] | None:
    """What is wrong, as the other Python has found it; None for nothing."""
    command = [python or sys.executable, "-P", "-m", _MODULE]
    try:
        done = subprocess.run(  # noqa: S603 - graders.toml has the name
            command, input=msgspec.json.encode(question), capture_output=True, check=False, timeout=_LONGEST_S
        )  # fmt: skip
        lines = done.stdout.splitlines()
        if not done.returncode and lines:
            found: dict[str, Any] | None = msgspec.json.decode(lines[-1])
            return found
        why = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    except subprocess.TimeoutExpired:
        why = f"it takes longer than {_LONGEST_S:g} s."
    except OSError as error:
        why = str(error.strerror)
    message = (
        f"Whether the model can answer as asked for is unknown: {why or 'no reason is given.'}"
    )
    return {
        "code": "validation_failed",
        "message": message,
        "param": FORMAT if question.response_format else None,
    }
