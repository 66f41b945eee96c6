"""`.ci/install` makes an environment, mends a half-made one, and says what is missing to make one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "install"
NEEDED = ("sh", "dirname")
WITHOUT_VENV = f"""case "$*" in *ensurepip*) exit 1 ;; esac
exec "{sys.executable}" "$@"
"""
NOTED = 'echo "$0 $*" >> "$NOTES"; exit 1'


class Machine:
    """A folder to install in, and the only commands that there are."""

    def __init__(self, folder: Path) -> None:
        self.tree, self._commands = folder / "tree", folder / "commands"
        (self.tree / ".ci").mkdir(parents=True)
        shutil.copy(SCRIPT, self.tree / ".ci")
        self._commands.mkdir()
        for name in NEEDED:
            found = shutil.which(name)
            assert found is not None
            (self._commands / name).symlink_to(found)
        self._notes = folder / "notes"
        self._notes.touch()

    def add(self, name: str, script: str) -> str:
        """A command of this machine."""
        path = self._commands / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def install(self, python: str) -> subprocess.CompletedProcess[str]:
        """Run the script. There is nothing to install here: pip, once it is there, says so."""
        variables = {
            "PATH": str(self._commands),
            "PYTHON": python,
            "HOME": str(self.tree),
            "NOTES": str(self._notes),
            "PIP_BREAK_SYSTEM_PACKAGES": "1",  # Debian's own pip would end before it looks for a package
        }
        return subprocess.run(
            ["sh", ".ci/install"], cwd=self.tree, env=variables, capture_output=True, text=True
        )

    def asked(self) -> list[str]:
        """The commands that were to install something, in order."""
        return [Path(line).name for line in self._notes.read_text(encoding="utf-8").splitlines()]

    def pip(self) -> int:
        """How pip ends in the environment."""
        asked = [str(self.tree / ".venv/bin/python"), "-m", "pip", "--version"]
        return subprocess.run(asked, capture_output=True).returncode


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("left", ["no pip", "a Python that is gone"])
def test_an_environment_is_made_whatever_an_earlier_attempt_has_left(
    left: str, machine: Machine
) -> None:
    environment = machine.tree / ".venv"
    if left == "no pip":
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        assert machine.pip() != 0
    else:
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").symlink_to("/nonexistent/python")
    ended = machine.install(sys.executable)
    assert machine.pip() == 0, ended.stderr
    assert "Neither 'setup.py' nor 'pyproject.toml' found" in ended.stderr


def test_an_environment_that_works_is_kept(machine: Machine) -> None:
    python = machine.tree / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert machine.pip() == 0
    ended = machine.install(sys.executable)
    assert "Neither 'setup.py' nor 'pyproject.toml' found" in ended.stderr
    assert python.is_symlink()
    assert os.listdir(machine.tree / ".venv") == ["bin"]


@pytest.mark.parametrize(
    ("commands", "user", "asked"),
    [
        ((), 0, []),
        (("apt-get",), 1000, []),
        (("apt-get",), 0, ["apt-get update -qq"]),
        (("apt-get", "sudo"), 1000, ["sudo apt-get update -qq"]),
    ],
    ids=["no Debian", "nobody's sudo", "root", "sudo"],
)
def test_what_cannot_be_had_is_named_in_one_sentence(
    commands: tuple[str, ...], user: int, asked: list[str], machine: Machine
) -> None:
    for name in commands:
        machine.add(name, NOTED)
    machine.add("id", f"echo {user}")
    python = machine.add("python3", WITHOUT_VENV)
    ended = machine.install(python)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"{python} lacks what makes virtual environments: "
        "ask for python3-venv, or set PYTHON to another Python\n"
    )
    assert machine.asked() == asked
    assert not os.path.lexists(machine.tree / ".venv")
