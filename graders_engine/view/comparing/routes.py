"""The routes of Compare: two runs, their rows, and one row of both."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import numpy as np
from msgspec import to_builtins

from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.same_data import Sources
from graders_engine.errors import DataSetError, InvalidRequest, Mistake
from graders_engine.server.responses import Refused
from graders_engine.server.routes import Route
from graders_engine.statistics.estimate import Ints
from graders_engine.statistics.rounding import slack
from graders_engine.view.comparing.pairs import CHANGES, Compared, Comparisons
from graders_engine.view.context import Request, View, route
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import MAX_CHARS, Query
from graders_engine.view.row import index_in, plain_problem, row_json
from graders_engine.view.trees import trees

PER_PAGE = 50
_SORTS = (
    "row", "changed", "move", "-move", "size", "-size", "before", "-before", "after", "-after",
)  # fmt: skip
_PAGE = re.compile(r"[1-9][0-9]{0,9}")


def routes(view: View) -> list[Route]:
    """The routes."""
    comparing = Comparing()
    return [
        route(view, "GET", "compare", comparing.compare),
        route(view, "GET", "compare/rows/{row}", comparing.compared_row),
    ]


class _Asked(NamedTuple):
    """The query of an address.

    Attributes:
        a, b: the runs.
        by: the path to the value that the rows of a pair share; None to find a way.
        force: whether rows are compared however few have a partner.
        changes: pairs that changed so; all without any.
        q: the search in the texts of both.
        sort: one of `_SORTS`; by default the largest change is first in a list of changes for the better or
            the worse, a list of all rows has those that are the same last, and other lists are in the order
            of the rows.
        page: from 1.
    """

    a: str
    b: str
    by: str | None
    force: bool
    changes: frozenset[str]
    q: str
    sort: str
    page: int


class Comparing:
    """Answers the routes; it keeps the comparisons that were used last."""

    def __init__(self) -> None:
        self._comparisons = Comparisons()

    def compare(self, view: View, request: Request) -> dict[str, Any]:
        """`GET api/compare`: figures and a page of rows."""
        asked = _asked(request.query)
        first, second, compared = self._compared(view, request, asked)
        pairs, search = _selected(view, first, second, compared, asked)
        pages = max(1, -(-len(pairs) // PER_PAGE))
        page = min(asked.page, pages)
        source = view.source(request)
        rows, problem = _rows(
            first, second, compared, pairs[(page - 1) * PER_PAGE : page * PER_PAGE], asked.q
        )
        return {
            "a": source.run_json(asked.a),
            "b": source.run_json(asked.b),
            "comparison": _comparison_json(compared, asked),
            "sections": [
                {"id": id_, "heading": heading, "tree": ["div", {}, trees(html)]}
                for id_, heading, html in compared.sections
            ],
            "counts": compared.counts(),
            "count": len(pairs),
            "keys": [*dict.fromkeys([*first.keys, *second.keys])],
            "sort": asked.sort,
            "rows": rows,
            "page": page,
            "pages": pages,
            "search": search,
            "data_problem": plain_problem(view, second, problem),
            "warnings": compared.warnings,
        }

    def compared_row(self, view: View, request: Request) -> dict[str, Any]:
        """`GET api/compare/rows/{row}`: one row as both runs have it; the row's name is that in A."""
        asked = _asked(request.query)
        first, second, compared = self._compared(view, request, asked)
        here = compared.pairing.before
        index = index_in(first, request)
        pair = int(np.searchsorted(here, index))
        if pair >= len(here) or here[pair] != index:
            message = f"The other run has no row for '{request.path['row'][:40]}'."
            raise Refused(404, Mistake(message, code="not_found"))
        pairs, _ = _selected(view, first, second, compared, asked)
        at = np.flatnonzero(pairs == pair)
        around = [int(at[0]) - 1, int(at[0]) + 1] if len(at) else []
        before, after = (
            first.name_of(int(here[pairs[place]])) if 0 <= place < len(pairs) else None
            for place in (around or (-1, -1))
        )
        return {
            "a": row_json(view, request, first, index),
            "b": row_json(view, request, second, int(compared.pairing.after[pair])),
            "change": CHANGES[compared.changes[pair]],
            "previous": before,
            "next": after,
            "position": int(at[0]) + 1 if len(at) else None,
            "of": len(pairs),
        }

    def _compared(
        self, view: View, request: Request, asked: _Asked
    ) -> tuple[OpenRun, OpenRun, Compared]:
        first, second = (view.opened(request, run) for run in (asked.a, asked.b))
        sources = Sources(view.data, view.data, asked.by, asked.force)
        try:
            return first, second, self._comparisons.of(first, second, sources)
        except DataSetError as error:
            problem = plain_problem(view, second, plain_problem(view, first, str(error)))
            raise DataSetError(problem) from None


def _comparison_json(compared: Compared, asked: _Asked) -> Any:
    """The comparison as `graders compare --json` prints it, the runs named by their ids."""
    comparison = compared.comparison
    return to_builtins(
        replace(
            comparison,
            before=replace(comparison.before, name=asked.a),
            after=replace(comparison.after, name=asked.b),
        )
    )


