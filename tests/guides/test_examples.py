"""Every example: it is listed, is copied whole or not at all, and does what its README shows."""

from __future__ import annotations

import compileall
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from graders_engine import examples
from graders_engine.cli.main import graders
from graders_engine.examples import FOLDER, first_command, titles
from tests.guides.blocks import blocks_of, require_valid, run_blocks

MAX_BYTES = 60_000
LONG = {"invoices/rows.jsonl"}
"""What may be longer: the 200 rows that the README begins with."""
RUN_CODE = {"arithmetic", "code", "hosted_evals", "tool_calls"}
"""They have python graders."""


def asked(*arguments: str | Path) -> tuple[int, str]:
    """The exit code of a command in this process, and what it prints on both streams."""
    ended = CliRunner().invoke(graders, ["examples", *map(str, arguments)])
    return ended.exit_code, ended.output


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("name", titles())
def test_every_block_of_a_readme_works_in_a_copy(name: str, tmp_path: Path) -> None:
    if name in RUN_CODE and sys.platform != "linux":
        pytest.skip("the sandboxes are Linux's")
    code, output = asked("copy", name, tmp_path / name)
    assert code == 0, output
    run_blocks((tmp_path / name / "README.md").read_text(encoding="utf-8"), tmp_path / name)


def test_every_folder_is_an_example_with_a_readme_and_is_listed() -> None:
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == set(titles())
    code, output = asked()
    assert code == 0
    listed = dict(line.split(maxsplit=1) for line in output.splitlines() if line[:1].isalpha())
    assert listed == titles()  # so each has one line


@pytest.mark.parametrize("name", titles())
def test_a_readme_has_at_most_60_lines_of_80_columns(name: str) -> None:
    text = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert len(text.splitlines()) <= 60
    assert not [line for line in text.splitlines() if len(line) > 80]
    for block in blocks_of(text):
        require_valid(block)


@pytest.mark.parametrize("name", titles())
def test_a_copy_is_whole_and_says_what_to_type_first(name: str, tmp_path: Path) -> None:
    code, output = asked("copy", name, tmp_path / "mine")
    assert code == 0
    assert contents(tmp_path / "mine") == contents(FOLDER / name)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert output.endswith(f"cd {tmp_path / 'mine'}\n{first_command(name)}\n")


def test_a_folder_whose_name_looks_like_an_option_can_be_entered_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, output = asked("copy", "code", "--", "-mine")
    assert "\ncd ./-mine\n" in output


def test_no_file_of_an_example_is_long() -> None:
    long = {path for path, content in contents(FOLDER).items() if len(content) > MAX_BYTES}
    assert long == LONG


def test_recorded_replies_name_no_address_and_no_key() -> None:
    transcripts = sorted(FOLDER.rglob("transcript.jsonl"))
    assert transcripts
    for path in transcripts:
        assert not re.search(
            r"https?:|127\.0\.0\.1|localhost|[Bb]earer|\bsk-", path.read_text("utf-8")
        )


def test_a_copy_of_an_installed_example_can_be_changed_and_has_nothing_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    shutil.copytree(FOLDER / "code", installed / "code")
    assert compileall.compile_dir(installed, quiet=1)
    assert list(installed.rglob("*.pyc"))
    for path in installed.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setattr(examples, "FOLDER", installed)
    assert asked("copy", "code", tmp_path / "mine")[0] == 0
    copied = [path for path in (tmp_path / "mine").rglob("*") if path.is_file()]
    assert {path.name for path in copied} == set(contents(FOLDER / "code"))
    assert all(path.stat().st_mode & stat.S_IWUSR for path in copied)


def test_a_copy_goes_into_the_working_folder_under_its_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "graders_engine", "examples", "copy", "summaries"]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert contents(tmp_path / "summaries") == contents(FOLDER / "summaries")


@pytest.mark.parametrize("there", ["a file", "an empty folder", "a broken link"])
def test_nothing_is_overwritten(there: str, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    if there == "a file":
        target.write_text("mine")
    elif there == "an empty folder":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nothing")
    code, output = asked("copy", "summaries", target)
    assert code == 1
    assert output == f"{target} is there already: nothing is overwritten, name another folder.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert not target.is_dir() or not list(target.iterdir())


def test_a_copy_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    command = f"ulimit -f 8; exec {sys.executable} -m graders_engine examples copy summaries"
    ended = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stdout == "graders: summaries: File too large (see `ulimit -f`).\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["copy", "invoice"], "There is no example 'invoice'. Did you mean 'invoices'?"),
        (["copy", "zzz"], "There is no example 'zzz'. `graders examples` lists them."),
        (["invoices"], "'invoices' is an example: `graders examples copy invoices` writes it."),
        (["show", "topics"], "'topics' is an example: `graders examples copy topics` writes it."),
        (["list"], "No such command or example 'list'. `graders examples` lists the examples."),
        (["topcs"], "example 'topcs'. Did you mean 'topics'? `graders examples` lists"),
        (["help"], "Did you mean 'graders examples --help'?"),
    ],
)
def test_a_misspelt_example_gets_a_suggestion(arguments: list[str], advice: str) -> None:
    code, output = asked(*arguments)
    assert code == 2
    assert advice in output
