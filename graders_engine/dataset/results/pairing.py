"""Which rows of two runs belong together: by line of one data set, by a value, or by equal items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graders_engine.dataset.results.columns import RunColumns
from graders_engine.dataset.results.row_keys import IDS, NO_KEY, RowKeys, read_keys
from graders_engine.dataset.results.same_data import Sources, same_data
from graders_engine.dataset.rows.identity import ITEM
from graders_engine.errors import DataSetError
from graders_engine.statistics.estimate import Ints

LINE = "line"
"""How rows of one data set are paired: by line and sample."""
SMALLEST_SHARE = 0.5
"""Of the smaller run, the share of rows that must have a partner; with fewer, the data sets are others."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts that both runs have, for samples that have no partner of their own.

    Attributes:
        before: of each row of the first run, the number of its prompt, from 0; -1 if the second lacks it.
        after: of each row of the second run, the same.
        groups: of each prompt, as `Pairing.groups`.
    """

    before: Ints
    after: Ints
    groups: Ints


@dataclass(frozen=True, slots=True)
class Pairing:
    """The rows of two runs that belong together.

    Attributes:
        by: "line", "item" (equal items), or the path to the value that the rows of a pair share.
        before: of each pair, the index of the first run's row, in ascending order.
        after: of each pair, the index of the second run's row.
        groups: of each pair, a number that it shares with the pairs of the same prompt.
        other_items: pairs whose items differ; None if the items were not read.
        unchecked: why nothing shows that the rows of a pair are the same; empty if something does.
        prompts: the prompts, if several samples have the same key. Nothing says then which sample of one run
            belongs to which of the other: only the prompts are pairs, and their samples are paired by their
            ranks in status and reward.
    """

    by: str
    before: Ints
    after: Ints
    groups: Ints
    other_items: int | None = None
    unchecked: str = ""
    prompts: Prompts | None = None


def pair_rows(first: RunColumns, second: RunColumns, sources: Sources) -> Pairing:
    """Pair the rows of two runs.

    Runs of one data set are paired by line and sample. Others are paired by what their data sets hold: by the
    value at the path that is given, or else by an id that each line has alone, if most of the items with
    equal ids are equal, too, or else by equal items. Of rows with the same key, the prompts are the pairs.

    Raises:
        DataSetError: the rows cannot be paired, or too few have a partner.
        InvalidRequest: there is no such path.
    """
    for run in (first, second):
        run.require_single()
    pairing = _pair(first, second, sources)
    matched, smaller = len(pairing.before), min(len(first.lines), len(second.lines))
    if not matched:
        raise DataSetError(f"{first.path} and {second.path} have no row in common.{_hint(pairing)}")
    if matched < SMALLEST_SHARE * smaller and not sources.force:
        raise DataSetError(
            f"Only {matched:,} of {len(first.lines):,} rows of {first.path} are among the "
            f"{len(second.lines):,} of {second.path} (paired by {pairing.by}): these are different data sets."
            f"{_hint(pairing)} Pass --force to compare these {matched:,} all the same."
        )
    return pairing


def _hint(pairing: Pairing) -> str:
    if pairing.by != ITEM:
        return ""
    return " Rows were paired by equal item; name a value that the rows of a pair share with --by PATH."


def _pair(first: RunColumns, second: RunColumns, sources: Sources) -> Pairing:
    by = None if sources.by is None else sources.by.strip()
    joined = any(_outputs(run.meta) for run in (first, second))
    same = same_data(first, second, sources) if by is None else ""
    if same == "rows" or (same == "data" and not joined):
        return _by_line(first, second)
    if same == "data":
        return _by_key(LINE, first, second, first.lines, second.lines)
    try:
        here = read_keys(first, by, sources.before, "--data-a")
        there = read_keys(second, by, sources.after, "--data-b")
    except DataSetError as error:
        if (
            same and joined
        ):  # outputs are often written over, when those of another model are graded
            found = _by_key(LINE, first, second, first.lines, second.lines)
            return replace(found, unchecked=str(error))
        if by is not None or not sources.force:
            force = (
                ""
                if by is not None
                else (" --force pairs by line number and cannot check that the rows are the same.")
            )
            raise DataSetError(
                f"The rows cannot be paired. {error} If the data set was moved, pass its path with --data-a "
                f"or --data-b.{force}"
            ) from None
        _require_same_groups(first, second)
        return _by_line(first, second, unchecked=str(error))
    return _by_keys(first, second, here, there, by)


def _outputs(meta: Mapping[str, Any]) -> Any:
    return meta.get("data", {}).get("outputs")


def _by_line(first: RunColumns, second: RunColumns, unchecked: str = "") -> Pairing:
    here, there = first.matched(second)
    groups = _groups(first, second, here, there, first.lines[here])
    return Pairing(LINE, here, there, groups, unchecked=unchecked)


def _groups(first: RunColumns, second: RunColumns, here: Ints, there: Ints, others: Ints) -> Ints:
    """The groups of pairs: the named ones of the first run, or else of the second, or else those given."""
    for groups in (first.groups[here], second.groups[there]):
        if (groups < 0).any():
            return np.where(groups < 0, groups, others)
    return others


def _require_same_groups(first: RunColumns, second: RunColumns) -> None:
    """Check, of rows that cannot be read, that those on the same lines have the same named groups."""
    here, there = first.matched(second)
    names = list(zip(first.group_names(here), second.group_names(there), strict=True))
    differing = sum(one != other for one, other in names if one is not None and other is not None)
    if differing:
        raise DataSetError(
            f"The rows cannot be paired by line: {differing:,} of {len(names):,} belong to another prompt in "
            f"{second.path} than in {first.path}."
        )


def _by_keys(
    first: RunColumns, second: RunColumns, here: RowKeys, there: RowKeys, by: str | None
) -> Pairing:
    def paired_by(path: str) -> Pairing:
        items = here.of(ITEM, first), there.of(ITEM, second)
        return _by_key(path, first, second, here.of(path, first), there.of(path, second), items)

    if by is not None:
        return paired_by(by)
    best = paired_by(ITEM)
    for path in IDS:
        if all(path in keys.by_path and keys.single(path) for keys in (here, there)):
            found = paired_by(path)
            same_items = len(found.before) - (found.other_items or 0)
            if len(found.before) >= len(best.before) and 2 * same_items >= len(found.before) > 0:
                return found
    return best


def _by_key(
    path: str,
    first: RunColumns,
    second: RunColumns,
    one: Ints,
    other: Ints,
    items: tuple[Ints, Ints] | None = None,
) -> Pairing:
    """Pair rows with the same key.

    Args:
        path: what the keys are.
        first: the first run.
        second: the second run.
        one: of each row of the first run, the key.
        other: of each row of the second run, the key.
        items: of each row of both, the key of its item; None if they were not read.
    """
    numbers = (
        np.unique(np.concatenate((one, other)), return_inverse=True)[1].ravel().astype(np.int64)
    )
    before, after = numbers[: len(one)], numbers[len(one) :]
    counts = np.bincount(before, minlength=len(numbers)), np.bincount(after, minlength=len(numbers))
    places = (
        _places(_ranks(before, first), counts[0][before], counts[1][before]),
        _places(_ranks(after, second), counts[1][after], counts[0][after]),
    )
    spread = 1 + len(numbers)
    _, in_before, in_after = np.intersect1d(
        before * spread + places[0],
        after * spread + places[1],
        assume_unique=True,
        return_indices=True,
    )
    known = one[in_before] != NO_KEY
    in_before, in_after = in_before[known], in_after[known]
    order = np.argsort(in_before)
    in_before, in_after = in_before[order], in_after[order]
    keys, differing = one[in_before], None
    if items is not None:
        item = items[0][in_before]
        differing = int((item != items[1][in_after]).sum())
        # Rows of one prompt share the key, or the item while each has an id of its own.
        keys = min((keys, item), key=lambda each: len(np.unique(each)))
    same = np.unique(keys, return_inverse=True)[1].ravel().astype(np.int64)
    groups = _groups(first, second, in_before, in_after, same)
    prompts = _prompts(before, after, in_before, groups)
    return Pairing(path, in_before, in_after, groups, differing, prompts=prompts)


def _prompts(before: Ints, after: Ints, in_before: Ints, groups: Ints) -> Prompts | None:
    """The prompts of rows that are paired by these keys; None if no key has several rows."""
    common, at = np.unique(before[in_before], return_index=True)
    if not len(common):
        return None
    sides = []
    for keys in (before, after):
        places = np.minimum(np.searchsorted(common, keys), len(common) - 1)
        sides.append(np.where(common[places] == keys, places, -1))
    if all(np.bincount(side[side >= 0]).max() == 1 for side in sides):
        return None
    return Prompts(sides[0], sides[1], groups[at])


def _places(ranks: Ints, own: Ints, others: Ints) -> Ints:
    """Of each row, the rank among the other run's rows with its key that it is paired with.

    Where a run has more rows with a key than the other, those are paired that lie in the middle of as many
    equal parts as the other has rows; the others' places are ranks that the other run does not have.

    Args:
        ranks: of each row, as `_ranks`.
        own: of each row, how many of its run have its key.
        others: how many of the other run have it.
    """
    parts = np.maximum(others, 1)
    part = ranks * parts // own
    part += (2 * part + 1) * own // (2 * parts) < ranks
    middle = ((2 * part + 1) * own // (2 * parts) == ranks) & (part < others)
    return np.where(own <= others, ranks, np.where(middle, part, others + ranks))


def _ranks(keys: Ints, run: RunColumns) -> Ints:
    """Of each row, how many rows with the same key come before it, in the order of what counts of them.

    A row that counts with 0, as its sample is invalid, stands among those with a reward of 0: behind all that
    are scored, it would be paired with the best of them. Rows that are in no mean come last.
    """
    order = np.lexsort((run.samples, run.lines, run.standings, run.counted, keys))
    ordered = keys[order]
    begins = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sizes = np.diff(np.append(begins, len(ordered)))
    counts = np.empty(len(keys), dtype=np.int64)
    counts[order] = np.arange(len(keys)) - np.repeat(begins, sizes)
    return counts
