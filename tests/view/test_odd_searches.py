"""Searches whose rows depend on what was searched before, on a letter that is two, or on what broke down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from graders_engine.errors import InvalidRequest
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import parse_query
from graders_engine.view.searching import folded, search
from graders_engine.view.searching.folding import Child
from tests.view.asking import Page
from tests.view.runs_to_open import opened
from tests.view.test_failures import until
from tests.view.test_search import asked, own_cache, run_of

__all__ = ["own_cache"]


def names(run: OpenRun, q: str) -> list[str]:
    return [run.name_of(index) for index in asked(run, q).indexes()]


def test_a_rows_name_is_found_after_a_search_for_its_beginning(tmp_path: Path) -> None:
    rows = [{"item": {"a": text}, "samples": ["x"]} for text in ("2 apples", "a pear")]
    run = opened(OpenRun(run_of(tmp_path, rows)))
    assert names(run, "2") == ["1#1"]
    assert names(run, "2#1 pear") == ["2#1"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("straß", ["1#1"]),
        (r"stra\ß", ["1#1"]),
        ("ß+e", ["1#1"]),
        ("[Äü]de", ["3#1"]),
        (r"[]ü]de", ["3#1"]),
        (r"[\]]ß|m[^ä]d", ["3#1"]),
        ("tra[äöüß]e", ["1#1"]),
        ("ra[À-ÿ]+e", ["1#1"]),
        ("[À-Þ]de", ["3#1"]),
        (r"ki[\]ß] ", ["2#1"]),
        ("[ß]$|[t-ÿ]de", ["3#1"]),
        (r"stra\xdf", ["1#1"]),
        (r"stra\u00DFe", ["1#1"]),
        (r"tra[\xe4\U000000df]e", ["1#1"]),
        (r"m\xdcde", ["3#1"]),
        (r"m[\xc0-\xff]de", ["3#1"]),
        (r"\x4d\xdc", ["3#1"]),
        (r"kis\x73 \x28", ["2#1"]),
        (r"\\xdf|\x5c", []),
    ],
)
def test_an_expression_with_letters_beyond_ascii_finds_texts_in_any_case(
    pattern: str, found: list[str], tmp_path: Path
) -> None:
    rows = [{"item": {}, "samples": [text]} for text in ("STRASSE", "kiss (x)", "MÜDE")]
    assert names(opened(OpenRun(run_of(tmp_path, rows))), f"/{pattern}/") == found


@pytest.mark.parametrize("pattern", ["[^ß]", r"x[^\]À-ÿ]", r"[^\xdf]"])
def test_brackets_cannot_leave_out_a_letter_that_is_two_in_another_case(
    pattern: str, tmp_path: Path
) -> None:
    rows = [{"item": {}, "samples": ["kiss (x)"]}]
    run = opened(OpenRun(run_of(tmp_path, rows)))
    with pytest.raises(InvalidRequest, match=r"ß is the letters ss.*cannot leave out"):
        run.rows(parse_query(urlencode({"q": f"/{pattern}/"})))


def test_rows_of_a_search_that_ended_early_pass_nowhere_for_all_that_have_the_word(
    tmp_path: Path,
) -> None:
    rows = [{"item": {"a": "pear"}, "samples": ["x"]}]
    for name in "ab":
        (tmp_path / name).mkdir()
        run_of(tmp_path / name, rows)
    (tmp_path / "a" / "data.jsonl").unlink()
    page = Page(tmp_path)
    run, says = "a%2Fresults.jsonl", "Only the flags' details were searched"
    found = page.json(f"runs/{run}/rows?q=pear")
    assert (found["count"], str(tmp_path) in found["search"]["problem"]) == (0, False)
    export = page.get(f"runs/{run}/export?q=pear")
    assert (export.status, says in export.error["message"]) == (422, True)
    compared = page.json(f"compare?a={run}&b=b%2Fresults.jsonl&q=pear&force=1")
    assert says in compared["search"]["problem"]
    grader = {
        "type": "string_check", "name": "g", "input": "{{item.a}}", "reference": "", "operation": "eq",
    }  # fmt: skip
    body = {"run": "a/results.jsonl", "grader": json.dumps(grader), "rows": "filter"}
    tried = page.post("try", {**body, "query": "q=pear"}).json
    assert (tried["rows"], says in tried["notes"][0]) == (0, True)


def test_a_search_in_a_comparison_is_no_longer_than_one_in_rows(tmp_path: Path) -> None:
    page = Page(tmp_path)
    found = page.get(f"compare?a=x&b=y&q={'/a+' * 3000}")
    assert (found.status, found.error["message"]) == (
        400,
        "The query is longer than 8,000 characters.",
    )


def test_two_searches_at_the_same_time_make_the_same_texts_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = opened(OpenRun(run_of(tmp_path, [{"item": {"a": "pear"}, "samples": ["x"]}])))
    run.data_texts.wait(60)
    texts = folded.FoldedTexts(run.data_texts.data(), folded.SEGMENT_BYTES)
    make = folded.texts_of

    def interrupted(*given: Any) -> tuple[Any, ...]:
        monkeypatch.setattr(folded, "texts_of", make)
        parts, *numbers = make(*given)

        def written() -> Iterator[bytes]:
            texts.build(0)  # another one begins and ends meanwhile
            yield from parts

        return written(), *numbers

    monkeypatch.setattr(folded, "texts_of", interrupted)
    texts.build(0)
    assert b"pear" in texts.read(0).text
    assert [path.name for path in texts.folder.iterdir()] == ["000000"]
    assert names(run, "pear") == ["1#1"]


def test_a_search_that_cannot_keep_texts_says_so_without_the_folders_of_the_cache(
    tmp_path: Path,
) -> None:
    run_of(tmp_path, [{"item": {"a": "pear"}, "samples": ["x"]}])
    page = Page(tmp_path)
    address = "runs/results.jsonl/rows"
    while page.json(address)["data_problem"]:
        pass
    (starts,) = (tmp_path / "cache" / "graders-engine" / "view").glob("*/new-*/starts")
    kept = starts.parents[1] / "texts"
    while not kept.is_dir():
        pass
    kept.rmdir()
    kept.write_text("no folder")
    problem = page.json(f"{address}?q=pear")["search"]["problem"]
    assert problem.startswith("The search ended early: ")
    assert "/" not in problem


def test_the_processes_of_a_search_end_when_others_have_taken_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "CPU_S", 1e6)
    asks: list[Any] = []
    ask = Child.ask

    def followed(child: Child, task: Any) -> None:
        ask(child, task)
        asks.append(task)

    monkeypatch.setattr(Child, "ask", followed)
    rows = [{"item": {"q": "x"}, "samples": ["a" * 60 + "!"]}]
    run = opened(OpenRun(run_of(tmp_path, rows)))
    run.rows(parse_query(urlencode({"q": "/(a+)+$/"})))
    assert until(
        lambda: len(asks) == 3
    )  # what it is, the flags' details, and the text that takes for ever
    for number in range(search.KEPT):
        run.rows(parse_query(f"q=word{number}"))
    threads = threading.enumerate
    assert until(lambda: not any(each.name == "graders-view-search" for each in threads()))
    run.close()
