"""Whatever objects an export of the hosted evals holds, its import ends with a report."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine.evals.hosted.conversion import import_evals
from graders_engine.evals.hosted.export import survey
from graders_engine.evals.hosted.imported import Imported
from graders_engine.evals.hosted.instructions import import_report
from tests.dataset.evals_service import EVALS, RUNS
from tests.dataset.test_evals_export import lines, write


def test_the_lists_in_the_terminal_are_short() -> None:
    shown = import_report(Imported(left_out=[f"line {n}" for n in range(20)]), max_entries=3)
    assert "- line 2\n- … and 17 more" in shown


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "type", "score", "id", "output", "content"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(
    st.lists(ANYTHING, max_size=3),
    st.dictionaries(
        st.sampled_from(["id", "run_id", "eval_id", "datasource_item", "results", "sample"]),
        ANYTHING,
    ),
    ANYTHING,
)
def test_no_object_breaks_an_import(criteria: list[Any], item: dict[str, Any], name: Any) -> None:
    objects = [
        {**EVALS[0], "name": name, "testing_criteria": criteria},
        {**RUNS[0], "name": name, "data_source": name},
        {"object": "eval.run.output_item", **item},
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder) / "export.jsonl", lines(objects))
        imported = import_evals([file], Path(folder) / "evals")
    rows_made = sum(made.rows for own in imported.evals for made in own.runs)
    assert rows_made or any("left out" in said for said in imported.left_out)


def test_wrapping_without_end_is_named_and_passed_over(tmp_path: Path) -> None:
    deep: Any = EVALS[0]
    for _ in range(50):
        deep = [deep]
    write(
        tmp_path / "deep.jsonl",
        json.dumps(deep) + "\n" + "[" * 100_000 + "\n" + json.dumps(EVALS[1]),
    )
    found = survey([tmp_path / "deep.jsonl"])
    assert list(found.evals) == ["eval_2"]
    assert "line 1: There is no eval" in found.unreadable[0]
    assert "nests too deep" in found.unreadable[1]
