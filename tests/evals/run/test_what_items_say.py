"""What items say of numbers that were clamped, and of samples that were given with them."""

from __future__ import annotations

from graders_engine.evals.run.reading import notes_on
from tests.evals.run.made import Bench, jsonl, judge, row, settings_for, string_check
from tests.judges.judge_server import JudgeServer, verdict


def test_a_judges_number_out_of_range_is_said_of_the_run_and_of_its_item(
    bench: Bench, server: JudgeServer
) -> None:
    server.script = lambda asked: verdict(7 if "high" in asked.text else 1)
    bench.settings = settings_for(server)
    run = bench.completed([judge("score_model"), string_check()], jsonl(row("high"), row("low")))
    high, low = (item["results"][0] for item in bench.items(run))
    assert (high["score"], high["unclamped_score"], high["passed"]) == (1.0, 7.0, True)
    assert (low["score"], "unclamped_score" in low) == (1.0, False)
    (note,) = notes_on(bench.store, run)
    assert "In 1 of 2 items the judge's number was outside the range of 'judge'" in note


def test_a_given_completion_keeps_its_model_and_usage_and_says_that_it_was_cut_off(
    bench: Bench,
) -> None:
    message = {"role": "assistant", "content": "long text cut"}
    sample = {
        "choices": [{"message": message, "finish_reason": "length"}],
        "model": "given-1",
        "usage": {"prompt_tokens": 4, "completion_tokens": 7, "total_tokens": 11},
    }
    run = bench.completed([string_check()], jsonl({"item": {"label": "x"}, "sample": sample}))
    (item,) = bench.items(run)
    assert item["sample"]["model"] == "given-1"
    assert item["sample"]["usage"]["total_tokens"] == 11
    assert item["sample"]["error"] == {
        "code": "truncated_observation_error",
        "message": "The model's answer was cut off: its `finish_reason` is length.",
    }
