"""Models of this machine in runs: those that a job has trained, and base models, as models and as judges."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graders_engine.evals.run.sampling import AHEAD, REFUSED_ITEMS
from graders_engine.inference.gpu import leave
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.local.judges import CONCURRENCY
from graders_engine.settings import EngineSettings
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.runs import StoredRun
from tests.evals.run.made import QUICK, Bench, completions, counts, jsonl, judge, row, string_check
from tests.inference.echoing import ROOT, answered, lay_out
from tests.inference.tuned import names_of, trained_job
from tests.judges.judge_server import JudgeServer


@pytest.fixture
def bench(tmp_path: Path, server: JudgeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A store, beside an endpoint that all other models are asked at."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    judges = JudgeSettings(endpoints={"default": server.url}, config=lay_out(tmp_path), retry=QUICK)
    made = Bench(tmp_path / "store", EngineSettings(judges=judges))
    yield made
    leave(made.folder / "inference")
    made.store.close()


@pytest.fixture
def job(bench: Bench) -> StoredJob:
    return trained_job(bench.store)


def asked(model: str, count: int = 3, **more: Any) -> dict[str, Any]:
    items = [
        {"question": f"Say: word{number}", "label": f"word{number}"} for number in range(count)
    ]
    return completions(*items, model=model, **more)


def usage(run: StoredRun) -> list[tuple[str, int, int, int]]:
    return [
        (one["model_name"], one["invocation_count"], one["prompt_tokens"], one["completion_tokens"])
        for one in run.result["per_model_usage"]
    ]


def one_by_one(bench: Bench) -> Bench:
    """It asks for one item after the other, so that it is known what was sent at a moment."""
    judges = bench.settings.judge_settings()
    bench.settings = replace(bench.settings, concurrency=1, judges=replace(judges, concurrency=1))
    return bench


def taking_back(bench: Bench, name: str, permission: str) -> Callable[[], None]:
    """Takes a permission back when the sixth answer has begun, which is given after that."""
    place = bench.folder / "inference"
    place.mkdir(parents=True)
    (place / "waits-at").write_text("6")

    def look() -> None:
        if len(answered(bench.folder)) >= 6:
            bench.store.permissions.delete(name, permission)
            (place / "go").touch()

    return look


def test_a_tuned_model_and_its_checkpoint_answer_a_run_with_true_usage(
    bench: Bench, job: StoredJob, server: JudgeServer
) -> None:
    for name in (names_of(job)[0], names_of(job)[1], "tiny"):
        run = bench.completed([string_check()], asked(name))
        assert counts(run) == (3, 3, 0, 0)
        assert usage(run) == [(name, 3, 6, 3)]
        items = bench.items(run)
        assert [one["sample"]["output"][0]["content"] for one in items] == [
            "word0",
            "word1",
            "word2",
        ]
        assert {one["sample"]["model"] for one in items} == {name}
        assert {one["sample"]["finish_reason"] for one in items} == {"stop"}
    assert not server.asked


def test_a_tuned_model_is_a_judge_that_gives_numbers_and_labels(
    bench: Bench, job: StoredJob, server: JudgeServer
) -> None:
    name = names_of(job)[0]
    question = [{"role": "user", "content": "How good? {{sample.output_text}}"}]
    criteria = [
        judge("score_model", "number", model=name, input=question, range=[0, 10], pass_threshold=7),
        judge(
            "label_model", "label", model=name, input=question, labels=["8", "bad"],
            passing_labels=["8"],
        ),
    ]  # fmt: skip
    run = bench.completed(criteria, jsonl(row("x", "8"), row("x", "3")))
    assert counts(run) == (2, 1, 1, 0)
    scores = [[one["score"] for one in item["results"]] for item in bench.items(run)]
    assert scores == [[8.0, 1.0], [3.0, 0.0]]
    assert usage(run) == [(name, 4, 12, 16)]
    assert not server.asked


def test_a_run_whose_permission_is_taken_back_fails_with_a_sentence_and_keeps_its_items(
    bench: Bench,
) -> None:
    theirs = trained_job(bench.store, "research")
    name = names_of(theirs)[0]
    (shared,) = bench.store.permissions.add(name, ["default"])
    run = bench.run([string_check()], asked(name, 40))
    done = one_by_one(bench).supervisor().finish(run.id, taking_back(bench, name, shared.id))
    assert done is not None
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "model_not_available"
    assert f"The model '{name}' does not exist, or this project may not use it." in str(
        done.error["message"]
    )
    items = bench.items(done)
    sampled = [one for one in items if one["sample"]["output"]]
    assert len(sampled) == len(items) == 6  # the sixth was sent before
    assert [one["datasource_item_id"] for one in items] == list(range(len(items)))
    words = [f"word{one['datasource_item_id']}" for one in sampled]  # several are asked at once
    assert [one["sample"]["output"][0]["content"] for one in sampled] == words
    assert done.result["result_counts"]["total"] == len(items)
    assert usage(done) == [(name, len(sampled), 2 * len(sampled), len(sampled))]


def test_a_judge_whose_permission_is_taken_back_ends_the_run_and_no_item_has_a_zero_for_it(
    bench: Bench,
) -> None:
    theirs = trained_job(bench.store, "research")
    name = names_of(theirs)[0]
    (shared,) = bench.store.permissions.add(name, ["default"])
    rows = [row("x", f"1.{number:02}") for number in range(40)]
    run = bench.run([judge("score_model", model=name, range=[0, 10])], jsonl(*rows))
    done = one_by_one(bench).supervisor().finish(run.id, taking_back(bench, name, shared.id))
    assert done is not None
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "grader_not_available"
    assert "this project may not use it" in str(done.error["message"])
    items = bench.items(done)
    scores = [one["results"][0]["score"] for one in items]
    assert scores == [float(f"1.{number:02}") for number in range(6)]  # the sixth was sent before


def test_another_projects_model_is_none_of_a_run_whether_it_is_there_or_not(bench: Bench) -> None:
    theirs = names_of(trained_job(bench.store, "research"))[0]
    for name in (theirs, "ft:tiny:local:none:12345678"):
        done = bench.finish(bench.run([string_check()], asked(name)))
        assert done.status == "failed"
        assert done.error is not None
        assert done.error["code"] == "model_not_available"
        reason = f"The model '{name}' does not exist, or this project may not use it."
        assert done.error["message"] == reason
        assert not bench.items(done)


def test_a_killed_process_that_answers_loses_no_item_and_none_is_there_twice(
    bench: Bench, job: StoredJob
) -> None:
    name = names_of(job)[0]
    place = bench.folder / "inference"
    place.mkdir(parents=True)
    (place / "dies-at").write_text("7")
    run = bench.completed([string_check()], asked(name, 20))
    assert not (place / "dies-at").exists()
    assert counts(run) == (20, 20, 0, 0)
    assert [one["datasource_item_id"] for one in bench.items(run)] == list(range(20))
    assert usage(run) == [(name, 20, 40, 20)]


def test_a_killed_judge_gives_no_item_a_zero(bench: Bench, job: StoredJob) -> None:
    name = names_of(job)[0]
    place = bench.folder / "inference"
    place.mkdir(parents=True)
    (place / "dies-at").write_text("5")
    rows = [row("x", f"1.{number:02}") for number in range(12)]
    run = bench.completed(
        [judge("score_model", model=name, range=[0, 10], pass_threshold=1)], jsonl(*rows)
    )
    assert not (place / "dies-at").exists()
    assert counts(run) == (12, 12, 0, 0)


def test_replies_of_other_weights_are_never_taken_from_the_cache(
    bench: Bench, tmp_path: Path
) -> None:
    judges = replace(bench.settings.judge_settings(), cache=tmp_path / "replies.sqlite")
    bench.settings = replace(bench.settings, judges=judges)
    criteria = [judge("score_model", model="tiny", range=[0, 10])]
    says = bench.folder.parent / "tiny" / "says.json"
    found = []
    for number, times in (("2", 2), ("9", 1)):
        says.write_text(json.dumps({"text": number}))
        for _ in range(times):
            run = bench.completed(criteria, jsonl(row("x", "text")))
            found.append(bench.items(run)[0]["results"][0]["score"])
    assert found == [2.0, 2.0, 9.0]
    assert len(answered(bench.folder)) == 2


def test_a_map_of_the_very_name_asks_an_endpoint_and_one_of_all_names_does_not(
    bench: Bench, server: JudgeServer
) -> None:
    judges = bench.settings.judge_settings()
    bench.settings = replace(bench.settings, judges=replace(judges, models={"*": "other"}))
    assert usage(bench.completed([string_check()], asked("tiny")))[0][0] == "tiny"
    assert not server.asked
    bench.settings = replace(bench.settings, judges=replace(judges, models={"tiny": "other"}))
    bench.completed([string_check()], asked("tiny"))
    assert {one.body["model"] for one in server.asked} == {"other"}


def test_an_item_that_a_model_of_this_machine_cannot_read_has_an_error_and_no_score(
    bench: Bench, job: StoredJob
) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    talks: list[Any] = [[{"role": "user", "content": "word"}], [{"role": "user", "content": parts}]]
    items = [{"talk": talk, "label": "word"} for talk in talks]
    reference = {"type": "item_reference", "item_reference": "item.talk"}
    source = completions(*items, model=names_of(job)[0], input_messages=reference)
    run = bench.completed([string_check()], source)
    assert counts(run) == (2, 1, 0, 1)
    bad = bench.items(run)[1]
    assert bad["status"] == "error"
    assert "read text alone" in bad["sample"]["error"]["message"]


def test_a_busy_model_is_waited_for(bench: Bench, job: StoredJob) -> None:
    place = bench.folder / "inference"
    place.mkdir(parents=True)
    (place / "busy").write_text("9")  # each endpoint here has three attempts
    run = bench.completed([string_check()], asked(names_of(job)[0]))
    assert counts(run) == (3, 3, 0, 0)
    assert (place / "busy").read_text() == "0"


def test_a_model_that_cannot_be_loaded_ends_a_run_with_the_reason(
    bench: Bench, job: StoredJob
) -> None:
    broken = bench.store.job_folder(job.id) / "step-10" / "model" / "broken"
    broken.touch()
    done = bench.finish(bench.run([string_check()], asked(names_of(job)[0], 400)))
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "model_not_available"
    assert "The weights are not whole." in done.error["message"]
    # What ends the run may be noticed when all are asked that are asked ahead.
    most = REFUSED_ITEMS + (1 + AHEAD) * JudgeSettings().concurrency
    assert len(broken.read_text().splitlines()) <= most < 400


def test_items_that_a_broken_judge_should_grade_have_no_score(bench: Bench, job: StoredJob) -> None:
    (bench.store.job_folder(job.id) / "step-10" / "model" / "broken").touch()
    criteria = [string_check(), judge("score_model", model=names_of(job)[0])]
    run = bench.finish(bench.run(criteria, jsonl(row("x"), row("y"))))
    found = [one["status"] for one in bench.items(run)]
    assert set(found) <= {"error"}
    assert all(one["score"] != 0 for item in bench.items(run) for one in item["results"])


def test_a_killed_run_asks_again_only_for_what_was_on_its_way(bench: Bench, job: StoredJob) -> None:
    name = names_of(job)[0]
    run = bench.run([string_check()], asked(name, 20))
    killed: list[int] = []

    def kill() -> None:
        if len(answered(bench.folder)) >= 6 and not killed:
            killed.append(int((bench.files(run) / "lock").read_text()))
            os.kill(killed[0], signal.SIGKILL)
            (place / "go").touch()

    place = bench.folder / "inference"
    place.mkdir(parents=True)
    (place / "waits-at").write_text("6")
    done = bench.supervisor().finish(run.id, kill)
    assert killed
    assert done is not None
    assert counts(done) == (20, 20, 0, 0)
    assert usage(done) == [(name, 20, 40, 20)]
    assert [one["datasource_item_id"] for one in bench.items(done)] == list(range(20))
    assert len(answered(bench.folder)) <= 20 + CONCURRENCY
