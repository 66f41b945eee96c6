"""Runs `graders` as if on another system."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


class There:
    """Another system: its folder, and `graders` in it.

    Args:
        platform: "win32" or "darwin".
        folder: where commands run.
        made: where its own files are made.
    """

    def __init__(self, platform: str, folder: Path, made: Path) -> None:
        self.platform, self.folder = platform, folder
        self.python = made / f"python-{platform}"
        setup = made / f"{platform}.json"
        there: dict[str, Any] = {
            "platform": platform,
            "python": str(self.python),
            "absent": [*POSIX] if platform == "win32" else [*WINDOWS],
            "lacking": {name: lacking(name, platform, sys.version_info[:2]) for name in MODULES},
        }
        setup.write_text(json.dumps(there), encoding="utf-8")
        text = _WRAPPER.format(setup=setup, path=ELSEWHERE, python=sys.executable, worker=_WORKER)
        self.python.write_text(text, encoding="ascii")
        self.python.chmod(stat.S_IRWXU)

    def run(
        self, *command: str, given: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """`graders` with these arguments, to its end."""
        return subprocess.run(
            self._command(command), input=given, capture_output=True, text=True, cwd=self.folder,
            env=self._environment(variables), timeout=_LIMIT_S, check=False,
        )  # fmt: skip

    def start(self, *command: str, **more: Any) -> subprocess.Popen[str]:
        """`graders` with these arguments, as it runs."""
        return subprocess.Popen(
            self._command(command), text=True, cwd=self.folder, env=self._environment({}), **more
        )

    def python_code(self, code: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """A text of Python, to its end; what it imports of the package meets the other system."""
        return subprocess.run(
            [self.python, "-c", code], input=given, capture_output=True, text=True, cwd=self.folder,
            env=self._environment({}), timeout=_LIMIT_S, check=False,
        )  # fmt: skip

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [str(self.python), "-m", "graders_engine", *arguments]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        home = {
            name: str(self.folder / "home") for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
        }
        return {**unmeasured(), **home, **more}
