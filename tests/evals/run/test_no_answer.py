"""An eval's run takes for an answer what `graders score` does, of rows as of an endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dataset.no_answer_cases import EMPTY, NONE, REFUSED
from tests.evals.run.made import Bench, completions, counts, jsonl, string_check
from tests.judges.judge_server import JudgeServer, answer

IS_EMPTY = string_check("empty", reference="")
IS_NOT = string_check("not empty", operation="ne", reference="")


def test_a_run_grades_each_form_as_score_does(bench: Bench) -> None:
    samples = [*EMPTY.values(), *REFUSED.values(), *(sample for sample, _ in NONE.values())]
    rows = [{"item": {"a": 1}, "sample": sample} for sample in samples]
    run = bench.completed([IS_EMPTY], jsonl(*rows))
    items = bench.items(run)
    found = dict(zip([*EMPTY, *REFUSED, *NONE], items, strict=True))
    passed = dict.fromkeys(EMPTY, "pass") | dict.fromkeys(REFUSED, "fail")
    assert {name: item["status"] for name, item in found.items()} == (
        dict.fromkeys(NONE, "error") | passed
    )
    assert counts(run) == (len(items), len(EMPTY), len(REFUSED), len(NONE))
    for name, (_, words) in NONE.items():
        assert words in found[name]["sample"]["error"]["message"], name


@pytest.mark.parametrize(
    ("reply", "status", "words"),
    [
        ({"choices": [{"message": {}}]}, "error", "has no `content`"),
        ({"choices": [{"message": {}, "finish_reason": "content_filter"}]}, "pass", ""),
        ({"choices": [{"message": {}, "finish_reason": "length"}]}, "pass", ""),
        ({"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}, "pass", ""),
    ],
)
def test_an_endpoint_that_says_nothing_gives_an_answer_only_if_it_ends_one(
    bench: Bench, server: JudgeServer, reply: Any, status: str, words: str
) -> None:
    server.script = lambda asked: answer(reply)
    run = bench.completed([IS_EMPTY], completions({"question": "?"}))
    (item,) = bench.items(run)
    assert item["status"] == status
    assert words in str(item["sample"]["error"])
    against = bench.completed([IS_NOT], completions({"question": "?"}))
    assert bench.items(against)[0]["status"] == ("error" if status == "error" else "fail")
