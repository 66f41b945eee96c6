"""Which places graded a run's rows is recorded and told, and changes nothing of what may be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.cluster.connection import ClusterOptions
from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.meta import GRADED_ON, THIS_MACHINE, read_meta, record
from graders_engine.dataset.scoring.launch import WorkerOptions
from graders_engine.dataset.scoring.score import score_file
from graders_engine.models.scripted import Scripted
from graders_engine.report.ended_run import EndedRun
from graders_engine.report.provenance import Provenance
from graders_engine.report.terminal.screen import FILE
from tests.dataset.files import cats, write_rows
from tests.dataset.judged import JUDGED

CLUSTER = "the Ray cluster at ray://head:10001"
IDENTITY: dict[str, Any] = {"grader": {"type": "string_check"}, "data": {}, "settings": {}}
LINE = b'{"line": 1}\n'


def graded(out: Path, place: str = THIS_MACHINE) -> list[str] | None:
    """Add a result that comes from a place; what is recorded then."""
    with ResultsFile(out, IDENTITY, place=place) as results:
        results.add_lines(LINE)
    places: list[str] | None = read_meta(out).get(GRADED_ON)
    return places


def test_places_are_recorded_in_their_order_and_once(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert graded(out, CLUSTER) == [CLUSTER]
    assert graded(out, CLUSTER) == [CLUSTER]
    assert graded(out) == [CLUSTER, "this machine"]
    assert graded(out, CLUSTER) == [CLUSTER, "this machine"]
    assert graded(out, "elsewhere") == [CLUSTER, "this machine", "elsewhere"]


def test_a_run_that_this_machine_began_says_so_once_another_place_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert graded(out) is None
    assert graded(out) is None
    assert graded(out, CLUSTER) == ["this machine", CLUSTER]


def test_a_run_without_new_rows_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    graded(out)
    with ResultsFile(out, IDENTITY, place=CLUSTER):
        pass
    assert GRADED_ON not in read_meta(out)


def test_rows_that_are_graded_again_are_counted_too(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    graded(out)
    with ResultsFile(out, IDENTITY, place=CLUSTER) as results:
        results.replace([LINE])
    assert read_meta(out)[GRADED_ON] == ["this machine", CLUSTER]


@pytest.mark.parametrize("address", ["ray://head:10001", "10.0.0.7:6379"])
def test_the_place_of_a_run_is_the_cluster_that_its_rows_are_sent_to(
    address: str, string_check: dict[str, Any]
) -> None:
    there, here = WorkerOptions(2, ClusterOptions(address)), WorkerOptions(2, None)
    with Engine(judges=Scripted(1.0)) as engine:
        text, judged = engine.compile(string_check), engine.compile(JUDGED)
        assert there.place(text, None) == f"the Ray cluster at {address}"
        assert there.place(judged, None) == here.place(text, None) == "this machine"


def test_reports_tell_where_rows_were_graded(tmp_path: Path, string_check: dict[str, Any]) -> None:
    data, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    write_rows(data, cats(20))
    with Engine() as engine:
        tally = score_file(engine, string_check, data, out)
    for places, said in (
        (None, ""),
        ([CLUSTER], CLUSTER),
        ([CLUSTER, "this machine"], f"{CLUSTER}, then this machine"),
    ):
        if places:
            record(out, graded_on=places)
        facts = dict(Provenance(out, read_meta(out)).facts())
        assert facts.get("graded on", "") == said
        text = EndedRun(tally, out, {}).text(FILE)
        assert ("graded on" in text) == bool(said)
        assert f"  graded on {said}" in text or not said
