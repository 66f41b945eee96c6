"""A criterion that reads the item alone is graded where there is no sample; the others are errored there."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.evals.run.made import (
    Bench,
    completions,
    counts,
    echo,
    jsonl,
    judge,
    row,
    string_check,
)
from tests.judges.judge_server import Asked, JudgeServer, Reply, answer, error, said

MATCH = string_check("match")
ANIMAL = string_check("animal", input="{{item.label}}", reference="cat")
OF_ITEM = {
    "type": "python",
    "name": "of item",
    "id": "of-item-1",
    "source": "def grade(sample, item):\n    return float(len(item['label']) == 3)\n",
}
OF_BOTH = {
    "type": "python",
    "name": "of both",
    "id": "of-both-1",
    "source": "def grade(sample, item):\n    return float(sample['output_text'] in ('', item['label']))\n",
}
QUESTION = [{"role": "user", "content": "Is {{item.label}} an animal?"}]
JUDGED = judge("label_model", "judged", labels=["yes", "no"], passing_labels=["yes"])
JUDGED_ITEM = {**JUDGED, "name": "judged item", "id": "judged-item-1", "input": QUESTION}


def yes_to_cats(asked: Asked) -> Reply:
    found = "yes" if "cat" in asked.body["messages"][-1]["content"] else "no"
    return answer(said(f'{{"steps": [], "result": "{found}"}}'))


def passed_by_name(item: dict[str, Any]) -> dict[str, bool]:
    return {result["name"]: result["passed"] for result in item["results"]}


def added_up(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the results of a run's items say of each criterion."""
    met = Counter(pair for item in items for pair in passed_by_name(item).items())
    named = dict.fromkeys(name for item in items for name in passed_by_name(item))
    return [
        {"testing_criteria": name, "passed": met[name, True], "failed": met[name, False]}
        for name in named
    ]


def test_criteria_of_the_item_are_graded_without_a_sample(
    bench: Bench, server: JudgeServer
) -> None:
    server.script = yes_to_cats
    criteria = [MATCH, ANIMAL, OF_ITEM, OF_BOTH, JUDGED, JUDGED_ITEM]
    rows = [
        row("cat"),
        {"item": {"label": "cat"}},
        {"item": {"label": "horse"}, "sample": None},
        {"item": {"label": "cat"}, "sample": {"choices": [{"message": None}]}},
        {"item": {"label": "cat"}, "sample": {"error": {"message": "The model is down."}}},
    ]
    run = bench.completed(criteria, jsonl(*rows))
    whole, *without = bench.items(run)
    named = [one["id"] for one in criteria]
    assert passed_by_name(whole) == dict.fromkeys(named, True)
    of_item = [ANIMAL["id"], OF_ITEM["id"], JUDGED_ITEM["id"]]
    assert [passed_by_name(one) for one in without] == [
        dict.fromkeys(of_item, label == "cat") for label in ("cat", "horse", "cat", "cat")
    ]
    assert [one["status"] for one in without] == ["error"] * 4
    assert counts(run) == (5, 1, 0, 4)
    assert run.result["per_testing_criteria_results"] == added_up([whole, *without])
    errors = [one["sample"]["error"] for one in without]
    assert [one["code"] for one in errors] == [
        "no_sample",
        "no_sample",
        "unknown_form",
        "no_output",
    ]
    assert "`sample`" in errors[0]["message"]
    assert "`choices[0]` has no `message`" in errors[2]["message"]
    assert "The model is down" in errors[3]["message"]
    assert all(result["sample"] for one in without for result in one["results"][2:])


def test_a_sample_in_no_known_form_is_said_to_be_one(bench: Bench) -> None:
    given = {"item": {"label": "cat"}, "sample": {"foo": "bar"}}
    (item,) = bench.items(bench.completed([MATCH], jsonl(given)))
    error = item["sample"]["error"]
    assert error["code"] == "unknown_form"
    assert "its keys: foo" in error["message"]
    assert "--" not in error["message"]  # there is no command line


def test_an_item_passes_without_a_sample_where_no_criterion_reads_one(bench: Bench) -> None:
    run = bench.completed([ANIMAL, OF_ITEM], jsonl({"item": {"label": "cat"}}))
    (item,) = bench.items(run)
    assert (item["status"], item["sample"]["error"]) == ("pass", None)
    assert counts(run) == (1, 1, 0, 0)


def test_an_item_that_got_no_answer_is_graded_by_what_needs_none(
    bench: Bench, server: JudgeServer
) -> None:
    def script(asked: Asked) -> Reply:
        asks = asked.body["messages"][-1]["content"]
        return echo(asked) if asks == "cat" else error(400, "This is not answered.")

    server.script = script
    source = completions(*({"question": asks, "label": "cat"} for asks in ("cat", "what?")))
    run = bench.completed([MATCH, ANIMAL], source)
    items = bench.items(run)
    both = {MATCH["id"]: True, ANIMAL["id"]: True}
    assert [passed_by_name(one) for one in items] == [both, {ANIMAL["id"]: True}]
    assert [one["status"] for one in items] == ["pass", "error"]
    refused = items[1]["sample"]["error"]
    assert refused["code"] == "model_invalid_request"
    assert "This is not answered" in refused["message"]
    assert run.result["per_testing_criteria_results"] == added_up(items)


def test_a_run_of_rows_that_hold_errors_is_completed_as_no_grader_was_out(bench: Bench) -> None:
    item, down = {"label": "cat"}, {"error": {"message": "timeout"}}
    rows: list[dict[str, Any]] = [{"item": item, "sample": one} for one in (down, None, {}, down)]
    rows += [{"item": item}, {"item": {}, "sample": down}]
    one, several = (
        bench.completed(criteria, jsonl(*rows))
        for criteria in ([MATCH], [MATCH, string_check("other", input="{{item.absent}}")])
    )
    assert counts(one) == counts(several) == (6, 0, 0, 6)
    assert "timeout" in bench.items(one)[0]["sample"]["error"]["message"]


def test_a_judge_of_items_that_was_out_fails_a_run_of_rows_that_hold_errors(
    bench: Bench, server: JudgeServer
) -> None:
    server.script = lambda asked: error(400, "The judge is ill.")
    rows = [{"item": {"label": "cat"}, "sample": {"error": {"message": "timeout"}}}] * 2
    done = bench.finish(bench.run([MATCH, JUDGED_ITEM], jsonl(*rows)))
    assert done.error is not None
    assert (done.status, done.error["code"]) == ("failed", "grader_not_available")
    assert "The judge is ill." in done.error["message"]
