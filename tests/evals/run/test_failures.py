"""Runs of which an item, a criterion or all of it fails: each with its reason, and no fault as a zero."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from graders_engine.evals.run.items import OutputItems
from graders_engine.models.judges import JudgeSettings
from graders_engine.settings import EngineSettings
from tests.evals.run.made import (
    QUICK,
    Bench,
    completions,
    counts,
    echo,
    jsonl,
    judge,
    row,
    settings_for,
    string_check,
)
from tests.judges.judge_server import (
    Asked,
    JudgeServer,
    Reply,
    error,
)


def test_an_item_without_a_sample_is_an_error_and_no_zero(
    bench: Bench, server: JudgeServer
) -> None:
    def script(asked: Asked) -> Reply:
        return error(500, "The model is ill.") if "bad" in asked.text else echo(asked)

    server.script = script
    items = [{"question": text, "label": text} for text in ("one", "bad", "two")]
    done = bench.completed([string_check()], completions(*items))
    assert counts(done) == (3, 2, 0, 1)
    met = done.result["per_testing_criteria_results"][0]
    assert (met["passed"], met["failed"]) == (2, 0)
    ill = bench.items(done, status="error")
    assert [one["datasource_item_id"] for one in ill] == [1]
    assert ill[0]["results"] == []
    assert "The model is ill." in ill[0]["sample"]["error"]["message"]
    assert ill[0]["sample"]["output"] == []
    assert sum("bad" in asked.text for asked in server.asked) == 3  # it was tried again


def test_a_criterion_does_not_depend_on_the_failure_of_another(
    bench: Bench, server: JudgeServer
) -> None:
    server.script = lambda asked: error(400, "no")
    broken = "def grade(sample, item): raise ValueError('broken')"
    criteria = [
        string_check(),
        {"type": "python", "name": "code", "id": "code-1", "source": broken},
        judge("score_model"),
    ]
    done = bench.completed(criteria, jsonl(row("a")))
    assert counts(done) == (1, 0, 0, 1)
    (item,) = bench.items(done)
    assert [(one["name"], one["score"], one["passed"]) for one in item["results"]] == [
        (criteria[0]["id"], 1.0, True),
        ("code-1", 0.0, False),
    ]
    assert set(item["sample"]["errors"]) == {
        "python_grader_runtime_error",
        "model_grader_server_error",
    }
    met = [(one["passed"], one["failed"]) for one in done.result["per_testing_criteria_results"]]
    assert met == [(1, 0), (0, 1), (0, 0)]


def test_a_run_of_a_deleted_file_fails_with_a_sentence(bench: Bench) -> None:
    file_id = bench.upload([row("a")])
    run = bench.run(
        [string_check()], {"type": "jsonl", "source": {"type": "file_id", "id": file_id}}
    )
    bench.store.files.delete("default", file_id)
    done = bench.finish(run)
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "file_not_found"
    assert file_id in done.error["message"]


@pytest.mark.parametrize("known", [False, True])
def test_a_run_of_an_unknown_model_fails_with_a_sentence(
    bench: Bench, server: JudgeServer, known: bool
) -> None:
    if known:
        server.script = lambda asked: error(404, "The model `asked-1` does not exist.")
    else:
        bench.settings = settings_for()
    done = bench.finish(bench.run([string_check()], completions({"question": "?", "label": "?"})))
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "model_not_available"
    assert "asked-1" in done.error["message"]


def test_rows_that_are_no_rows_are_errors_of_their_own(bench: Bench) -> None:
    file_id = bench.upload([row("a"), ["no object"], "text"])
    folder = bench.store.files.path(file_id)
    folder.write_bytes(folder.read_bytes() + b"{no json\n\n" + json.dumps(row("b")).encode())
    source = {"type": "jsonl", "source": {"type": "file_id", "id": file_id}}
    done = bench.completed([string_check()], source)
    assert counts(done) == (5, 2, 0, 3)
    assert [one["status"] for one in bench.items(done)] == [
        "pass",
        "error",
        "error",
        "error",
        "pass",
    ]
    found = OutputItems(bench.store).get(done, bench.items(done)[4]["id"])
    assert found is not None
    assert found["datasource_item"] == {"label": "b"}


def test_rows_that_all_fail_in_one_way_are_graded_to_the_end(bench: Bench) -> None:
    check = string_check(reference="{{item.nothing}}")
    done = bench.completed([check], jsonl(*(row(f"{n}") for n in range(50))))
    assert counts(done) == (50, 0, 0, 50)


def test_a_judge_that_is_gone_ends_the_run_with_a_sentence(
    bench: Bench, server: JudgeServer
) -> None:
    server.script = lambda asked: error(401, "Your key is wrong.")
    run = bench.run([judge("score_model")], jsonl(*(row(f"{n}") for n in range(50))))
    done = bench.finish(run)
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "grader_not_available"
    assert "Your key is wrong." in done.error["message"]


REFUSED = "http://127.0.0.1:9/v1"
"""Where nothing listens."""


@pytest.mark.parametrize("answers", ["nothing", "429", "503"])
@pytest.mark.parametrize("asked", ["the model", "a judge"])
def test_a_run_of_which_nothing_was_answered_fails_with_the_first_reason(
    bench: Bench, server: JudgeServer, asked: str, answers: str
) -> None:
    reason = "the connection was refused"
    if answers == "nothing":
        bench.settings = replace(
            bench.settings, judges=JudgeSettings(endpoints={"default": REFUSED}, retry=QUICK)
        )
    else:
        reason = "Not today."
        bench.settings = settings_for(server, adaptive=False)
        server.script = lambda asked: error(int(answers), reason)
    if asked == "the model":
        items = [{"question": f"q{n}", "label": "?"} for n in range(3)]
        run, code = bench.run([string_check()], completions(*items)), "model_not_available"
    else:
        rows = [row("a"), row("b"), row("c")]
        run, code = bench.run([judge("score_model")], jsonl(*rows)), "grader_not_available"
    done = bench.finish(run)
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == code
    assert reason in done.error["message"]
    assert "The first error: " in done.error["message"]
    listed = bench.items(done)
    assert counts(done) == (len(listed), 0, 0, len(listed))
    assert len(listed) == (0 if asked == "the model" else 3)


def test_a_run_in_which_one_item_was_answered_is_completed(
    bench: Bench, server: JudgeServer
) -> None:
    bench.settings = settings_for(server, adaptive=False)
    server.script = lambda asked: echo(asked) if "q7" in asked.text else error(503, "Away.")
    items = [{"question": f"q{n}", "label": f"q{n}"} for n in range(10)]
    done = bench.completed([string_check()], completions(*items))
    assert counts(done) == (10, 1, 0, 9)


def test_a_few_rows_whose_judge_is_gone_are_errors(bench: Bench, server: JudgeServer) -> None:
    bench.settings = settings_for(server, adaptive=False)
    server.script = lambda asked: error(503, "Away.")
    done = bench.completed([judge("score_model"), string_check()], jsonl(row("a"), row("b", "c")))
    assert counts(done) == (2, 0, 0, 2)
    assert [one["sample"]["error"]["code"] for one in bench.items(done)] == [
        "model_grader_server_error"
    ] * 2


def test_a_restart_with_other_settings_grades_all_of_it_with_those(bench: Bench) -> None:
    done = bench.completed([string_check()], jsonl(*(row(f"{n}") for n in range(30))))
    meta = bench.files(done) / "results.jsonl.meta.json"
    before = json.loads(meta.read_text())
    bench.settings = EngineSettings(max_text_chars=1_000)
    assert bench.store.runs.move(done.id, "queued", ("completed",))
    again = bench.finish(done)
    assert (again.status, counts(again)) == ("completed", (30, 30, 0, 0))
    assert len(bench.items(again)) == 30
    assert json.loads(meta.read_text())["settings"] != before["settings"]
