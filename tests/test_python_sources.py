"""A source is read without running it, and however hostile it is, within limits."""

from __future__ import annotations

import pytest

from graders_engine import Engine
from graders_engine.errors import InvalidGrader
from graders_engine.graders import python_source

GRADE = "\ndef grade(sample, item): return 1.0\n"
PAD = "# padding\n" * 1000
SOURCES = [
    GRADE,
    "import os, a.b as c\nfrom d.e import f" + GRADE,
    "def grade(sample): return 1.0",
    "async def grade(sample, item): return 1.0",
    "def grade(sample, item): yield 1.0",
    "x = 1",
    "x = (\n",
    "def f(:\n" + GRADE,
    "x = '\0'" + GRADE,
    "x = '\ud800'" + GRADE,
    "été = '中'; x = 1 1" + GRADE,
    "x = " + "(" * 300 + ")" * 300 + GRADE,
]


@pytest.mark.parametrize("source", SOURCES)
def test_a_long_source_is_read_as_a_short_one(source: str) -> None:
    short, long = python_source.inspect(source), python_source.inspect(source + PAD)
    assert long == short


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import a" + ".a" * 100_000, id="a module's name of 100,000 parts"),
        pytest.param("x = " + "not " * 60_000 + "1", id="60,000 times not"),
        pytest.param("x = a" + ".b" * 100_000, id="100,000 attributes"),
        pytest.param("x = " + "+".join(["1"] * 100_000), id="100,000 terms"),
    ],
)
def test_a_source_that_python_cannot_parse_is_a_mistake(source: str) -> None:
    with (
        Engine() as engine,
        pytest.raises(InvalidGrader, match=r"cannot parse the source(: [A-Za-z]| within 10 s)"),
    ):
        engine.validate({"type": "python", "source": source + GRADE})
