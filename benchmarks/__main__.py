"""`python -m benchmarks [NAME ...] [--json FILE]`: a table for people, JSON for comparison.

Each file of this folder with a function `figures` is a benchmark; each runs in a process of its own.
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

from benchmarks.figure import Figure
from graders_engine import __version__

HERE = Path(__file__).parent
MARK = {True: "held", False: "MISSED", None: ""}


def names() -> list[str]:
    return sorted(
        path.stem
        for path in HERE.glob("*.py")
        if "\ndef figures()" in path.read_text(encoding="utf-8")
    )


def measure_here(name: str) -> None:
    """Print this benchmark's figures, a JSON line each, as they come."""
    for figure in import_module(f"benchmarks.{name}").figures():
        print(json.dumps(dataclasses.asdict(figure)), flush=True)


def measure_apart(name: str) -> list[Figure]:
    command = [sys.executable, "-m", "benchmarks", "--here", name]
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            figure = Figure(**json.loads(line))
            found.append(figure)
            print(row(figure), flush=True)
    if process.returncode:
        sys.exit(f"the benchmark {name} ended with {process.returncode}")
    return found


def row(figure: Figure) -> str:
    bar = "" if figure.bar is None else f"{'>=' if figure.at_least else '<='} {figure.bar:g}"
    return f"  {figure.name:<58}{figure.value:>12,.4g} {figure.unit:<9}{bar:<10}{MARK[figure.held]}".rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(names())}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure_here(arguments.here)
        return
    measured: dict[str, Any] = {}
    for name in arguments.names or names():
        print(name)
        measured[name] = [dataclasses.asdict(figure) for figure in measure_apart(name)]
    if arguments.json:
        about = {
            "engine": __version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        }
        arguments.json.write_text(
            json.dumps({"about": about, "figures": measured}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
