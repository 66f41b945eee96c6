"""The start-up time of whole processes; median of ten."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.measurement import Measurement

TIMES = 10
CHECK = (
    '{input: "{{sample.output_text}}", name: n, operation: eq, reference: cat, type: string_check}'
)
GRADERS = [sys.executable, "-m", "graders_engine"]
ROUGE = CHECK.replace("operation: eq", "evaluation_metric: rouge_l").replace(
    "string_check", "text_similarity"
)
RUN = [*GRADERS, "run", "--model-sample", "the cat sat", "--grader"]


def wall_ms(command: list[str]) -> float:
    times_ms = []
    for _ in range(TIMES):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        times_ms.append(1000 * (time.perf_counter() - began))
    return statistics.median(times_ms)


def measurements() -> Iterator[Measurement]:
    yield Measurement("python -c pass (the floor)", wall_ms([sys.executable, "-c", "pass"]), "ms")
    python = [sys.executable, "-c"]
    yield Measurement(
        "import graders_engine", wall_ms([*python, "import graders_engine"]), "ms", bar=150
    )
    yield Measurement(
        "from graders_engine import Engine",
        wall_ms([*python, "from graders_engine import Engine"]),
        "ms",
    )
    yield Measurement("graders --help", wall_ms([*GRADERS, "--help"]), "ms", bar=200)
    yield Measurement("graders run, string_check", wall_ms([*RUN, CHECK]), "ms", bar=350)
    yield Measurement("graders run, text_similarity rouge_l", wall_ms([*RUN, ROUGE]), "ms", bar=400)
    meteor = ROUGE.replace("rouge_l", "meteor")
    yield Measurement("graders run, text_similarity meteor", wall_ms([*RUN, meteor]), "ms", bar=400)
