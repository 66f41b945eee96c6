"""The start of whole processes, as medians; the bars are multiples of the time that bare Python takes.

The commands take turns, so that whatever else the machine does at the time falls on all of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measurement import Measurement

TIMES = 15
CHECK = (
    '{input: "{{sample.output_text}}", name: n, operation: eq, reference: cat, type: string_check}'
)
ROUGE = CHECK.replace("operation: eq", "evaluation_metric: rouge_l").replace(
    "string_check", "text_similarity"
)
SCRIPT = Path(sys.executable).with_name("graders")
GRADERS = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "graders_engine"]
RUN = [*GRADERS, "run", "--model-sample", "the cat sat", "--grader"]
PYTHON = [sys.executable, "-c"]
FLOOR = "python -c pass (the floor)"
COMMANDS = {
    FLOOR: [*PYTHON, "pass"],
    "import graders_engine": [*PYTHON, "import graders_engine"],
    "from graders_engine import Engine": [*PYTHON, "from graders_engine import Engine"],
    "graders --help": [*GRADERS, "--help"],
    "graders run, string_check": [*RUN, CHECK],
    "graders run, text_similarity rouge_l": [*RUN, ROUGE],
    "graders run, text_similarity meteor": [*RUN, ROUGE.replace("rouge_l", "meteor")],
}
BARS = {"graders --help": 5, "graders run, string_check": 20}
"""Multiples of the floor."""
INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""What is installed has its bytecode beside it; the first round writes it."""


def wall_ms(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        command, check=True, env=INSTALLED, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    return 1000 * (time.perf_counter() - began)


def measurements() -> Iterator[Measurement]:
    for command in COMMANDS.values():
        wall_ms(command)
    rounds = [{name: wall_ms(command) for name, command in COMMANDS.items()} for _ in range(TIMES)]
    medians = {name: statistics.median(one[name] for one in rounds) for name in COMMANDS}
    for name, median in medians.items():
        yield Measurement(name, median, "ms")
    for name, bar in BARS.items():
        yield Measurement(f"{name}, of the floor", median_ratio(rounds, name), "x", bar=bar)


def median_ratio(rounds: list[dict[str, float]], name: str) -> float:
    """How often the floor fits: the median over the rounds, each with its own floor."""
    return statistics.median(one[name] / one[FLOOR] for one in rounds)
