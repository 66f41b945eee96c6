"""`python -m benchmarks [NAME ...] [--json FILE]`: a table for people, JSON for comparison.

Each file of this folder with a function `measurements` is a benchmark; each runs in its own process.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measurement import Measurement
from graders_engine import __version__
from graders_engine.metrics import core

HERE = Path(__file__).parent
MARK = {True: "met", False: "MISSED", None: ""}


def names() -> list[str]:
    return sorted(
        path.stem
        for path in HERE.glob("*.py")
        if "\ndef measurements()" in path.read_text(encoding="utf-8")
    )


def measure_here(name: str) -> None:
    """Print the measurements of a benchmark as they are made, one JSON line each."""
    for measurement in import_module(f"benchmarks.{name}").measurements():
        print(json.dumps(dataclasses.asdict(measurement)), flush=True)


def measure_apart(name: str) -> list[Measurement]:
    command = [sys.executable, "-m", "benchmarks", "--here", name]
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            measurement = Measurement(**json.loads(line))
            found.append(measurement)
            print(row(measurement), flush=True)
    if process.returncode:
        sys.exit(f"the benchmark {name} ended with {process.returncode}")
    return found


def row(found: Measurement) -> str:
    bar = "" if found.bar is None else f"{'>=' if found.at_least else '<='} {found.bar:g}"
    value = f"{found.value:>12,.4g} {found.unit:<9}"
    return f"  {found.name:<58}{value}{bar:<10}{MARK[found.meets_bar]}".rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(names())}")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the measurements to this file"
    )
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure_here(arguments.here)
        return
    about = {
        "engine": __version__,
        "metrics": core.ACTIVE,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    measured: dict[str, Any] = {}
    for name in arguments.names or names():
        print(name)
        measured[name] = [dataclasses.asdict(found) for found in measure_apart(name)]
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"about": about, "measurements": measured}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
