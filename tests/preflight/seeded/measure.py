"""Runs `graders preflight` on the seeded cases and counts what it finds.

python tests/preflight/seeded/measure.py a            # half a
python tests/preflight/seeded/measure.py b --id hack  # cases of half b with "hack" in their id
python tests/preflight/seeded/measure.py a --verbose  # with all findings and command lines
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.preflight.seeded import judge as judges
from tests.preflight.seeded import load

SILENT = ("clean", "robust")
LIMIT_S = 400
GRAVE = ("error", "warning")


@dataclass
class Run:
    """What the command said about a case."""

    case: dict[str, Any]
    command: list[str] = field(default_factory=list)
    code: int = 0
    seconds: float = 0.0
    judged: int = 0
    findings: list[dict[str, Any]] = field(default_factory=list)
    stderr: str = ""
    broken: str = ""

    @property
    def grave(self) -> list[dict[str, Any]]:
        """The findings above info that are not ignored."""
        return [
            one for one in self.findings if one.get("severity") in GRAVE and not one.get("ignored")
        ]

    @property
    def missing_command(self) -> bool:
        """Whether there is no such command."""
        return self.code == 2 and "No such command" in self.stderr


def acceptable(wanted: dict[str, Any]) -> list[tuple[str, str]]:
    """The finding that is expected, then those that are as good."""
    return [(one["id"], one["severity"]) for one in (wanted, *wanted.get("or", []))]


def verdict(wanted: dict[str, Any], run: Run) -> str:
    """How an expected finding came out: found, wrong severity or missed."""
    said = {(str(one.get("id")), str(one.get("severity"))) for one in run.findings}
    allowed = acceptable(wanted)
    if said & set(allowed):
        return "found"
    ids = {name for name, _ in said}
    return "wrong severity" if ids & {name for name, _ in allowed} else "missed"


def others(run: Run) -> list[dict[str, Any]]:
    """The findings above info that the case does not expect."""
    ids = {name for wanted in run.case["expect"] for name, _ in acceptable(wanted)}
    return [one for one in run.grave if one.get("id") not in ids]


def environment(folder: Path) -> dict[str, str]:
    """This process's environment without what is the user's own or measures coverage."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COV", "OPENAI_", "AZURE_", "GRADERS_"))
    }
    root = str(load.FOLDER.parents[2])
    path = os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH", "")]))
    return {**kept, "GRADERS_CACHE": str(folder / "replies.sqlite"), "PYTHONPATH": path}


def arguments(case: dict[str, Any], paths: dict[str, Path]) -> list[str]:
    """The options of `graders preflight` for a case."""
    out = ["--json"]
    for name, path in paths.items():
        out += [f"--{name}", f"@{path}" if name == "grader" else str(path)]
    for name, value in case.get("options", {}).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        out += [f"--{name.replace('_', '-')}", text]
    return out


@contextlib.contextmanager
def judge_of(case: dict[str, Any]) -> Iterator[tuple[list[str], judges.Judge | None]]:
    """The options that name the case's judge, while it answers."""
    if "judge" not in case:
        yield [], None
        return
    with judges.judging(case["judge"]) as (url, judge):
        yield ["--base-url", url], judge


