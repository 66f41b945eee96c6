"""Pages of output items: each item once, in its order, with any filter, while a run goes on as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from graders_engine.evals.run.items import FILTERS, OutputItems
from graders_engine.storage.errors import UnknownCursor
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from tests.evals.run.made import Bench, jsonl, row, string_check

LABELS = ["a", "b", None, "a", "a", "b", None] * 7
STATUSES = {"a": "pass", "b": "fail", None: "error"}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, StoredRun]]:
    """A run of as many items as there are labels; with nothing in it, an item is an error."""
    folder: Path = tmp_path_factory.mktemp("items")
    bench = Bench(folder / "store")
    rows = [{"item": {"n": 1}} if one is None else row("a", one) for one in LABELS]
    yield bench, bench.completed([string_check()], jsonl(*rows))
    bench.store.close()


@given(
    limit=some.integers(1, 60),
    down=some.booleans(),
    status=some.sampled_from([None, *FILTERS]),
)
def test_pages_have_each_item_once(
    graded: tuple[Bench, StoredRun], limit: int, down: bool, status: str | None
) -> None:
    bench, run = graded
    items = OutputItems(bench.store)
    numbers = [
        n for n, one in enumerate(LABELS) if status is None or STATUSES[one] == FILTERS[status]
    ]
    found: list[int] = []
    after = None
    while True:
        page = items.page(run, Page(after, limit, "desc" if down else "asc"), status)
        found += [one["datasource_item_id"] for one in page.data]
        assert all(
            one["status"] == STATUSES[LABELS[one["datasource_item_id"]]] for one in page.data
        )
        if not page.has_more:
            break
        assert len(page.data) == limit
        after = page.data[-1]["id"]
    assert found == (numbers[::-1] if down else numbers)


def test_an_item_is_found_by_its_id_alone(graded: tuple[Bench, StoredRun]) -> None:
    bench, run = graded
    items = OutputItems(bench.store)
    for item in items.page(run, Page(limit=100)).data:
        assert items.get(run, item["id"]) == item
    own = items.page(run, Page(limit=1)).data[0]["id"]
    for wrong in ("", "outputitem_1", f"{own}0", own.replace("_0", "_00"), own.replace("_0", "_-1"),
                  own.replace("_0", "_999"), "outputitem_" + "0" * 32 + "_0", own.upper()):  # fmt: skip
        assert items.get(run, wrong) is None
        with pytest.raises(UnknownCursor):
            items.page(run, Page(after=wrong))


def test_a_run_that_has_not_begun_has_no_items(graded: tuple[Bench, StoredRun]) -> None:
    bench, _ = graded
    run = bench.run([string_check()], jsonl(row("a")))
    found = OutputItems(bench.store).page(run, Page())
    assert (list(found.data), found.has_more) == ([], False)
    assert OutputItems(bench.store).get(run, "outputitem_0") is None


def test_the_sample_has_all_keys_that_clients_expect(graded: tuple[Bench, StoredRun]) -> None:
    from openai.types.evals.runs import OutputItemListResponse
    from openai.types.evals.runs.output_item_list_response import Sample

    bench, run = graded
    for item in OutputItems(bench.store).page(run, Page(limit=3)).data:
        assert item["sample"].keys() >= Sample.model_fields.keys()
        assert item.keys() >= OutputItemListResponse.model_fields.keys()


def test_items_of_an_imported_run_are_those_that_were_kept(graded: tuple[Bench, StoredRun]) -> None:
    bench, _ = graded
    run = bench.run([string_check()], jsonl(), status="completed")
    kept = [
        {"id": f"outputitem_{n}", "status": "pass" if n % 2 else "fail", "kept": n}
        for n in range(5)
    ]
    bench.store.items.add_many(run.id, kept)
    items = OutputItems(bench.store)
    assert list(items.page(run, Page(limit=2)).data) == kept[:2]
    assert list(items.page(run, Page("outputitem_1"), "failed").data) == [kept[2], kept[4]]
    assert items.get(run, "outputitem_3") == kept[3]
