"""Commands of a user without a home folder, as in a container whose user id has no account."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from graders_engine.home import expanded, user_folder
from graders_engine.models.cache import ReplyStore
from tests.cli.test_surroundings import CHECK
from tests.environment import unmeasured

pytest.importorskip("pwd")
JUDGE = {
    "type": "score_model",
    "name": "judge",
    "model": "m",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    "range": [0, 1],
}
NO_ACCOUNT = (
    "import pwd\n"
    "pwd.getpwuid = pwd.getpwnam = {}.__getitem__\n"
    "from graders_engine.cli.main import main\n"
    "main()\n"
)
PLACES = ("HOME", "GRADERS_CACHE", "GRADERS_DATA", "XDG_CACHE_HOME", "XDG_DATA_HOME")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "check.json").write_text(json.dumps(CHECK))
    (tmp_path / "judge.json").write_text(json.dumps(JUDGE))
    (tmp_path / "rows.jsonl").write_text('{"item": {"a": "b"}, "model_sample": "b"}\n')
    return tmp_path


def graders(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command where nothing names a home folder; it must not make one called `~`."""
    kept = {name: value for name, value in unmeasured().items() if name not in PLACES}
    ended = subprocess.run(
        [sys.executable, "-c", NO_ACCOUNT, *arguments],
        cwd=folder, env={**kept, **variables}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in ended.stderr
    assert not (folder / "~").exists()
    return ended


def score(folder: Path, grader: str, *more: str, **variables: str) -> tuple[int, str]:
    """Exit code of a run over one row, and what it wrote to standard error."""
    asked = ("score", "--grader", f"@{grader}.json", "--data", "rows.jsonl", "--out", "out.jsonl")
    ended = graders(folder, *asked, "--quiet", *more, **variables)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("variables", [{}, {"HOME": "/"}, {"HOME": ""}], ids=str)
def test_rows_that_no_judge_grades_need_no_home(folder: Path, variables: dict[str, str]) -> None:
    assert score(folder, "check", **variables) == (0, "")
    assert json.loads((folder / "out.jsonl").read_text())["reward"] == 1.0


def test_a_judge_needs_a_place_for_its_replies_and_is_not_asked_without(folder: Path) -> None:
    code, said = score(folder, "judge", "--base-url", "http://127.0.0.1:9/v1")
    assert code != 0
    assert said == (
        "The cache cannot be opened: there is no home folder for the `~` in "
        "'~/.cache/graders-engine/replies.sqlite'. Name another file with --cache, or use --no-cache.\n"
    )


def test_a_place_for_replies_that_is_named_is_used(folder: Path) -> None:
    more = (
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--judge-attempts",
        "1",
        "--cache",
        "kept.sqlite",
    )
    score(folder, "judge", *more)
    assert (folder / "kept.sqlite").exists()


@pytest.mark.parametrize(("asked", "none"), [("info", "are kept"), ("clear", "were kept")])
def test_it_is_said_why_no_replies_are_kept_where_there_is_no_home(
    folder: Path, asked: str, none: str
) -> None:
    ended = graders(folder, "cache", asked)
    assert ended.returncode == 0
    assert ended.stdout == (
        f"~/.cache/graders-engine/replies.sqlite: no replies {none}: there is no home folder for the `~` in "
        "'~/.cache/graders-engine/replies.sqlite'. Name a file with --cache or GRADERS_CACHE.\n"
    )


def test_replies_that_are_kept_below_the_home_folder_are_found_by_the_path_that_keeps_them(
    folder: Path,
) -> None:
    ReplyStore(folder / "kept.sqlite").close()
    named = {"HOME": str(folder), "GRADERS_CACHE": "~/kept.sqlite"}
    ended = graders(folder, "cache", "info", **named)
    assert ended.stdout.startswith(f"{folder / 'kept.sqlite'}: 0.0 MB\n")
    cleared = graders(folder, "cache", "clear", **named)
    assert cleared.stdout == f"{folder / 'kept.sqlite'}: deleted 0 replies\n"


def test_images_are_listed_and_to_build_one_a_folder_must_be_named(folder: Path) -> None:
    assert "2025-05-08: not built" in graders(folder, "image", "list").stdout
    ended = graders(folder, "image", "build", "2025-05-08")
    assert ended.returncode != 0
    assert ended.stderr == (
        "there is no home folder, where images are kept; name a folder for them with GRADERS_DATA.\n"
    )


def test_a_folder_of_images_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").touch()
    ended = graders(folder, "image", "build", "2025-05-08", GRADERS_DATA=str(folder / "file"))
    assert ended.stderr == (
        f"{folder / 'file' / 'images'}: Not a directory; name a folder for them with GRADERS_DATA.\n"
    )


def test_a_path_below_a_home_that_nobody_has_is_a_mistake_of_the_configuration(
    folder: Path,
) -> None:
    (folder / "graders.toml").write_text('[inference]\npython = "~nobody-here/bin/python"\n')
    code, said = score(folder, "judge", "--no-cache", "--base-url", "http://127.0.0.1:9/v1")
    assert code != 0
    assert "there is no home folder for the `~` in '~nobody-here/bin/python'" in said


def test_a_relative_path_in_a_variable_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("XDG_DATA_HOME", "/absolute")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert user_folder("XDG_CACHE_HOME") == tmp_path / ".cache"
    assert user_folder("XDG_DATA_HOME") == Path("/absolute")
    assert user_folder("XDG_STATE_HOME") == tmp_path / ".local" / "state"
    assert expanded("~/a") == tmp_path / "a"
