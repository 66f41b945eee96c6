"""What the Python that trains has, as the server asks it."""

from __future__ import annotations

import stat
from pathlib import Path

from graders_engine.jobs.training_python import has_package


def test_a_package_that_is_installed_later_is_found_and_not_asked_for_again(tmp_path: Path) -> None:
    python, asked, installed = tmp_path / "python", tmp_path / "asked", tmp_path / "installed"
    python.write_text(f"#!/bin/sh\necho $4 >> {asked}\n[ -e {installed} ]\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    assert not has_package(str(python), "wandb")
    assert not has_package(str(python), "wandb")
    installed.touch()
    assert has_package(str(python), "wandb")
    assert has_package(str(python), "wandb")
    assert asked.read_text().split() == ["wandb"] * 3


def test_a_package_of_this_python_is_found() -> None:
    assert has_package("", "json")
    assert not has_package("", "no_such_package")


def test_a_python_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert not has_package(str(tmp_path / "nowhere"), "json")