def run(case: dict[str, Any]) -> Run:
    """Run the command on a case."""
    with tempfile.TemporaryDirectory(prefix="seeded-") as place, judge_of(case) as (more, judge):
        folder = Path(place)
        flags = [*arguments(case, load.write(case, folder)), *more]
        done = Run(case, [sys.executable, "-m", "graders_engine", "preflight", *flags])
        start = time.monotonic()
        try:
            ended = subprocess.run(
                done.command,
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            done.broken, done.seconds = f"no end after {LIMIT_S} s", float(LIMIT_S)
            return done
        done.seconds, done.code, done.stderr = (
            time.monotonic() - start,
            ended.returncode,
            ended.stderr,
        )
        done.judged = judge.asked if judge else 0
        read(done, ended.stdout)
    return done


def read(done: Run, stdout: str) -> None:
    """Take the findings out of what was printed, and note what must not be."""
    if "Traceback (most recent call last)" in done.stderr:
        done.broken = "a traceback: " + done.stderr.strip().splitlines()[-1]
    elif done.code not in (0, 1, 3):
        done.broken = f"exit code {done.code}: " + " ".join(done.stderr.split())[:200]
    try:
        printed = json.loads(stdout)
        done.findings = printed["findings"]
        for key in ("fine", "not_checked"):
            printed[key]
    except (ValueError, KeyError, TypeError) as error:
        done.broken = done.broken or f"exit code {done.code}, no JSON as described: {error!r}"


def say(text: str = "") -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def told(one: dict[str, Any]) -> str:
    """A finding on one line."""
    message = " ".join(str(one.get("message", "")).split())
    return f"{one.get('severity')} {one.get('id')}: {message[:220]}"


def show(run: Run, verbose: bool) -> None:
    """One case: a line, and what there is to say below it."""
    silent = run.case["kind"] in SILENT
    words = [verdict(wanted, run) for wanted in run.case["expect"]]
    if silent:
        words = [f"{len(run.grave)} FALSE" if run.grave else "silent"]
    state = "BROKEN" if run.broken else ", ".join(words)
    say(f"{run.case['kind']:9} {state:15} {run.seconds:6.1f} s  {run.case['id']}")
    if run.broken:
        say(f"            {run.broken}")
    for wanted in run.case["expect"]:
        result = verdict(wanted, run)
        if result != "found":
            say(f"            {result}: {wanted['severity']} {wanted['id']} ({run.case['why']})")
    for one in run.findings if verbose else others(run):
        say(f"            {told(one)}")
    if verbose:
        say(
            f"            exit code {run.code}, {run.judged} judge calls: {' '.join(run.command[1:])}"
        )


def table(runs: list[Run]) -> None:
    """The counts by kind."""
    say()
    for kind in ("fault", "hackable"):
        mine = [run for run in runs if run.case["kind"] == kind]
        results = [verdict(wanted, run) for run in mine for wanted in run.case["expect"]]
        if not mine:
            continue
        count = {word: results.count(word) for word in ("found", "wrong severity", "missed")}
        parts = ", ".join(f"{word} {number}" for word, number in count.items())
        extra = [len(others(run)) for run in mine]
        share = count["found"] / len(results)
        say(f"{kind}: {len(mine)} cases, {len(results)} expected: {parts} ({share:.1%} found)")
        median = statistics.median(extra)
        say(f"  other findings above info a case: median {median:g}, most {max(extra)}")
    for kind in SILENT:
        mine = [run for run in runs if run.case["kind"] == kind]
        loud = [run for run in mine if run.grave]
        if mine:
            say(
                f"{kind}: {len(mine)} cases, {len(mine) - len(loud)} silent, {len(loud)} with false alarms"
            )
            by_id: dict[str, list[str]] = defaultdict(list)
            for run in loud:
                for one in run.grave:
                    by_id[f"{one.get('severity')} {one.get('id')}"].append(run.case["id"])
            for name, ids in sorted(by_id.items()):
                say(f"  {name}: {', '.join(ids)}")
    broken = [run for run in runs if run.broken]
    say(f"broken (traceback, exit code, no JSON): {len(broken)}")


def measure(half: str, part: str, verbose: bool) -> int:
    """Run the cases of a half, two at a time."""
    chosen = [case for case in load.cases(half) if part in case["id"]]
    if not chosen:
        say(f"no case of half {half} has {part!r} in its id")
        return 2
    runs: list[Run] = []
    with ThreadPoolExecutor(2) as pool:
        first = run(chosen[0])
        if first.missing_command:
            say("There is no `graders preflight` yet: this engine's command line does not know it.")
            say(f"Nothing was measured; {len(chosen)} cases wait.")
            return 1
        for done in (first, *pool.map(run, chosen[1:])):
            show(done, verbose)
            runs.append(done)
    table(runs)
    return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure `graders preflight` on the seeded cases.")
    parser.add_argument("half", choices=["a", "b"])
    parser.add_argument("--id", default="", help="only cases whose id holds this text")
    parser.add_argument(
        "--verbose", action="store_true", help="all findings, and the command lines"
    )
    given = parser.parse_args()
    return measure(given.half, given.id, given.verbose)


if __name__ == "__main__":
    sys.exit(main())
