"""What contributors and users of a release read is so: files, scripts, versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from graders_engine.documents.load import load
from graders_engine.guides import text_of
from graders_engine.version import RESULTS_VERSION, __version__

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
SECURITY = (ROOT / ".github/SECURITY.md").read_text(encoding="utf-8")
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[0-9]*.yml"))
TO_BE_MADE = re.compile(r"NAME|TYPE|GROUP|FAMILY")
ROOMS = ("", "graders_engine", "graders_engine/graders", "graders_engine/metrics")
"""Where a shorter path is, once a step has said the whole one of a neighbour."""


def paths_in(page: str) -> list[str]:
    """The files and folders that a page names, but those that are to be made."""
    code = re.findall(r"`([^`\n]+)`", page) + re.findall(
        r"^(?:.* )?(tests/\S+)", page, re.MULTILINE
    )
    words = {word.rstrip(".,;:`)") for part in code for word in part.split()}
    return sorted(
        word
        for word in words
        if re.fullmatch(r"\.?[\w-]+(/[\w.-]+)+/?", word) and not TO_BE_MADE.search(word)
    )


@pytest.mark.parametrize("page", [CONTRIBUTING, SECURITY], ids=["CONTRIBUTING", "SECURITY"])
def test_every_file_that_a_page_for_contributors_names_is_there(page: str) -> None:
    named = paths_in(page)
    assert len(named) > 1
    assert not [path for path in named if not any((ROOT / room / path).exists() for room in ROOMS)]


def test_every_script_of_ci_is_explained_in_a_line() -> None:
    explained = re.findall(r"^\| `(\.ci/[\w.-]+)` \|", CONTRIBUTING, re.MULTILINE)
    assert sorted(explained) == sorted(
        path.relative_to(ROOT).as_posix() for path in (ROOT / ".ci").iterdir() if path.is_file()
    )


def test_every_heading_that_the_contents_link_to_is_there() -> None:
    linked = re.findall(r"\(#([\w-]+)\)", CONTRIBUTING)
    headings = {
        re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^## (.*)$", CONTRIBUTING, re.MULTILINE)
    }
    assert set(linked) == headings


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_for_issues_has_what_the_repositorys_pages_need(path: Path) -> None:
    form: Any = load(path.read_text(encoding="utf-8"), "a form", name=path.name)
    assert {"name", "description", "body"} <= form.keys()
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert all(part["attributes"]["label"] for part in asked)
    assert all(part["validations"]["required"] for part in asked if part["id"] != "now")
    ids = [part["id"] for part in asked]
    assert len(ids) == len(set(ids))


WORKFLOWS: dict[str, Any] = {
    path.stem: load(path.read_text(encoding="utf-8"), "a workflow", name=path.name)
    for path in (ROOT / ".github/workflows").glob("*.yml")
}


def scripts_called() -> set[str]:
    """The scripts of `.ci` that workflows run; one of `nightly` is named by a list."""
    commands = [
        step.get("run", "")
        for flow in WORKFLOWS.values()
        for job in flow["jobs"].values()
        for step in job["steps"]
    ]
    named = {name for command in commands for name in re.findall(r"\.ci/([\w-]+)", command)}
    return named | {*WORKFLOWS["nightly"]["jobs"]["suite"]["strategy"]["matrix"]["script"]}


def test_workflows_run_every_script_of_ci_and_no_other() -> None:
    by_hand = {"api", "build_wordnet.py", "install", "pythons"}
    assert (
        scripts_called()
        == {path.name for path in (ROOT / ".ci").glob("[!_]*") if path.is_file()} - by_hand
    )


def test_workflows_test_the_pythons_of_ci() -> None:
    tried = re.findall(r"\bpython(3\.\d+)\b", (ROOT / ".ci/pythons").read_text(encoding="utf-8"))
    assert WORKFLOWS["tests"]["jobs"]["run"]["strategy"]["matrix"]["python"] == tried


def test_no_workflow_has_a_secret_and_only_publishing_may_ask_who_it_is() -> None:
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        assert "secrets." not in text
        assert "password" not in re.sub(r"#.*", "", text)
    for name, flow in WORKFLOWS.items():
        assert flow["permissions"] == {"contents": "read"}
        for job_name, job in flow["jobs"].items():
            may = {"id-token": "write"} if (name, job_name) == ("release", "publish") else None
            assert job.get("permissions") == may
            # An expression within a command would run what a branch or a tag is named.
            assert not [step for step in job["steps"] if "${{" in step.get("run", "")]


def newest_entry() -> tuple[str, str]:
    """The version of the changelog's first entry, and its text."""
    _, version, text, *_ = re.split(r"^## (\S+)$", text_of("changelog"), flags=re.MULTILINE)
    return version, text


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    version, text = newest_entry()
    assert version == __version__
    assert f"\nResults format: {RESULTS_VERSION}\n" in text


@pytest.mark.parametrize("name", ["__version__", "RESULTS_VERSION"])
def test_the_version_and_the_results_format_are_each_written_in_one_place(name: str) -> None:
    written = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "graders_engine").rglob("*.py")
        if re.search(rf"^{name}\b.* = ", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert written == ["graders_engine/version.py"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == written[0]
