"""Runs `graders` as if on another system."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from tests import forked
from tests.environment import unmeasured
from tests.platforms.stubs import MODULES, POSIX, WINDOWS, lacking

ELSEWHERE = Path(__file__).parent / "elsewhere"
_LIMIT_S = 120
_WORKER = Path(__file__).parent / "worker_elsewhere.py"
_WRAPPER = """#!/bin/sh
export GRADERS_TESTS_ELSEWHERE={setup} PYTHONPATH={path}
case "$*" in
*/sandbox/inside/worker.py*) exec {python} -S -P -s {worker} "$@" ;;
esac
exec {python} "$@"
"""


def python_as_on(platform: str, folder: Path) -> Path:
    """What starts a Python that meets "win32" or "darwin"; its files are made in the folder."""
    python, setup = folder / f"python-{platform}", folder / f"{platform}.json"
    there: dict[str, Any] = {
        "platform": platform,
        "python": str(python),
        "absent": [*POSIX] if platform == "win32" else [*WINDOWS],
        "lacking": {name: lacking(name, platform, sys.version_info[:2]) for name in MODULES},
    }
    setup.write_text(json.dumps(there), encoding="utf-8")
    text = _WRAPPER.format(setup=setup, path=ELSEWHERE, python=sys.executable, worker=_WORKER)
    python.write_text(text, encoding="ascii")
    python.chmod(stat.S_IRWXU)
    return python


class There:
    """Another system: its folder, and `graders` in it.

    Commands are forked from a process that has met the other system and imported there what they import.

    Args:
        platform: "win32" or "darwin".
        folder: where commands run.
        python: what `python_as_on` has made for the platform.
    """

    def __init__(self, platform: str, folder: Path, python: Path) -> None:
        self.platform, self.folder, self.python = platform, folder, python

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """`graders` with these arguments, to its end."""
        return forked.graders(*command, given=given, **self._as_there())

    def start(
        self, *command: str, errors: IO[str] | None = None
    ) -> forked.Forked | subprocess.Popen[str]:
        """`graders` with these arguments, as it runs; what it prints is a pipe."""
        return forked.start(*command, errors=errors, **self._as_there())

    def python_code(self, code: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """A text of Python, to its end; what it imports of the package meets the other system."""
        return subprocess.run(
            [self.python, "-c", code], input=given, capture_output=True, text=True, cwd=self.folder,
            env=self._environment(), timeout=_LIMIT_S, check=False,
        )  # fmt: skip

    def _as_there(self) -> dict[str, Any]:
        return {
            "folder": self.folder, "environment": self._environment(), "python": str(self.python)
        }  # fmt: skip

    def _environment(self) -> dict[str, str]:
        """As the script that starts a Python makes it."""
        home = {
            name: str(self.folder / "home") for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
        }
        setup = self.python.with_name(f"{self.platform}.json")
        meets = {"GRADERS_TESTS_ELSEWHERE": str(setup), "PYTHONPATH": str(ELSEWHERE)}
        return {**unmeasured(), **home, **meets}
