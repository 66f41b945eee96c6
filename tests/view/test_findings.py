"""Reports of preflight beside the runs: what the list says, the page's sections, and the rows of findings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from graders_engine import Engine
from graders_engine.dataset.scoring.score import score_file
from graders_engine.report.html.preflight import preflight_page
from graders_engine.report.stored_preflight import preflight_json
from graders_engine.settings import EngineSettings
from graders_engine.storage.store import Store
from graders_engine.view.app import view_of_store
from tests.preflight.ask import EXACT, SUMS, ask
from tests.view.asking import Page

GRADER = {**EXACT, "name": "contains", "operation": "ilike"}
ROWS: list[Any] = [*SUMS, SUMS[3], {**SUMS[5], "answer": "other"}]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A folder with the rows and what preflight says of them: as JSON, and as the page that it writes."""
    folder = tmp_path_factory.mktemp("asked")
    report = ask(folder, GRADER, ROWS, ignore={"duplicate-rows": "a trial"})
    return folder, preflight_json(report, "error"), preflight_page(report)


@pytest.fixture
def folder(written: tuple[Path, dict[str, Any], str], tmp_path: Path) -> Path:
    """A project: rows in a folder, the report in another; the names of files are those of its root."""
    (tmp_path / "data").mkdir()
    (tmp_path / "reports").mkdir()
    text = json.dumps(written[1]).replace(f"{written[0]}/", "data/")
    (tmp_path / "reports" / "preflight.json").write_text(text)
    (tmp_path / "data" / "train.jsonl").write_bytes((written[0] / "train.jsonl").read_bytes())
    return tmp_path


def report_of(page: Page, name: str = "reports/preflight.json") -> Any:
    return page.json(f"preflight?report={name}")


def elements(tree: Any) -> Iterator[tuple[str, dict[str, str], Any]]:
    if isinstance(tree, list):
        yield tree[0], tree[1], tree[2]
        for child in tree[2]:
            yield from elements(child)


def text_of(tree: Any) -> str:
    return tree if isinstance(tree, str) else "".join(map(text_of, tree[2]))


def links(report: Any) -> dict[str, str]:
    """By their texts, the addresses of the places of findings."""
    (tree,) = [section["tree"] for section in report["sections"] if section["id"] == "findings"]
    return {text_of(of): of[1]["href"] for of in map(list, elements(tree)) if of[0] == "a"}


def test_reports_are_listed_with_what_was_found(folder: Path) -> None:
    whole = (folder / "reports" / "preflight.json").read_text()
    (folder / "cut.json").write_text(whole.partition('"measured"')[0])
    (folder / "other.json").write_text('{"engine": "1", "settings": {}}')
    listing = Page(folder).json("runs")
    reports = {one.pop("report"): one for one in listing["preflight"]}
    assert set(reports) == {"cut.json", "reports/preflight.json"}
    found = reports["reports/preflight.json"]
    assert (found["grader"], found["data"], found["rows"]) == (
        "contains",
        ["train.jsonl"],
        len(ROWS),
    )
    assert found["verdict"] == "warning"
    assert found["findings"]["warning"] >= 2
    assert "ends too early" in reports["cut.json"]["problem"]
    assert reports["cut.json"]["verdict"] is None
    assert [one["path"] for one in listing["others"]] == ["data/train.jsonl"]


def test_the_page_has_the_sections_of_the_report_that_is_written_as_a_file(
    folder: Path, written: tuple[Path, dict[str, Any], str]
) -> None:
    report = report_of(Page(folder))
    for section in report["sections"]:
        assert f'<section id="{section["id"]}"' in written[2]
        assert len(text_of(section["tree"])) > 20, section["id"]
    assert {"overview", "findings", "ladder", "attacks", "statistics", "ignored", "origin"} <= {
        section["id"] for section in report["sections"]
    }
    assert "Gameable?" in text_of(report["sections"][0]["tree"])
    assert "Not shown" not in text_of(report["sections"][0]["tree"])
    assert report["notes"] == []


def test_each_place_of_a_finding_leads_to_the_texts_of_its_row(folder: Path) -> None:
    page = Page(folder)
    found = links(report_of(page))
    assert {"train.jsonl:6", "train.jsonl:62"} <= set(found)
    for text, href in found.items():
        asked = urlsplit(href)
        assert asked.path == "/view/preflight/row"
        row = page.json(f"preflight/row?{asked.query}")
        line = int(parse_qs(asked.query)["line"][0])
        assert text == f"train.jsonl:{line}"
        assert row["messages"] == [
            {"role": "user", "text": ROWS[line - 1]["messages"][0]["content"]}
        ]
        assert [(one["name"], one["text"]) for one in row["fields"]] == [
            ("answer", ROWS[line - 1]["answer"])
        ]
        assert row["findings"]
    row = page.json("preflight/row?report=reports/preflight.json&file=data/train.jsonl&line=62")
    assert [one["id"] for one in row["findings"]] == ["conflicting-references"]
    assert (
        page.get("preflight/row?report=reports/preflight.json&file=data/train.jsonl&line=63").status
        == 404
    )
    assert (
        page.get("preflight/row?report=reports/preflight.json&file=data/train.jsonl&line=0").status
        == 400
    )


