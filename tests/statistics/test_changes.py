"""The differences of two graders, by path: all of them and nothing else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from graders_engine.dataset.results.changes import Change, changes

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c d"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values, json_values)
def test_there_are_changes_exactly_when_values_differ(old: Any, new: Any) -> None:
    assert not list(changes(old, old))
    one, other = (json.dumps(value, sort_keys=True) for value in (old, new))
    assert bool(list(changes(old, new))) == (one != other)


def test_changes_are_named_by_path() -> None:
    old = {"input": [{"content": "a"}], "range": [0, 1], "x-y": 1, "gone": None, "same": 1}
    new = {"input": [{"content": "b"}], "range": [0, 1, 2], "x-y": True, "same": 1.0}
    assert list(changes(old, new)) == [
        Change("input[0].content", "changed", "a", "b"),
        Change("range[2]", "added", None, 2),
        Change('["x-y"]', "changed", 1, True),
        Change("gone", "removed", None, None),
    ]
