"""The server on loopback, in a process of its own, under as much load as it answers.

Held against an echo route of the same stack in the same run; the rounds take turns, the middle one counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.load import load
from benchmarks.measurement import Measurement

ROUNDS = 5
SECONDS = 3.0
ROWS = 256
ROUTES = "/v1/fine_tuning/alpha/graders"
CHECK = {
    "type": "string_check",
    "name": "label",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}
ROW = {"model_sample": "cat", "item": {"label": "cat"}}
SINGLE = {"grader": CHECK, **ROW}
BATCH = {"grader": CHECK, "rows": [ROW] * ROWS}


@contextmanager
def server(*flags: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Its port and its process; what it logs goes to a file, as it would in earnest."""
    command = [sys.executable, "-m", "graders_engine", "serve", "--port", "0", *flags]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().split(" ")[3].rpartition(":")[2]), process
        finally:
            process.terminate()


@contextmanager
def echo_server() -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.echo_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def per_second(port: int, path: str, body: Any, connections: int = 32) -> float:
    came = load(port, [(path, body)], connections=connections, seconds=SECONDS)
    assert not came.errors, came
    return came.per_second


def measurements() -> Iterator[Measurement]:
    echoes, singles, batches = [], [], []
    with echo_server() as echo, server() as (port, _):
        for _ in range(ROUNDS):
            echoes.append(per_second(echo, "/echo", SINGLE))
            singles.append(per_second(port, f"{ROUTES}/run", SINGLE))
            batches.append(ROWS * per_second(port, f"{ROUTES}/run_batch", BATCH, connections=4))
    against_echo = [single / echo for single, echo in zip(singles, echoes, strict=True)]
    against_single = [batch / single for batch, single in zip(batches, singles, strict=True)]
    middle = statistics.median
    yield Measurement("JSON echo of the same stack", middle(echoes), "req/s")
    yield Measurement("run, string_check", middle(singles), "req/s")
    yield Measurement(
        "run, string_check, of the echo", middle(against_echo), "x", bar=0.6, at_least=True
    )
    yield Measurement(f"run_batch of {ROWS} rows, string_check", middle(batches), "rows/s")
    yield Measurement(
        "run_batch, of single runs", middle(against_single), "x", bar=15, at_least=True
    )