def test_a_place_leads_to_the_row_of_a_run_over_the_same_data(folder: Path) -> None:
    rows = folder / "data" / "train.jsonl"
    with Engine() as engine:
        score_file(engine, GRADER, rows, folder / "run.jsonl", sample_field="answer")
    page = Page(folder)
    found = links(report_of(page))
    assert found["train.jsonl:62"] == "/view/runs/run.jsonl/rows/62"
    row = page.json("runs/run.jsonl/rows/62")
    assert ROWS[61]["messages"][0]["content"] in json.dumps(row["item"])
    rows.write_text(rows.read_text() + "{}\n")
    changed = report_of(page)
    assert links(changed)["train.jsonl:62"].startswith("/view/preflight/row?")
    assert "not as it was" in changed["notes"][0]
    row = page.json("preflight/row?report=reports/preflight.json&file=data/train.jsonl&line=62")
    assert "not as it was" in row["problem"]


def test_a_line_that_is_no_row_is_shown_as_it_is(tmp_path: Path) -> None:
    text = "".join(json.dumps(row) + "\n" for row in SUMS) + '{"answer": \n'
    report = preflight_json(ask(tmp_path, GRADER, text))
    (tmp_path / "p.json").write_text(json.dumps(report))
    page = Page(tmp_path)
    href = links(report_of(page, "p.json"))["train.jsonl:61"]
    row = page.json(f"preflight/row?{urlsplit(href).query}")
    assert row["raw"]["text"] == '{"answer": '
    assert "This line is no row" in row["unread"]
    assert str(tmp_path) not in json.dumps(report_of(page, "p.json")["notes"])


def test_data_that_are_not_opened_are_said_and_lead_nowhere(folder: Path) -> None:
    report = report_of(Page(folder / "reports"), "preflight.json")
    assert links(report) == {}
    assert "train.jsonl is not in what was opened" in report["notes"][0]


EMPTY: dict[str, Any] = {
    "settings": {}, "inputs": {}, "summary": {}, "findings": [], "fine": [], "not_checked": [],
    "measured": {},
}  # fmt: skip
OUTSIDE = [
    "../secret.jsonl", "{tmp}/secret.jsonl", "link.jsonl", ".hidden/secret.jsonl", "a\0b", "/etc/passwd", "",
    "reports", "pipe",
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE, ids=range(len(OUTSIDE)))
def test_no_name_in_a_report_leads_out_of_what_was_opened(name: str, tmp_path: Path) -> None:
    secret, opened = tmp_path / "secret.jsonl", tmp_path / "opened"
    secret.write_text('{"messages": "secret"}\n')
    (opened / ".hidden").mkdir(parents=True)
    (opened / "reports").mkdir()
    (opened / ".hidden" / "secret.jsonl").write_bytes(secret.read_bytes())
    (opened / "link.jsonl").symlink_to(secret)
    os.mkfifo(opened / "pipe")
    named = name.format(tmp=tmp_path)
    where = [{"file": named, "line": 1, "path": ""}]
    finding = {"id": "x", "severity": "error", "message": "m", "where": where}
    report = {**EMPTY, "inputs": {named: {"rows": 1}}, "findings": [finding]}
    (opened / "p.json").write_text(json.dumps(report))
    page = Page(opened)
    assert links(report_of(page, "p.json")) == {}
    answer = page.ask(
        "GET", "/view/api/preflight/row?report=p.json&line=1&file=" + named.replace("\0", "%00")
    )
    assert b"secret" not in answer.body.replace(b"secret.jsonl", b"")


HOSTILE = [
    json.dumps({**EMPTY, "settings": 1}),
    json.dumps({**EMPTY, "findings": ["x"]}),
    '{"engine": "1", "settings": {"reference_field": ' + "[" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=["settings", "findings", "too deep"])
def test_what_is_no_report_is_listed_with_the_reason(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    page = Page(tmp_path)
    (listed,) = page.json("runs")["preflight"]
    assert "cannot be read" in listed["problem"]
    assert page.get("preflight?report=p.json").status == 422


def test_parts_of_another_form_are_left_out_and_named(
    written: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    report = json.loads(json.dumps(written[1]))
    report["measured"] |= {
        "attacks": [{**report["measured"]["attacks"][0], "variants": []}],
        "corruptions": [{**report["measured"]["corruptions"][0], "count": 0}],
        "scale": {"lowest": "<b>"},
        "new": {"x": 1},
    }
    report["findings"] = report["findings"] * 400
    report["settings"]["<i>"] = {"deep": [[[]]]}
    (tmp_path / "p.json").write_text(json.dumps(report))
    found = report_of(Page(tmp_path), "p.json")
    text = text_of(["", {}, [section["tree"] for section in found["sections"]]])
    assert "cannot read them: scale, attacks, corruptions, new." in text
    assert "more findings are in the file" in text
    assert "<i>" in text


def test_a_server_opens_no_reports(folder: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "jobs") as store:
        page = Page(view=view_of_store(store, EngineSettings()))
        assert page.json("runs")["preflight"] == []
        assert page.get("preflight?report=reports/preflight.json").status == 404
        assert page.get(f"preflight?report={folder}/reports/preflight.json").status == 404
