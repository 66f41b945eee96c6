"""The page of a job has the numbers of its events and of its rollouts, in every state of it."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from graders_engine.jobs.page.rollouts import MOST, MOST_WITHOUT
from graders_engine.jobs.page.watch import JobWatch, page_of_job
from graders_engine.report.formatting import format_number
from graders_engine.report.html.curves import Curves
from graders_engine.report.html.job import JobSummary, sections_of
from graders_engine.settings import EngineSettings
from tests.jobs.graded import GRADER, ROWS, GradedJob
from tests.jobs.made import PROJECT, Bench

STEPS, OUTAGES = 18, {7: 3, 9: 8}
MAX_PAGE_BYTES = 300_000
ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "jobs")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GradedJob]:
    """A job in the middle of its work, with outages in two steps."""
    made = Bench(tmp_path_factory.mktemp("graded") / "jobs")
    job = GradedJob(made, steps=40, outages=OUTAGES)
    job.work(STEPS)
    yield job
    job.close()
    made.store.close()


def watch_of(bench: Bench, job_id: str) -> JobWatch:
    return JobWatch(bench.place(job_id), EngineSettings())


def reader(bench: Bench, job_id: str) -> Any:
    return partial(bench.store.jobs.watch, PROJECT, job_id)


def summary_of(bench: Bench, job_id: str) -> JobSummary:
    found = watch_of(bench, job_id).summary(reader(bench, job_id))
    assert found is not None
    return found


def page_of(bench: Bench, job_id: str) -> str:
    found = page_of_job(bench.place(job_id), reader(bench, job_id), EngineSettings())
    assert found is not None
    return found


def rollouts_of(job: GradedJob) -> list[dict[str, Any]]:
    text = (job.folder / "rollouts.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def means_of(rollouts: list[dict[str, Any]], split: str) -> dict[int, str | None]:
    """The mean rewards by step, as numbers are written; None where no rollout has a reward."""
    rewards: dict[int, list[float]] = {}
    for one in rollouts:
        if one["split"] == split:
            found = rewards.setdefault(one["step"], [])
            found += [one["reward"]] * (one["reward"] is not None)
    return {step: format_number(fmean(found)) if found else None for step, found in rewards.items()}


def drawn(chart: Curves | None, name: str) -> dict[int, str]:
    """The numbers of a metric that a chart has, by step."""
    assert chart is not None
    labels = [area.label for area in chart.areas]
    found = {}
    for label in labels:
        step, _, values = label.removeprefix("step ").partition(": ")
        for value in values.split(", "):
            if value.startswith(f"{name} "):
                found[int(step)] = value.removeprefix(f"{name} ")
    return found


def test_the_curve_is_the_mean_of_the_rollouts_of_each_step(graded: GradedJob) -> None:
    curve = summary_of(graded.bench, graded.id).curve
    train = means_of(rollouts_of(graded), "train")
    assert len(train) == STEPS
    assert drawn(curve, "train") == {step: mean for step, mean in train.items() if mean is not None}
    valid = means_of(rollouts_of(graded), "valid")
    assert set(valid) == {4, 8, 12, 16}
    assert drawn(curve, "validation") == valid
    assert curve is not None
    assert [mark.label for mark in curve.marks] == [
        f"step {step}, validation: {mean}" for step, mean in valid.items()
    ]


def test_a_step_without_any_reward_is_a_gap_and_no_zero(graded: GradedJob) -> None:
    curve = summary_of(graded.bench, graded.id).curve
    assert curve is not None
    assert means_of(rollouts_of(graded), "train")[9] is None
    assert [gap.label for gap in curve.gaps] == ["step 9, train: no reward, which is not a zero"]
    assert "step 9: no value" in [area.label for area in curve.areas]
    assert len(curve.lines) == 2  # one before, and one behind
    assert "1 of 18 steps: no reward" in curve.description


def test_the_share_of_groups_with_a_signal_is_that_of_the_rollouts(graded: GradedJob) -> None:
    signal = summary_of(graded.bench, graded.id).charts[0]
    assert signal.name == "Groups with a signal"
    groups: dict[int, list[set[float | None]]] = {}
    train = [one for one in rollouts_of(graded) if one["split"] == "train"]
    for start in range(0, len(train), graded.group):
        group = train[start : start + graded.group]
        groups.setdefault(group[0]["step"], []).append({one["reward"] for one in group})
    assert drawn(signal, "share of groups") == {
        step: format_number(fmean(len(rewards) > 1 for rewards in found))
        for step, found in groups.items()
    }


def test_errors_and_blames_are_counted_as_the_rollouts_have_them(graded: GradedJob) -> None:
    job = summary_of(graded.bench, graded.id)
    rollouts = rollouts_of(graded)
    without = [one for one in rollouts if one["reward"] is None]
    assert (job.rollouts, job.unscored) == (len(rollouts), len(without))
    assert len(without) == sum(OUTAGES.values())
    unread = Counter(one["split"] for one in rollouts if "sample_parse_error" in one["flags"])
    assert job.blames is not None
    assert job.flags is not None
    blames = {line.blame: (line.train, line.valid) for line in job.blames}
    assert blames["infrastructure"] == (len(without), 0)
    # An outage took the place of what else was wrong with these answers.
    assert blames["sample"][1] == unread["valid"]
    assert blames["sample"][0] >= unread["train"] > 0
    flags = {(line.flag, line.grader): (line.train, line.valid) for line in job.flags}
    assert flags["sample_parse", "total"][1] == unread["valid"]
    assert flags["model_grader_server", "sum"] == (len(without), 0)
    assert "11 of 160 rollouts (6.9 %) have no reward" in text_of(page_of(graded.bench, graded.id))


def test_the_plan_is_what_the_file_of_rollouts_has_so_far(graded: GradedJob) -> None:
    lines = {
        line.name: (line.planned, line.done) for line in summary_of(graded.bench, graded.id).plan
    }
    splits = Counter(one["split"] for one in rollouts_of(graded))
    steps, valid_rows = graded.steps, len(ROWS) // 2
    train = steps * graded.batch * graded.group
    valid = steps // graded.interval * valid_rows
    assert lines == {
        "Steps": (steps, STEPS),
        "Rows trained with": (steps * graded.batch, STEPS * graded.batch),
        "Answers to train with": (train, splits["train"]),
        "Answers to validate with": (valid, splits["valid"]),
        "Grader calls": (2 * (train + valid), 2 * splits.total()),
        "Tokens": (None, 640 * STEPS),
    }


def test_times_and_parts_are_the_sums_and_the_last_values_of_the_events(graded: GradedJob) -> None:
    job = summary_of(graded.bench, graded.id)
    metrics = [one.data or {} for one in graded.bench.events(graded.id) if one.type == "metrics"]
    names = {
        "sampling": "sampling",
        "grading": "grading",
        "training": "training",
        "eval": "validation",
    }
    assert {line.part: line.seconds for line in job.times} == {
        name: sum(one["timing"]["step"][part] for one in metrics) for part, name in names.items()
    }
    last = {one["name"]: one["train_reward_mean"] for one in metrics[-1]["scores"]["graders"]}
    assert {line.name: line.train for line in job.parts} == last
    assert job.headline is not None
    assert job.headline.value == means_of(rollouts_of(graded), "valid")[16]
    assert job.headline.name == "validation reward at step 16"
    newest = job.checkpoints[0]
    assert (newest.step, newest.kept) == (16, "best validation, to be resumed from")


def test_the_best_and_the_worst_rollouts_are_those_of_the_file(graded: GradedJob) -> None:
    rollouts = list(enumerate(rollouts_of(graded), 1))
    for sign, heading in ((1, "Best"), (-1, "Worst")):
        of_row: dict[tuple[str, int], tuple[float, int]] = {}
        for line, one in rollouts:
            if one["reward"] is not None:
                row = one["split"], one["row"]
                of_row[row] = max(of_row.get(row, (-9.0, 0)), (sign * one["reward"], line))
        expected = sorted(of_row.values(), reverse=True)[:MOST]
        (cards,) = (
            found for name, _, found in summary_of(graded.bench, graded.id).cards if name == heading
        )
        assert [(sign * (card.reward or 0.0), card.line) for card in cards] == expected
    without = [line for line, one in rollouts if one["reward"] is None]
    (cards,) = (
        found
        for name, _, found in summary_of(graded.bench, graded.id).cards
        if name == "Without a reward"
    )
    assert [card.line for card in cards] == without[::-1][:MOST_WITHOUT]
    assert [card.reward for card in cards] == [None] * MOST_WITHOUT


def test_a_rollout_is_explained_as_graders_explain_does(graded: GradedJob, tmp_path: Path) -> None:
    (tmp_path / "grader.json").write_text(json.dumps(GRADER))
    cards = [card for _, _, found in summary_of(graded.bench, graded.id).cards for card in found]
    for card in (cards[0], cards[MOST]):
        done = subprocess.run(
            [sys.executable, "-m", "graders_engine", "explain", "--grader", f"@{tmp_path}/grader.json",
             "--data", graded.folder / "rollouts.jsonl", "--row", str(card.line), "--json"],
            capture_output=True, text=True, check=True, cwd=ROOT,
        )  # fmt: skip
        assert card.explanation is not None
        expected, found = json.loads(done.stdout), json.loads(card.explanation.as_json())
        for one in (expected, found):
            del one["seconds"], one["recorded"]
        assert found == expected
        assert found["reward"] in (card.reward, None)
        said = text_of(page_of(graded.bench, graded.id))
        assert f"Line {card.line} of rollouts.jsonl" in said
        assert card.explanation.formula is not None
        assert f"= {card.explanation.formula.filled}" in said


def test_no_judge_is_asked_and_what_is_recorded_is_said(bench: Bench) -> None:
    judge = {
        "type": "score_model", "name": "judge", "model": "a-judge",
        "input": [{"role": "user", "content": "Is {{sample.output_text}} right?"}],
    }  # fmt: skip
    job = GradedJob(bench)
    job.work(2)
    job.close()
    stored = bench.job_of(job.id)
    bench.store.jobs.note(job.id, spec={**stored.spec, "grader": judge})
    found = summary_of(bench, job.id)
    card = found.cards[0][2][0]
    assert card.explanation is not None
    assert card.explanation.not_run == "The grader needs a judge."
    assert card.explanation.sub_rewards == rollouts_of(job)[card.line - 1]["sub_rewards"]
    assert [line.name for line in found.plan if line.name == "Judge calls"] == ["Judge calls"]
    assert "Not graded again for this page" in text_of(page_of(bench, job.id))


@pytest.mark.parametrize("method", ["supervised", "dpo"])
def test_losses_and_preferences_are_those_of_the_events(
    method: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of the worker, whose trainer is among the tests
    job_id = bench.job(method=method, steps=10)
    assert bench.finish(job_id).status == "succeeded"
    job = summary_of(bench, job_id)
    metrics = [one.data or {} for one in bench.events(job_id) if one.type == "metrics"]
    charts = {"loss": job.curve} | {
        chart.id.removeprefix("chart-").replace("-", "_"): chart for chart in job.charts
    }
    names = [
        "loss",
        "mean_token_accuracy",
        *(["preference_accuracy", "preference_margin"] if method == "dpo" else []),
    ]
    assert sorted(charts) == sorted(names)
    for name in names:
        for word, split in (("train", "train"), ("validation", "valid")):
            expected = {
                one["step"]: format_number(one[f"{split}_{name}"])
                for one in metrics
                if f"{split}_{name}" in one
            }
            assert expected
            assert drawn(charts[name], word) == expected
    assert (job.rollouts, job.cards, job.blames, job.is_going) == (None, [], None, False)
    assert job.status == "succeeded"
    assert "last step" in job.checkpoints[0].kept


@pytest.mark.parametrize(
    ("status", "meaning", "is_going"),
    [
        ("validating_files", "Its files are being checked.", True),
        ("queued", "It waits until it is its turn", True),
        ("running", "", True),
        ("pausing", "It will be paused when its step has ended.", True),
        ("paused", "It waits until somebody resumes it.", False),
        ("failed", "", False),
        ("cancelled", "It was stopped", False),
    ],
)
def test_every_state_has_a_page(status: str, meaning: str, is_going: bool, bench: Bench) -> None:
    job_id = bench.job(status=status)
    if status == "failed":
        bench.store.jobs.note(job_id, error={"code": "bad", "message": f"{bench.folder}/x is bad."})
    job = summary_of(bench, job_id)
    assert job.meaning.startswith(meaning)
    assert job.is_going is is_going
    assert job.error == (("bad", "x is bad.") if status == "failed" else ())
    assert [section.id for section in sections_of(job)] == ["status", "settings"]
    page = page_of(bench, job_id)
    assert status.replace("_", " ") in text_of(page)
    assert "0 of" not in text_of(page)


def test_a_paused_job_says_first_why(bench: Bench) -> None:
    job = GradedJob(bench)
    job.work(2)
    job.close()
    bench.store.jobs.add_event(job.id, "warn", "The judge did not answer.")
    assert bench.store.jobs.move(job.id, "paused", ["running"])
    assert summary_of(bench, job.id).notes == ["The judge did not answer."]


def test_a_worker_that_says_nothing_is_named(bench: Bench) -> None:
    job_id = bench.job(status="running")
    bench.store.jobs.note(job_id, heartbeat=1.0)
    (note,) = summary_of(bench, job_id).notes
    assert note.startswith("Its worker has said nothing for ")


def test_a_file_loads_and_runs_nothing(graded: GradedJob) -> None:
    page = page_of(graded.bench, graded.id)
    assert len(page.encode()) < MAX_PAGE_BYTES
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    assert "default-src 'none'" in page
    assert "The job as of 20" in page


def test_a_look_reads_what_is_new_only(bench: Bench) -> None:
    job = GradedJob(bench, steps=12)
    job.work(5)
    watch, asked = watch_of(bench, job.id), []

    def read(seq: int, each: Any) -> Any:
        def counted(step: int, data: str | bytes) -> None:
            asked.append(step)
            each(step, data)

        return bench.store.jobs.watch(PROJECT, job.id, seq, counted)

    first = watch.summary(read)
    assert first is not None
    known = {one.digest: one.id for one in watch.sections(first)}
    assert asked == [1, 2, 3, 4, 5]
    again = watch.summary(read)
    assert again is not None
    assert asked == [1, 2, 3, 4, 5]
    assert [one.id for one in watch.sections(again, known) if one.html is not None] == []
    job.work(1)
    third = watch.summary(read)
    assert third is not None
    assert asked == [1, 2, 3, 4, 5, 6]
    changed = {one.id for one in watch.sections(third, known) if one.html is not None}
    assert {"status", "curve", "plan", "time", "events"} <= changed
    assert "settings" not in changed
    whole = summary_of(bench, job.id)
    assert replace(third, cards=()) == replace(whole, cards=())
    assert [[card.line for card in cards] for _, _, cards in third.cards] == [
        [card.line for card in cards] for _, _, cards in whole.cards
    ]
    job.close()


def text_of(page: str) -> str:
    """What can be read on a page."""
    whole = re.sub(r"<(style|script|title)[^>]*>.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", whole)).split())
