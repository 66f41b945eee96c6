"""The prompts of a run: their figures, which are shown, in which order, and samples that are equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.dataset.results.line import ResultLine
from graders_engine.errors import InvalidRequest
from graders_engine.view.opened import OpenRun
from graders_engine.view.prompts import prompts_json
from tests.view.runs_to_open import opened, write_data, write_run

REWARDS: dict[str, list[float | None]] = {
    "varied": [0.0, 1.0, 0.5],
    "never": [0.25, 0.0],
    "always": [1.0, 1.0, 0.9999999999999999],
    "failed": [None, None],
    "one": [0.75],
}
PASS_AT_1 = (1 / 3 + 0 + 1 + 0) / 4
"""The mean over the four prompts with a reward."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> OpenRun:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = [
        {"item": {"id": name}, "samples": [f"text {reward or 1:.2f}" for reward in rewards]}
        for name, rewards in REWARDS.items()
    ]
    lines = [
        ResultLine(line, reward, "scored", {}, {}, 0.0, sample=sample, group=name)
        if reward is not None
        else ResultLine(line, None, "failed", {}, {"e": ""}, 0.0, "infrastructure", sample=sample, group=name)
        for line, (name, rewards) in enumerate(REWARDS.items(), 1)
        for sample, reward in enumerate(rewards, 1)
    ]  # fmt: skip
    data = write_data(tmp_path, rows)
    path = write_run(
        tmp_path, lines, grader={}, data={"path": str(data)}, settings={"shape": "samples"}
    )
    return opened(OpenRun(path))


def names(run: OpenRun, query: str) -> list[str]:
    return [prompt["prompt"] for prompt in prompts_json(run, query)["prompts"]]


def test_each_prompt_has_its_figures_and_its_samples(run: OpenRun) -> None:
    found = prompts_json(run, "")
    by_name: dict[str, Any] = {prompt["prompt"]: prompt for prompt in found["prompts"]}
    assert list(by_name) == list(REWARDS)
    assert found["counts"] == {"all": 5, "no_variance": 1, "never": 2, "always": 1}
    assert found["most_samples"] == 3
    assert found["pass_at"]["1"] == pytest.approx(PASS_AT_1)
    varied = by_name["varied"]
    assert (varied["row"], varied["mean"], varied["spread"], varied["passing"]) == (
        "1#1",
        0.5,
        1.0,
        1,
    )
    assert [sample["row"] for sample in varied["samples"]] == ["1#1", "1#2", "1#3"]
    assert (by_name["failed"]["mean"], by_name["failed"]["spread"]) == (None, None)


def test_equal_samples_are_folded_with_their_count(run: OpenRun) -> None:
    always = next(each for each in prompts_json(run, "")["prompts"] if each["prompt"] == "always")
    assert [(sample["row"], sample["same"]) for sample in always["samples"]] == [
        ("3#1", 2),
        ("3#3", 1),
    ]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("show=no_variance", ["always"]),
        ("show=never", ["never", "one"]),
        ("show=always", ["always"]),
        ("sort=mean", ["never", "varied", "one", "always", "failed"]),
        ("sort=-spread", ["varied", "never", "always", "one", "failed"]),
        ("sort=-passing", ["always", "varied", "never", "one", "failed"]),
        ("sort=-row", ["one", "failed", "always", "never", "varied"]),
        ("page=9", list(REWARDS)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_prompts_are_shown_and_ordered_as_asked_for(
    query: str, wanted: list[str], run: OpenRun
) -> None:
    assert names(run, query) == wanted


def test_all_mistakes_are_said_at_once(run: OpenRun) -> None:
    with pytest.raises(InvalidRequest) as error:
        prompts_json(run, "show=some&sort=size&page=0&q=x")
    assert len(str(error.value).splitlines()) == 4
