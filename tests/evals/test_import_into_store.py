"""A hosted export that is put into a store answers old scripts as the hosted evals did."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from graders_engine.errors import DataSetError
from graders_engine.evals.creating import create_run
from graders_engine.evals.hosted.dashboard import GivenGrader
from graders_engine.evals.hosted.into_store import StoreImport, import_into
from graders_engine.evals.requests.run_body import new_run
from graders_engine.evals.run.items import OutputItems
from graders_engine.evals.wire import eval_object, run_object
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from tests.dataset.evals_service import CRITERIA, EVALS, ITEMS, RUNS, eval_, output_item, run
from tests.dataset.test_evals_dashboard import MATCH, THREE, line

OBJECTS = [*EVALS, *RUNS, *ITEMS]
ALL = Page(limit=1000)
NOW = 1_800_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def put(store: Store, tmp_path: Path) -> Any:
    """Imports objects, a line each."""

    def import_objects(
        objects: Sequence[Any], *given: GivenGrader, project: str = "default"
    ) -> StoreImport:
        file = tmp_path / "export.jsonl"
        file.write_text("".join(f"{json.dumps(one)}\n" for one in objects), encoding="utf-8")
        return import_into(store, project, [file], given, now=NOW)

    return import_objects


def listed(store: Store) -> list[dict[str, Any]]:
    """Everything that the server would answer, in its order."""
    evals = store.evals.page("default", ALL).data
    runs = [one for each in evals for one in store.runs.page("default", each.id, ALL).data]
    items = OutputItems(store)
    return [
        *map(eval_object, evals),
        *(run_object(one, "http://here/reports/1") for one in runs),
        *(item for one in runs for item in items.page(one, ALL).data),
    ]


def added(done: StoreImport) -> tuple[int, int, int]:
    return done.evals.new, done.runs.new, done.items.new


def present(done: StoreImport) -> tuple[int, int, int]:
    return done.evals.present, done.runs.present, done.items.present


def changed(value: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {**copy.deepcopy(value), **keys}


def test_everything_is_listed_as_it_was(store: Store, put: Any) -> None:
    extra = changed(EVALS[0], shared_with_openai=False, name=None, id="eval_9", metadata=None)
    assert added(put([*OBJECTS, extra])) == (4, 3, 7)
    assert listed(store) == [*EVALS, extra, *RUNS, *ITEMS]


def test_the_order_in_the_export_does_not_matter(store: Store, put: Any) -> None:
    assert added(put([*ITEMS, *RUNS, *EVALS])) == (3, 3, 7)
    assert listed(store) == OBJECTS


def test_importing_again_changes_nothing_and_says_the_same(store: Store, put: Any) -> None:
    first, second = put(OBJECTS), put(OBJECTS)
    assert (added(second), present(second)) == ((0, 0, 0), (3, 3, 7))
    assert second.notes == first.notes
    assert listed(store) == OBJECTS


def test_what_an_interrupted_import_left_is_added(store: Store, put: Any) -> None:
    put([*EVALS, *RUNS, *ITEMS[:3]])
    done = put(OBJECTS)
    assert (added(done), present(done)) == ((0, 0, 4), (3, 3, 3))
    assert listed(store) == OBJECTS


def test_an_eval_that_was_renamed_here_keeps_its_new_name(store: Store, put: Any) -> None:
    put(OBJECTS)
    store.evals.update("default", "eval_2", now=NOW, name="new", metadata={"team": "a"})
    assert present(put(OBJECTS)) == (3, 3, 7)
    kept = store.evals.get("default", "eval_2")
    assert kept is not None
    assert eval_object(kept) == changed(EVALS[1], name="new", metadata={"team": "a"})


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (changed(EVALS[1], name="x"), "x (eval eval_2): the store has another eval of this id"),
        (changed(RUNS[2], model="x"), "mini (run evalrun_3): the store has another run of this id"),
        (changed(ITEMS[6], status="fail"), "run evalrun_3: 1 output item left out: the store has"),
    ],
    ids=["eval", "run", "item"],
)
def test_of_two_objects_with_one_id_the_first_stays_and_the_other_is_named(
    other: dict[str, Any], note: str, store: Store, put: Any
) -> None:
    put(OBJECTS)
    done = put([other])
    assert any(one.startswith(note) for one in done.notes), done.notes
    assert added(done) == (0, 0, 0)
    assert listed(store) == OBJECTS


def test_another_projects_objects_are_not_taken(store: Store, put: Any) -> None:
    put(OBJECTS)
    done = put(OBJECTS, project="research")
    assert (added(done), present(done)) == ((0, 0, 0), (0, 0, 0))
    said = "\n".join(done.notes)
    assert "the project default has an eval of this id" in said
    assert "the project default has a run of this id" in said
    assert "run evalrun_1: 6 output items left out" in said


def test_a_run_in_progress_is_canceled_so_that_nobody_works_on_it_or_waits_for_it(
    store: Store, put: Any
) -> None:
    done = put([EVALS[1], changed(RUNS[2], status="in_progress"), ITEMS[6]])
    assert listed(store)[1] == changed(RUNS[2], status="canceled")
    assert not store.runs.states("queued", "in_progress")
    assert "mini (run evalrun_3): its status was in_progress" in "\n".join(done.notes)


def test_items_are_filtered_by_their_status_however_it_is_spelt(store: Store, put: Any) -> None:
    statuses = ["pass", "failed", "fail", "error"]
    items = [
        changed(ITEMS[6], id=f"outputitem_{number}", status=status)
        for number, status in enumerate(statuses)
    ]
    put([EVALS[1], RUNS[2], *items])
    kept = store.runs.find("evalrun_3")
    assert kept is not None
    for asked in ("fail", "failed"):
        found = OutputItems(store).page(kept, ALL, asked).data
        assert [one["status"] for one in found] == ["failed", "fail"]


def test_what_the_export_lacks_is_named(put: Any) -> None:
    done = put([EVALS[0], changed(RUNS[0], result_counts={"total": 9}), *ITEMS[:6]])
    said = "\n".join(done.notes)
    assert "mini (run evalrun_1): the export has 6 of its 9 output items." in said
    assert "file-1: the rows of 1 run were in this file" in said
    assert "the criterion Coherence: azure_ai_evaluator is built into Azure AI Foundry" in said


def test_a_threshold_that_no_score_reaches_is_named(put: Any) -> None:
    near, minimum, score = (
        next(one for one in CRITERIA if one["type"] == kind)
        for kind in ("text_similarity", "python", "score_model")
    )
    criteria = [
        {**near, "pass_threshold": 1.5},
        {**near, "name": "at the top", "pass_threshold": 1},
        {**minimum, "pass_threshold": 99},
        {**score, "range": [1, 7], "pass_threshold": 8},
        {**score, "name": "default range", "range": None, "pass_threshold": 3},
    ]
    assert put([changed(EVALS[1], testing_criteria=criteria)]).notes == [
        f"{EVALS[1]['name']} (eval eval_2): the criterion '{name}': no item can pass, as its pass_threshold "
        f"is {threshold} and its highest score {highest}."
        for name, threshold, highest in (
            (near["name"], "1.5", "1"), (score["name"], "8", "7"), ("default range", "3", "1"),
        )
    ]  # fmt: skip


def test_an_imported_criterion_without_a_threshold_can_be_run(store: Store, put: Any) -> None:
    near = next(one for one in CRITERIA if one["type"] == "text_similarity")
    del (lacking := dict(near))["pass_threshold"]
    assert not put([changed(EVALS[1], testing_criteria=[lacking])]).notes
    owner = store.evals.get("default", "eval_2")
    assert owner is not None
    rows = [item["datasource_item"] for item in ITEMS if item["eval_id"] == "eval_2"]
    content = [{"item": row, "sample": {"output_text": "x"}} for row in rows]
    source = {"type": "jsonl", "source": {"type": "file_content", "content": content}}
    assert create_run(store, owner, new_run({"data_source": source}), now=NOW) is not None


def test_a_run_without_its_eval_and_items_without_their_run_are_kept(
    store: Store, put: Any
) -> None:
    done = put([RUNS[2], *ITEMS[:3]])
    assert added(done) == (2, 2, 3)
    kept = {one["id"]: one for one in listed(store)}
    assert set(kept) == {"eval_1", "eval_2", "evalrun_1", "evalrun_3"} | {
        item["id"] for item in ITEMS[:3]
    }
    assert kept["evalrun_3"] == RUNS[2]
    assert [kept[item["id"]] for item in ITEMS[:3]] == ITEMS[:3]
    made = kept["evalrun_1"]
    assert (made["eval_id"], made["model"], made["status"]) == (
        "eval_1",
        "gpt-4o-mini",
        "completed",
    )
    assert made["result_counts"] == {"total": 3, "passed": 3, "failed": 0, "errored": 0}
    said = "\n".join(done.notes)
    assert "eval eval_2: not in the export, but runs of it are" in said
    assert "run evalrun_1: made of its output items" in said


def test_a_run_made_of_its_items_counts_a_status_however_it_is_spelt(
    store: Store, put: Any
) -> None:
    statuses = ["pass", "passed", "failed", "fail", "error"]
    items = [
        changed(ITEMS[0], id=f"outputitem_{number}", status=status)
        for number, status in enumerate(statuses)
    ]
    put([EVALS[0], *items])
    (made,) = (one for one in listed(store) if one["object"] == "eval.run")
    assert made["result_counts"] == {"total": 5, "passed": 2, "failed": 2, "errored": 1}


@pytest.mark.parametrize("broken", ["../../etc", "", None, "a b"])
def test_an_object_whose_id_leads_elsewhere_is_left_out_by_name(
    broken: Any, store: Store, put: Any
) -> None:
    bad_item = changed(ITEMS[6], id="outputitem_99", run_id=broken)
    done = put([*OBJECTS, changed(EVALS[0], id=broken), changed(RUNS[0], id=broken), bad_item])
    assert added(done) == (3, 3, 7)
    assert listed(store) == OBJECTS
    said = "\n".join(done.notes)
    assert "this cannot be the id of an eval" in said
    assert "this cannot be the id of a run" in said
    assert "1 output item left out" in said


def test_a_run_that_names_no_eval_is_left_out_with_its_items(store: Store, put: Any) -> None:
    done = put(
        [
            *OBJECTS,
            changed(RUNS[0], id="evalrun_9", eval_id=None),
            {**ITEMS[6], "run_id": "evalrun_9"},
        ]
    )
    assert listed(store) == OBJECTS
    said = "\n".join(done.notes)
    assert "mini (run evalrun_9): left out: its eval is not in the store." in said
    assert "run evalrun_9: 1 output item left out" in said


def test_texts_that_are_no_unicode_stay_what_they_are(store: Store, put: Any) -> None:
    odd = changed(ITEMS[6], datasource_item={"text": "a\ud800b"})
    for _ in range(2):
        put([EVALS[1], RUNS[2], odd, changed(odd, id="outputitem_\ud800")])
        assert listed(store) == [EVALS[1], RUNS[2], odd]


def test_lines_of_the_dashboard_become_output_items(store: Store, put: Any) -> None:
    done = put([*THREE, THREE[0]], GivenGrader("g.json", MATCH))
    assert added(done) == (1, 1, 3)
    assert done.items.present == 1
    made, made_run, *items = listed(store)
    assert [one["name"] for one in made["testing_criteria"]] == ["Match"]
    assert made_run["id"] == "evalrun_7"
    assert made_run["eval_id"] == made["id"]
    assert made_run["result_counts"] == {"total": 3, "passed": 3, "failed": 0, "errored": 0}
    assert made_run["per_testing_criteria_results"] == [
        {"testing_criteria": "Match", "passed": 3, "failed": 0}
    ]
    assert [one["datasource_item_id"] for one in items] == [2, 0, 1]
    first = items[0]
    assert first["datasource_item"] == {"answer": "4"}
    assert first["sample"]["output"] == [{"role": "assistant", "content": "4"}]
    assert first["results"] == [{"name": "Match", "score": 1.0, "passed": True, "sample": None}]
    again = put(THREE, GivenGrader("g.json", MATCH))
    assert (added(again), present(again)) == ((0, 0, 0), (1, 0, 3))
    assert listed(store) == [made, made_run, *items]


def test_the_dashboards_lines_do_not_double_the_items_of_the_api(store: Store, put: Any) -> None:
    lines = [line(0, "Markets", {"Match": 1.0}, run="evalrun_3")]
    done = put([*lines, *OBJECTS])
    assert listed(store) == OBJECTS
    assert (
        "run evalrun_3: 1 output item left out: the run has output items of the API"
        in "\n".join(done.notes)
    )


def test_an_export_without_objects_is_refused(put: Any) -> None:
    with pytest.raises(DataSetError, match="There is no eval, no run and no output item"):
        put([{"some": "thing"}])


def test_memory_does_not_grow_with_the_export(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for one in (eval_("eval_1", "long", CRITERIA[:1]), run("evalrun_1", "eval_1", "long")):
            print(json.dumps(one), file=out)
        for number in range(4_000):
            print(json.dumps(output_item(number, "evalrun_1", "eval_1", "x" * 4_000)), file=out)
    tracemalloc.start()
    done = import_into(store, "default", [file], now=NOW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done.items.new == 4_000
    assert file.stat().st_size > 18_000_000
    assert peak < 8_000_000


def pretty(objects: Sequence[Any]) -> str:
    """Objects as the SDK prints them, over many lines."""
    return "".join(f"{json.dumps(one, indent=2, ensure_ascii=False)}\n" for one in objects)


def test_objects_over_many_lines_are_read_one_at_a_time(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "pretty.json"
    items = [output_item(n, "evalrun_1", "eval_1", "ü" * 4_000) for n in range(2_000)]
    file.write_text("\ufeff" + pretty([EVALS[0], RUNS[0], *items]), encoding="utf-8")
    tracemalloc.start()
    done = import_into(store, "default", [file], now=NOW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert added(done) == (1, 1, 2_000)
    assert listed(store)[2:4] == items[:2]
    assert peak < 16_000_000 < file.stat().st_size


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (b'{"object":\n "eval",', "line {line}: The text is not JSON"),
        (b'{"a": NaN}', "line {line}: The text is not JSON: NaN is no JSON value."),
        (b'{"a":\n "\xff"}', "line {line}: The text is not UTF-8: byte 0xff at its byte {byte}."),
        (b"\xff", "line {line}: The text is not UTF-8: byte 0xff at its byte {byte}."),
    ],
)
def test_what_is_broken_after_sound_objects_is_named_by_its_line(
    end: bytes, reason: str, store: Store, tmp_path: Path
) -> None:
    sound = pretty(OBJECTS).encode()
    file = tmp_path / "broken.json"
    file.write_bytes(sound + end)
    done = import_into(store, "default", [file], now=NOW)
    assert listed(store) == OBJECTS
    line = sound.count(b"\n") + 1
    byte = len(sound) + end.find(b"\xff")
    assert f"broken.json, {reason.format(line=line, byte=byte)}" in "\n".join(done.notes)
