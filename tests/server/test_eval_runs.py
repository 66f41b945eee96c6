"""Runs and their output items over HTTP, with the unmodified `openai` package."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.server.evals_of import (
    ENDED,
    MATCH,
    ROWS,
    SCORE,
    SLOW,
    client_of,
    ended,
    eval_body,
    evals_of,
    jsonl,
    new_run,
)
from tests.server.serving import Server, eventually

SLOW_ROWS = jsonl([{"item": {"label": str(number)}} for number in range(200)])
"""Each has to be graded: none is like another."""
TEMPLATE = {
    "type": "template",
    "template": [
        {"role": "developer", "content": "Name it."},
        {
            "type": "message",
            "role": "user",
            "content": {"type": "input_text", "text": "It is a {{item.label}}"},
        },
    ],
}


@pytest.fixture
def evals(evals_server: Server) -> Iterator[Any]:
    with client_of(evals_server) as client:
        yield evals_of(client)


def counts(run: Any) -> tuple[int, int, int, int]:
    found = run.result_counts
    return found.total, found.passed, found.failed, found.errored


def test_a_run_over_rows_of_the_request_counts_what_passes(evals: Any) -> None:
    made = evals.create(**eval_body())
    run = evals.runs.create(made.id, name="first", metadata={"a": "b"}, data_source=jsonl(ROWS))
    assert re.fullmatch(r"evalrun_[0-9a-f]{32}", run.id)
    assert (run.object, run.eval_id, run.status) == ("eval.run", made.id, "queued")
    assert (run.name, run.metadata, run.model, run.error) == ("first", {"a": "b"}, "", None)
    assert counts(run) == (0, 0, 0, 0)
    assert run.per_model_usage == run.per_testing_criteria_results == []
    done = ended(evals, run)
    assert (done.status, counts(done)) == ("completed", (3, 2, 1, 0))
    (criterion,) = done.per_testing_criteria_results
    assert criterion.testing_criteria == made.testing_criteria[0].id
    assert (criterion.passed, criterion.failed) == (2, 1)
    assert done.data_source.to_dict() == jsonl(ROWS)
    assert done.report_url.endswith(f"/reports/{run.id}")


def test_a_run_over_a_file_is_the_same(evals_server: Server) -> None:
    with client_of(evals_server) as client:
        evals = evals_of(client)
        text = "".join(json.dumps(row) + "\n" for row in ROWS)
        file = client.files.create(file=("rows.jsonl", text.encode()), purpose="evals")
        made = evals.create(**eval_body())
        source = {"type": "jsonl", "source": {"type": "file_id", "id": file.id}}
        done = ended(evals, evals.runs.create(made.id, data_source=source))
        assert (done.status, counts(done)) == ("completed", (3, 2, 1, 0))
        assert done.data_source.to_dict() == source


@pytest.mark.parametrize("kind", ["completions", "responses"])
@pytest.mark.parametrize("messages", ["template", "item_reference"])
def test_a_model_is_asked_for_what_is_graded(evals: Any, kind: str, messages: str) -> None:
    turn = {"role": "user", "content": "It is a cat"}
    rows = [
        {"item": {"label": "cat", "turns": [turn]}},
        {"item": {"label": "emu", "turns": [turn]}},
    ]
    asked = {"type": messages, "item_reference": "item.turns"}
    made = evals.create(**eval_body(MATCH, SCORE))
    run = evals.runs.create(
        made.id,
        data_source={
            "type": kind,
            "model": "small",
            "source": {"type": "file_content", "content": rows},
            "input_messages": TEMPLATE if messages == "template" else asked,
            "sampling_params": {"temperature": 0.5, "seed": 7, "max_completion_tokens": 20},
        },
    )
    assert run.model == "small"
    done = ended(evals, run)
    assert done.status == "completed", done.error
    passed = 2 if messages == "template" else 1
    assert counts(done) == (2, passed, 2 - passed, 0)
    used = {usage.run_model_name: usage for usage in done.per_model_usage}
    assert set(used) == {"small-1", "judge-1"}
    assert (used["small-1"].invocation_count, used["small-1"].total_tokens) == (2, 20)
    first = next(iter(evals.runs.output_items.list(run.id, eval_id=made.id)))
    assert [message.content for message in first.sample.output] == ["cat"]
    assert first.sample.input[-1].content == "It is a cat"
    assert (first.sample.model, first.sample.finish_reason) == ("small-1", "stop")
    assert [(result.score, result.passed) for result in first.results] == [(1, True), (7, True)]


def test_output_items_say_what_each_criterion_said(evals: Any) -> None:
    made = evals.create(**eval_body())
    run = ended(evals, evals.runs.create(made.id, data_source=jsonl(ROWS)))
    items = list(evals.runs.output_items.list(run.id, eval_id=made.id))
    assert [item.status for item in items] == ["pass", "fail", "pass"]
    assert [item.datasource_item_id for item in items] == [0, 1, 2]
    second = items[1]
    assert (second.object, second.eval_id, second.run_id) == (
        "eval.run.output_item",
        made.id,
        run.id,
    )
    assert second.datasource_item == {"label": "cat"}
    (result,) = second.results
    assert (result.name, result.type) == (made.testing_criteria[0].id, "string_check")
    assert (result.score, result.passed) == (0, False)
    assert second.sample.output[0].content == "dog"
    same = evals.runs.output_items.retrieve(second.id, eval_id=made.id, run_id=run.id)
    assert same.to_dict() == second.to_dict()


def test_output_items_are_paged_and_filtered(evals: Any, evals_server: Server) -> None:
    made = evals.create(**eval_body())
    rows = [{"item": {"label": str(n % 2)}, "sample": {"output_text": "0"}} for n in range(25)]
    run = ended(evals, evals.runs.create(made.id, data_source=jsonl(rows)))
    listed = evals.runs.output_items.list

    def numbers(**query: Any) -> list[int]:
        found = listed(run.id, eval_id=made.id, **query)
        return [item.datasource_item_id for item in found]

    assert len(listed(run.id, eval_id=made.id).data) == 20
    assert numbers() == list(range(25))
    assert numbers(limit=7, order="desc") == list(range(24, -1, -1))
    assert numbers(limit=4, status="pass") == list(range(0, 25, 2))
    assert numbers(limit=5, status="fail", order="desc") == list(range(23, 0, -2))
    path = f"/v1/evals/{made.id}/runs/{run.id}/output_items"
    assert len(evals_server.ask("GET", f"{path}?status=failed").json["data"]) == 12
    assert evals_server.ask("GET", f"{path}?status=error").json["data"] == []


def test_runs_are_listed_by_their_status_and_in_pages(evals: Any) -> None:
    made = evals.create(**eval_body())
    runs = [evals.runs.create(made.id, data_source=jsonl(ROWS)) for _ in range(5)]
    for run in runs:
        ended(evals, run)
    ids = [run.id for run in runs]
    assert [run.id for run in evals.runs.list(made.id, limit=2)] == ids
    assert [run.id for run in evals.runs.list(made.id, limit=3, order="desc")] == ids[::-1]
    assert [run.id for run in evals.runs.list(made.id, status="completed")] == ids
    assert evals.runs.list(made.id, status="failed").data == []
    assert evals.runs.list(made.id, limit=1).data[0].data_source.to_dict() == jsonl(ROWS)


def test_a_long_list_of_runs_has_all_their_items(evals: Any) -> None:
    made = evals.create(**eval_body())
    rows = [{"item": {"label": "x" * 1000}, "sample": {"output_text": "x"}}] * 2000
    ids = [evals.runs.create(made.id, data_source=jsonl(rows)).id for _ in range(3)]
    page = evals.runs.list(made.id)
    assert [run.id for run in page.data] == ids
    assert not page.has_more
    assert all(run.data_source.to_dict() == jsonl(rows) for run in page.data)
    evals.delete(made.id)


@pytest.mark.parametrize("path", ["/cancel", ""])
def test_a_run_is_canceled_at_either_path_and_only_once(
    evals: Any, evals_server: Server, path: str
) -> None:
    made = evals.create(**eval_body(SLOW))
    run_id = new_run(evals_server, made.id, SLOW_ROWS)
    runs = f"/v1/evals/{made.id}/runs/{run_id}"
    assert eventually(lambda: evals_server.ask("GET", runs).json["status"] == "in_progress")
    answer = evals_server.ask("POST", runs + path)
    assert (answer.status, answer.json["status"], answer.json["id"]) == (200, "canceled", run_id)
    again = evals_server.ask("POST", runs + path)
    assert (again.status, again.error["code"]) == (400, "invalid_state")
    assert "canceled" in again.error["message"]
    assert evals_server.ask("GET", runs).json["status"] == "canceled"


def test_the_package_cancels_and_deletes_a_run(evals: Any) -> None:
    made = evals.create(**eval_body(SLOW))
    canceled = evals.runs.create(made.id, data_source=SLOW_ROWS)
    assert evals.runs.cancel(canceled.id, eval_id=made.id).status == "canceled"
    with pytest.raises(openai.BadRequestError) as refused:
        evals.runs.cancel(canceled.id, eval_id=made.id)
    assert refused.value.code == "invalid_state"
    running = evals.runs.create(made.id, data_source=SLOW_ROWS)
    for run in (canceled, running):
        gone = evals.runs.delete(run.id, eval_id=made.id)
        assert (gone.object, gone.deleted, gone.run_id) == ("eval.run.deleted", True, run.id)
        with pytest.raises(openai.NotFoundError):
            evals.runs.retrieve(run.id, eval_id=made.id)
    assert evals.runs.list(made.id).data == []


def test_the_async_client_runs_lists_and_cancels(evals_server: Server) -> None:
    async def whole() -> None:
        async with openai.AsyncOpenAI(
            base_url=f"{evals_server.url}/v1", api_key="x", max_retries=0
        ) as client:
            evals = evals_of(client)
            made = await evals.create(**eval_body())
            run = await evals.runs.create(made.id, data_source=jsonl(ROWS))
            while run.status not in ENDED:
                await asyncio.sleep(0.05)
                run = await evals.runs.retrieve(run.id, eval_id=made.id)
            assert counts(run) == (3, 2, 1, 0)
            items = evals.runs.output_items
            listed = [item async for item in items.list(run.id, eval_id=made.id, limit=1)]
            assert [item.status for item in listed] == ["pass", "fail", "pass"]
            one = await items.retrieve(listed[2].id, eval_id=made.id, run_id=run.id)
            assert one.to_dict() == listed[2].to_dict()
            assert [one.id async for one in evals.runs.list(made.id)] == [run.id]
            with pytest.raises(openai.BadRequestError):
                await evals.runs.cancel(run.id, eval_id=made.id)
            assert (await evals.runs.delete(run.id, eval_id=made.id)).deleted

    asyncio.run(whole())


def test_the_report_of_a_run_opens_in_a_browser(evals: Any, evals_server: Server) -> None:
    made = evals.create(**eval_body())
    run = ended(evals, evals.runs.create(made.id, data_source=jsonl(ROWS)))
    path = run.report_url.removeprefix(evals_server.url)
    first = evals_server.ask("GET", path)
    assert first.status == 200
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert first.body.startswith(b"<!doctype html>")
    assert b"2 of 3" in first.body
    assert b"mean score" in first.body
    assert evals_server.ask("GET", path).body == first.body


def test_a_run_without_results_has_a_page_too(evals: Any, evals_server: Server) -> None:
    made = evals.create(**eval_body(SLOW))
    run = evals.runs.create(made.id, data_source=SLOW_ROWS)
    evals.runs.cancel(run.id, eval_id=made.id)
    path = f"/reports/{run.id}"
    page = evals_server.ask("GET", path)
    assert page.status == 200
    assert b"It was canceled" in page.body
    evals.update(made.id, name="renamed since")
    assert b"renamed since" in evals_server.ask("GET", path).body
    evals.delete(made.id)
    gone = evals_server.ask("GET", path)
    assert (gone.status, gone.error["code"]) == (404, "not_found")
    read = evals_server.ask("GET", path, headers={"accept": "text/html,*/*;q=0.8"})
    assert read.status == 404
    assert read.headers["content-type"] == "text/html; charset=utf-8"
    assert f"&#x27;{run.id}&#x27;" in read.body.decode()


def test_runs_are_counted_by_their_state(evals: Any, evals_server: Server) -> None:
    made = evals.create(**eval_body())
    before = evals_server.metric('graders_eval_runs{status="completed"}')
    ended(evals, evals.runs.create(made.id, data_source=jsonl(ROWS)))
    assert evals_server.metric('graders_eval_runs{status="completed"}') == before + 1


def test_the_log_has_ids_and_nothing_that_users_wrote(evals: Any, evals_server: Server) -> None:
    word = "hushhush"
    rows = [{"item": {"label": word}, "sample": {"output_text": word}}]
    grader = {**MATCH, "name": word, "reference": word}
    made = evals.create(**eval_body(grader, name=word, metadata={word: word}))
    run = evals.runs.create(made.id, name=word, data_source=jsonl(rows))
    ended(evals, run)
    list(evals.runs.output_items.list(run.id, eval_id=made.id))
    wrong = evals_server.post(
        f"/v1/evals/{made.id}/runs", {"data_source": jsonl([{"item": {"label": [word]}}])}
    )
    assert wrong.status == 400
    assert word not in evals_server.log_file.read_text()
    lines = [line for line in evals_server.log if line.get("run_id") == run.id]
    assert {"POST", "GET"} <= {line["method"] for line in lines}
    assert all(line["eval_id"] == made.id for line in lines)