def _selected(
    view: View, first: OpenRun, second: OpenRun, compared: Compared, asked: _Asked
) -> tuple[Ints, dict[str, Any] | None]:
    """The pairs that are asked for, in order, and how far the search has come."""
    pairing = compared.pairing
    keep = np.ones(len(pairing.before), dtype=np.bool_)
    if asked.changes:
        keep &= np.isin(compared.changes, [CHANGES.index(name) for name in asked.changes])
    search = None
    if asked.q.strip():
        found = np.zeros(len(keep), dtype=np.bool_)
        states, problems = [], []
        for run, side in ((first, pairing.before), (second, pairing.after)):
            selection = run.rows(Query(q=asked.q))
            mask = np.zeros(len(run.columns.lines), dtype=np.bool_)
            mask[slice(None) if selection.order is None else selection.order] = True
            found |= mask[side]
            states.append(selection.search)
            problems.append(
                plain_problem(
                    view, run, "" if selection.search is None else selection.search.problem
                )
            )
        keep &= found
        known = [state for state in states if state is not None]
        search = {
            "done": all(state.done for state in known),
            "scanned": sum(state.scanned for state in known),
            "of": sum(state.of for state in known),
            "problem": " ".join(dict.fromkeys(filter(None, problems))),
        }
    pairs = np.flatnonzero(keep)
    name = asked.sort.removeprefix("-")
    if name != "row":
        values = {
            "changed": compared.changes == CHANGES.index("same"),
            "move": compared.moves,
            "size": np.abs(compared.moves),
            "before": first.columns.counted[pairing.before],
            "after": second.columns.counted[pairing.after],
        }[name][pairs]
        values = -values if asked.sort.startswith("-") else values
        pairs = pairs[np.argsort(values, kind="stable")]  # NaN is last
    return pairs, search


def _rows(
    first: OpenRun, second: OpenRun, compared: Compared, pairs: Ints, q: str
) -> tuple[list[dict[str, Any]], str]:
    """Some pairs as the page lists them, and why they have no texts."""
    here = compared.pairing.before[pairs].tolist()
    there = compared.pairing.after[pairs].tolist()
    problem = ""
    excerpts: list[Any] = [None] * len(there)
    ids = [""] * len(there)
    try:
        excerpts = second.excerpts(there, Query(q=q))
        ids = [text.id for text in second.texts(there)]
    except DataSetError as error:
        problem = str(error)
    results = zip(map(first.result, here), map(second.result, there), strict=True)
    return [
        {
            "a": first.name_of(one),
            "b": second.name_of(other),
            "id": id_,
            "before": was.counted,
            "after": is_.counted,
            "status_before": was.status,
            "status_after": is_.status,
            "blame_before": was.blame,
            "blame_after": is_.blame,
            "change": CHANGES[compared.changes[pair]],
            "parts": _changed_parts(was, is_),
            "excerpt": None if excerpt is None else excerpt.as_json(),
        }
        for pair, one, other, id_, excerpt, (was, is_) in zip(
            pairs.tolist(), here, there, ids, excerpts, results, strict=True
        )
    ], problem


def _changed_parts(was: ResultLine, is_: ResultLine) -> list[dict[str, Any]]:
    """The sub-rewards that differ, the most first; one that only one row has changes by its value."""
    before, after = was.sub_rewards, is_.sub_rewards
    sizes = {
        name: abs((after.get(name) or 0.0) - (before.get(name) or 0.0))
        for name in dict.fromkeys([*before, *after])
    }
    moved = [name for name, size in sizes.items() if size > slack(before.get(name) or 0.0)]
    return [
        {"key": name, "before": before.get(name), "after": after.get(name)}
        for name in sorted(moved, key=sizes.__getitem__, reverse=True)
    ]


def _usual_sort(changes: frozenset[str]) -> str:
    if not changes:
        return "changed"
    if changes - {"better", "worse"}:
        return "row"
    return {"better": "-move", "worse": "move"}[min(changes)] if len(changes) == 1 else "-size"


def _asked(query: str) -> _Asked:
    """The query of an address.

    Raises:
        InvalidRequest: with all mistakes.
    """
    if len(query) > MAX_CHARS:
        raise InvalidRequest(f"The query is longer than {MAX_CHARS:,} characters.")
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        given.setdefault(name, []).append(value)
    last = {name: values[-1] for name, values in given.items()}
    mistakes = [f"`{name}` is missing: the id of a run." for name in "ab" if not last.get(name)]
    changes = frozenset(filter(None, given.get("change", ())))
    if unknown := changes - {*CHANGES}:
        mistakes.append(
            f"`change` must be one of {', '.join(CHANGES)}, but it is {min(unknown)!r}."
        )
    sort = last.get("sort") or _usual_sort(changes)
    if sort not in _SORTS:
        mistakes.append(f"`sort` must be one of {', '.join(_SORTS)}, but it is {sort!r}.")
    page = last.get("page") or "1"
    if not _PAGE.fullmatch(page):
        mistakes.append(f"`page` must be a number from 1, but it is {page!r}.")
    if mistakes:
        raise InvalidRequest("\n".join(mistakes))
    return _Asked(
        last["a"], last["b"], last.get("by") or None, bool(last.get("force")), changes,
        last.get("q", ""), sort, int(page),
    )  # fmt: skip
