"""The prompts of a run, each with its samples: the page of the heat map."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.results.columns import STANDINGS
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.report.provenance import passing_of
from graders_engine.report.row_texts import RowText
from graders_engine.statistics.estimate import Floats, Ints
from graders_engine.statistics.samples import PromptFigures, pass_at, prompt_figures
from graders_engine.view.columns import ViewColumns

if TYPE_CHECKING:
    from graders_engine.view.opened import OpenRun

PER_PAGE = 50
SHOW = ("", "no_variance", "never", "always")
"""Which prompts: all, those whose samples have equal rewards, those that never pass, those that always do."""
SORTS = ("row", "mean", "spread", "passing")
_Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Prompts:
    """The prompts of a run; only rewards that count in the mean are in their figures.

    Args:
        columns: the run.
        codes: of each row, the number of its prompt.
    """

    columns: ViewColumns
    codes: NDArray[np.int32]

    @property
    def count(self) -> int:
        """How many prompts there are."""
        return len(self._starts) - 1

    @cached_property
    def _rows(self) -> Ints:
        return np.argsort(self.codes, kind="stable")

    @cached_property
    def _starts(self) -> Ints:
        return np.concatenate(([0], np.cumsum(np.bincount(self.codes)))).astype(np.int64)

    def rows(self, prompt: int) -> Ints:
        """The rows of a prompt, in the order of the file."""
        return self._rows[self._starts[prompt] : self._starts[prompt + 1]]

    @cached_property
    def passing(self) -> float:
        """The lowest reward with which a sample passes."""
        found = passing_of(self.columns.meta)
        return 1.0 if found is None else found

    @cached_property
    def _counted(self) -> tuple[Floats, NDArray[np.int32]]:
        counted = self.columns.counted
        present = ~np.isnan(counted)
        return counted[present], self.codes[present]

    @cached_property
    def rewards(self) -> PromptFigures:
        """The rewards of each prompt."""
        return prompt_figures(*self._counted, self.count, self.passing)

    @cached_property
    def pass_at(self) -> dict[int, float]:
        """By k, the probability that one of k samples passes: for 1, 2, 4 and so on, as in reports."""
        values, codes = self._counted
        most = int(self.rewards.sizes.max(initial=0))
        found = {
            2**power: pass_at(values, codes, 2**power, self.passing)
            for power in range(most.bit_length())
        }
        return {k: chance.value for k, chance in found.items() if chance is not None}

    @cached_property
    def masks(self) -> dict[str, _Mask]:
        """By the names of `SHOW`, which prompts are listed."""
        of_each = self.rewards
        some = of_each.sizes > 0
        return {
            "": np.ones(self.count, bool),
            "no_variance": of_each.no_variance,
            "never": some & (of_each.passing == 0),
            "always": some & (of_each.passing == of_each.sizes),
        }

    def ordered(self, show: str, by: str, *, descending: bool) -> Ints:
        """The prompts that are listed, in order; of equal ones, those that come first in the file."""
        firsts = self._rows[self._starts[:-1]]
        of_each = self.rewards
        keys: dict[str, Floats] = {
            "row": firsts.astype(np.float64),
            "mean": of_each.means,
            "spread": of_each.highest - of_each.lowest,
            "passing": np.divide(
                of_each.passing,
                of_each.sizes,
                out=np.full(self.count, np.nan),
                where=of_each.sizes > 0,
            ),
        }
        key = -keys[by] if descending else keys[by]
        found = np.lexsort((firsts, key))
        return found[self.masks[show][found]]


def prompts_json(run: OpenRun, query_string: str) -> dict[str, Any]:
    """The page of the heat map, as `GET api/runs/{run}/prompts` sends it.

    Raises:
        InvalidRequest: with all mistakes in the query.
        DataSetError: the run is still being read.
    """
    show, by, descending, page = _parsed(query_string)
    prompts = run.prompts
    if prompts is None:
        raise InvalidRequest("The rows of this run are no samples of prompts.")
    ordered = prompts.ordered(show, by, descending=descending)
    pages = max(-(-len(ordered) // PER_PAGE), 1)
    page = min(page, pages)
    on_page = ordered[(page - 1) * PER_PAGE : page * PER_PAGE].tolist()
    return {
        "prompts": _described(run, prompts, on_page),
        "page": page,
        "pages": pages,
        "counts": {name or "all": int(mask.sum()) for name, mask in prompts.masks.items()},
        "most_samples": int(np.diff(prompts._starts).max(initial=0)),
        "passing": prompts.passing,
        "pass_at": {str(k): chance for k, chance in prompts.pass_at.items()},
    }


def _parsed(query_string: str) -> tuple[str, str, bool, int]:
    given = dict(parse_qsl(query_string, keep_blank_values=True))
    show, sort, page = given.pop("show", ""), given.pop("sort", "row"), given.pop("page", "1")
    by = sort.removeprefix("-")
    mistakes = [f"`{name}` is not known; there are show, sort, page." for name in given]
    if show not in SHOW:
        mistakes.append(f"`show` must be one of {', '.join(SHOW[1:])}, but it is '{show}'.")
    if by not in SORTS:
        mistakes.append(
            f"`sort` must be one of {', '.join(SORTS)}, with or without a minus sign before it, but it is "
            f"'{sort}'."
        )
    if not re.fullmatch("[1-9][0-9]{0,11}", page):
        mistakes.append(f"`page` must be a number from 1 on, but it is '{page}'.")
    if mistakes:
        raise InvalidRequest("\n".join(mistakes))
    return show, by, by != sort, int(page)


def _described(run: OpenRun, prompts: Prompts, on_page: Sequence[int]) -> list[dict[str, Any]]:
    columns, of_each = prompts.columns, prompts.rewards
    rows = {prompt: prompts.rows(prompt).tolist() for prompt in on_page}
    every = [row for of_prompt in rows.values() for row in of_prompt]
    try:
        texts = dict(zip(every, run.texts(every), strict=True))
    except DataSetError:
        texts = {}
    found = []
    for prompt, of_prompt in rows.items():
        first = of_prompt[0]
        has_mean = of_each.sizes[prompt] > 0
        found.append(
            {
                "prompt": texts[first].id if first in texts else "",
                "row": columns.name_of(first),
                "mean": float(of_each.means[prompt]) if has_mean else None,
                "spread": float(of_each.highest[prompt] - of_each.lowest[prompt])
                if has_mean
                else None,
                "passing": int(of_each.passing[prompt]),
                "samples": _folded(columns, of_prompt, texts),
            }
        )
    return found


def _folded(
    columns: ViewColumns, rows: Sequence[int], texts: dict[int, RowText]
) -> list[dict[str, Any]]:
    """The samples of a prompt; of those with the same text and result, the first, and how many there are."""
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        reward = float(columns.counted[row])
        standing = int(columns.standings[row])
        counted = None if np.isnan(reward) else reward
        text = texts[row].sample if row in texts else ""
        key = (text, counted, standing) if text else row
        if key in found:
            found[key]["same"] += 1
        else:
            found[key] = {
                "row": columns.name_of(row),
                "reward": counted,
                "status": STANDINGS[standing][0],
                "same": 1,
            }
    return list(found.values())
