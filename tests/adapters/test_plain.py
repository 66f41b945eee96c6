"""Values of data libraries become JSON values, and never another number or text."""

from __future__ import annotations

import enum
import math
import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.adapters.plain import NotJson, plain


class Colour(enum.Enum):
    RED = "red"


class Word(str):
    __slots__ = ()


class Place(pydantic.BaseModel):
    city: str
    seen: date


VALUES: list[tuple[Any, Any]] = [
    (np.int64(3), 3),
    (np.float32(0.5), 0.5),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array([{"a": np.array([1])}, None], dtype=object), [{"a": [1]}, None]),
    (np.datetime64("2026-01-02"), "2026-01-02"),
    (np.array(["2026-01-02T03:04:05", "NaT"], dtype="M8[s]"), ["2026-01-02T03:04:05", None]),
    (pa.scalar(3), 3),
    (pa.array([1, None]), [1, None]),
    (math.nan, None),
    (np.float64("nan"), None),
    (MappingProxyType({"a": (1, 2)}), {"a": [1, 2]}),
    ({1: {"b"}}, {"1": ["b"]}),
    (Decimal("1.5"), 1.5),
    (date(2026, 1, 2), "2026-01-02"),
    (datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
    (time(3, 4), "03:04:00"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Colour.RED, "red"),
    (Word("x"), "x"),
    (Place(city="Oslo", seen=date(2026, 1, 2)), {"city": "Oslo", "seen": "2026-01-02"}),
]
NOT_JSON = [
    b"x", bytearray(b"x"), math.inf, np.float64("inf"), 1j, np.complex64(1), object(), np.timedelta64(3, "s"),
    timedelta(seconds=3), {"a": [object()]}, {object(): 1}, np.array([b"x"]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "made"), VALUES, ids=lambda value: type(value).__name__)
def test_a_value_becomes_the_json_value_that_it_stands_for(value: Any, made: Any) -> None:
    found = plain(value)
    assert (found, type(found)) == (made, type(made))


@pytest.mark.parametrize("value", NOT_JSON, ids=lambda value: type(value).__name__)
def test_a_value_without_a_json_form_is_refused(value: Any) -> None:
    with pytest.raises(NotJson):
        plain(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    deep: list[Any] = []
    deep.append(deep)
    with pytest.raises(NotJson, match="too deep"):
        plain(deep)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_json_values_stay_as_they_are(value: Any) -> None:
    assert plain(value) == value
