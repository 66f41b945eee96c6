"""Of a flag's details, the line that says most is shown; a blame says what it means."""

from __future__ import annotations

import pytest

from graders_engine import Engine
from graders_engine.outcome import Failure, Flag, details_line, flags_of
from graders_engine.report.formatting import BLAME_MEANINGS

TRACE = """Traceback (most recent call last):
  File "grader.py", line 2, in grade
    return helper(item)
           ^^^^^^^^^^^^
  File "grader.py", line 4, in helper
    return item["x"][0]
TypeError: 'NoneType' object is not subscriptable"""
FOUND = "TypeError: 'NoneType' object is not subscriptable (grader.py, line 4)"
CHAINED = f"""Traceback (most recent call last):
  File "grader.py", line 9, in grade
KeyError: 'a'

During handling of the above exception, another exception occurred:

{TRACE}"""
SYNTAX = """Traceback (most recent call last):
  File "grader.py", line 3
    x =
        ^
SyntaxError: invalid syntax"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "grader.py", line 2, in grade
  | ExceptionGroup: two (2 sub-exceptions)"""


@pytest.mark.parametrize(
    ("details", "line"),
    [
        ("one\ntwo", "one"),
        ("\n\n  one", "  one"),
        ("", ""),
        (TRACE, FOUND),
        (f"fmt: {TRACE}", f"fmt: {FOUND}"),
        (f"fmt: {TRACE}\nother: {TRACE}", f"fmt: {FOUND}"),
        (f"{TRACE}\nwith a second line", FOUND),
        (CHAINED, FOUND),
        (CHAINED.replace("During handling of the above exception, another exception occurred",
                         "The above exception was the direct cause of the following exception"), FOUND),
        (SYNTAX, "SyntaxError: invalid syntax (grader.py, line 3)"),
        (GROUP, "| ExceptionGroup: two (2 sub-exceptions)"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("Traceback (most recent call last):\nValueError: x", "ValueError: x"),
    ],
)  # fmt: skip
def test_a_traceback_is_shown_by_its_exception_and_line(details: str, line: str) -> None:
    assert details_line(details) == line


def test_one_cause_in_several_parts_is_said_once_after_their_keys() -> None:
    failures = (
        *(Failure(Flag.SAMPLE_PARSE, "not JSON", "sample", grader=key) for key in ("a", "b")),
        Failure(Flag.SAMPLE_PARSE, "empty", "sample", grader="c"),
        Failure(Flag.OTHER, "no key", "row"),
    )
    assert flags_of(failures, (Flag.TRUNCATED_OBSERVATION,)) == {
        Flag.TRUNCATED_OBSERVATION.value: "",
        Flag.SAMPLE_PARSE.value: "a, b: not JSON\nc: empty",
        Flag.OTHER.value: "no key",
    }


def test_what_a_grader_is_to_blame_for_covers_a_text_that_is_too_long() -> None:
    with Engine(max_text_chars=3) as engine:
        grader = {
            "type": "text_similarity", "evaluation_metric": "fuzzy_match",
            "input": "{{sample.output_text}}", "reference": "a",
        }  # fmt: skip
        (row,) = engine.score(grader, [{"item": {}, "model_sample": "too long"}])
    assert row.blame == "grader"
    assert "a limit is passed" in BLAME_MEANINGS[row.blame]
