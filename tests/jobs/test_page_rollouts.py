"""What the page of a job reads of its rollouts: all of them once, whatever becomes of the file meanwhile."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.jobs.page import rollouts as module
from graders_engine.jobs.page.rollouts import MOST, MOST_WITHOUT, Rollouts

Rollout = tuple[str, int, float | None]
"""Split, row and reward."""


def line_of(step: int, rollout: Rollout, sample: Any = "x") -> bytes:
    split, row, reward = rollout
    found = {
        "step": step,
        "split": split,
        "row": row,
        "item": {"reward": 9, "split": "none"},
        "sample": sample,
        "reward": reward,
        "sub_rewards": {"reward": 7.0},
        "flags": {},
    }
    return json.dumps(found).encode() + b"\n"


def extremes(rollouts: Sequence[Rollout], sign: int) -> list[tuple[float, int]]:
    """The obvious way: (reward, line) of the best of each row, of equal ones the newest."""
    of_row: dict[tuple[str, int], tuple[float, int]] = {}
    for number, (split, row, reward) in enumerate(rollouts, 1):
        if reward is not None:
            best = of_row.get((split, row), (-1e400, 0))
            of_row[split, row] = max(best, (sign * reward, number))
    return [
        (sign * reward, number) for reward, number in sorted(of_row.values(), reverse=True)[:MOST]
    ]


REWARDS = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0]), st.floats(-2, 2))
ROLLOUTS = st.lists(
    st.tuples(st.sampled_from(["train", "valid"]), st.integers(1, 9), REWARDS), max_size=60
)


@given(ROLLOUTS, st.integers(1, 700))
def test_the_extremes_and_counts_are_those_of_all_rollouts_however_they_are_read(
    tmp_path_factory: pytest.TempPathFactory, rollouts: list[Rollout], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("rollouts") / "rollouts.jsonl"
    path.write_bytes(b"".join(line_of(step, one) for step, one in enumerate(rollouts, 1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        found = Rollouts(path)
        found.look()
    assert found.is_whole
    assert found.counts == Counter(split for split, _, _ in rollouts)
    assert found.unscored == Counter(split for split, _, reward in rollouts if reward is None)
    assert [(one.reward, one.position.line) for one in found.best] == extremes(rollouts, 1)
    best = {one.position.line for one in found.best}
    assert [(one.reward, one.position.line) for one in found.worst] == [
        one for one in extremes(rollouts, -1) if one[1] not in best
    ]
    without = [number for number, (_, _, reward) in enumerate(rollouts, 1) if reward is None]
    assert [one.position.line for one in found.without] == without[::-1][:MOST_WITHOUT]
    for one in (*found.best, *found.worst, *found.without):
        read = json.loads(found.read(one.position))
        assert (read["step"], read["split"], read["row"], read["reward"]) == (
            one.position.line, one.split, one.row, one.reward,
        )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rollouts.jsonl"


class CountedFile(io.FileIO):
    """A file that counts what is read of it by the chunk."""

    chunks = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size) or b""
        if size == module.CHUNK:
            CountedFile.chunks += len(found)
        return found


def looked(found: Rollouts, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many bytes a look takes in."""
    CountedFile.chunks = 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", lambda descriptor, mode: CountedFile(descriptor, mode))
        found.look()
    return CountedFile.chunks


def test_a_file_that_grows_is_read_on_from_its_last_whole_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Rollouts(path)
    found.look()  # before the first step there is none
    assert (found.is_whole, found.problem, found.total) == (True, "", 0)
    first, second = line_of(1, ("train", 1, 0.5)), line_of(2, ("train", 2, 1.0))
    path.write_bytes(first + second[:30])
    assert looked(found, monkeypatch) == len(first) + 30
    assert [one.reward for one in found.best] == [0.5]
    path.write_bytes(first + second)
    assert looked(found, monkeypatch) == len(second)
    assert [one.reward for one in found.best] == [1.0, 0.5]
    assert looked(found, monkeypatch) == 0


def test_a_file_that_was_cut_and_written_anew_is_read_anew(path: Path) -> None:
    found = Rollouts(path)
    path.write_bytes(line_of(1, ("train", 1, 0.5)) + line_of(2, ("train", 2, 1.0)))
    found.look()
    path.write_bytes(line_of(1, ("train", 1, 0.5)))  # a worker was lost after this step
    found.look()
    assert (found.total, [one.reward for one in found.best]) == (1, [0.5])
    path.write_bytes(line_of(1, ("train", 1, 0.5)) + line_of(2, ("train", 2, 0.25)) * 3)
    found.look()
    found = Rollouts(path)
    found.look()
    longer = line_of(1, ("train", 1, 0.75)) + line_of(2, ("train", 2, 0.125)) * 9
    path.write_bytes(longer)  # longer than before, and other from the start
    found.look()
    assert (found.total, [one.reward for one in found.best]) == (10, [0.75, 0.125])


def test_a_large_file_is_read_in_several_looks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 1000)
    path.write_bytes(b"".join(line_of(step, ("train", step, step / 100)) for step in range(1, 101)))
    found, looks = Rollouts(path), 0
    while not found.is_whole:
        found.look(0.0)
        looks += 1
        assert found.done <= looks * 1000
    assert looks > 10
    assert (found.total, [one.reward for one in found.best]) == (100, [1.0, 0.99, 0.98, 0.97, 0.96])


@pytest.mark.parametrize(
    "bad",
    [
        b"\n", b"{}\n", b"[1]\n", b"\xff\n", b'{"step": 1, "split": "train", "row": 1, "reward": "1"}\n',
        b"[" * 5_000 + b"\n", b'{"step": 1, "split": "train", "row": 1, "reward": NaN}\n',
    ],
)  # fmt: skip
def test_lines_that_are_no_rollouts_are_counted_and_no_zeros(bad: bytes, path: Path) -> None:
    path.write_bytes(line_of(1, ("train", 1, 0.5)) + bad + line_of(2, ("train", 2, None)))
    found = Rollouts(path)
    found.look()
    assert (found.total, found.unscored["train"], found.unreadable) == (2, 1, 1)
    assert [(one.reward, one.position.line) for one in found.worst + found.best] == [(0.5, 1)]


def test_a_link_in_place_of_the_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(line_of(1, ("train", 1, 0.5)))
    path.symlink_to(tmp_path / "secret")
    found = Rollouts(path)
    found.look()
    assert (found.total, found.is_whole) == (0, True)
    assert found.problem.startswith("The rollouts cannot be read: ")


def test_what_is_no_file_keeps_nobody_waiting(path: Path) -> None:
    os.mkfifo(path)
    found = Rollouts(path)
    found.look()
    assert (found.total, found.is_whole) == (0, True)
