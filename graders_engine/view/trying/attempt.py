"""A grader that is being written: graded on some rows as one types, and saved as a new file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from graders_engine.dataset.results.meta import read_meta
from graders_engine.errors import Mistake
from graders_engine.report.provenance import Provenance
from graders_engine.server.responses import Refused
from graders_engine.server.routes import Route
from graders_engine.view.context import Request, View, route
from graders_engine.view.regrading import settings_of_run
from graders_engine.view.trying.drafts import Form
from graders_engine.view.trying.fields import fields_json
from graders_engine.view.trying.grading import Workshop
from graders_engine.view.trying.needs import needs_of, why_unavailable
from graders_engine.view.trying.numbers import tried_json
from graders_engine.view.trying.rows import RowSets, Wanted, Which

MAX_GRADER_CHARS = 1_000_000
"""A longer text is refused."""
MAX_ROWS = 2_000
"""Rows that are graded at a time."""
ROWS = 200
"""The same, by default."""
_FORMS: tuple[Form, ...] = ("json", "yaml")
_WHICH: tuple[Which, ...] = ("first", "drawn", "filter")
_ENDINGS = {"json": (".json",), "yaml": (".yaml", ".yml")}


def routes(view: View) -> list[Route]:
    """The routes of the playground."""
    playground = Playground()
    return [
        route(view, "GET", "fields", playground.fields),
        route(view, "POST", "try", playground.attempt),
        route(view, "POST", "save", playground.save),
        route(view, "GET", "runs/{run}/grader", grader),
    ]


class Playground:
    """Grades and saves what is typed; it keeps the rows, engines and graders that were used last."""

    def __init__(self) -> None:
        self._rows = RowSets()
        self._workshop = Workshop()

    def fields(self, view: View, request: Request) -> dict[str, Any]:
        """What templates may name in the rows of a data set; nothing where no grader is tried.

        Raises:
            Refused: there is no such data set.
            DataSetError: the rows cannot be read.
        """
        if view.read_only:
            return {"read_only": True, **fields_json([])}
        path = view.source(request).data_set(request.parameters.get("data", ""))
        rows = self._rows.of_data(path, Wanted(count=ROWS))
        return {"read_only": False, **fields_json([ref.row for ref in rows.refs])}

    def attempt(self, view: View, request: Request) -> dict[str, Any]:
        """Read a grader and grade some rows with it.

        Raises:
            Refused: the request's fields are wrong, or there is no such run.
            DataSetError: the rows cannot be read.
            ClientGone: the client went; the grading has ended.
        """
        asked = _Asked(request.body)
        opened = None if asked.run is None else view.opened(request, asked.run)
        meta: Mapping[str, Any] = {} if opened is None else opened.meta
        settings = settings_of_run(view.settings, meta)
        draft = self._workshop.draft(settings, asked.grader, asked.form)
        if draft.compiled is None:
            return {"mistakes": draft.mistakes, "notes": draft.notes}
        if opened is not None:
            rows = self._rows.of_run(opened, asked.wanted)
        else:
            rows = self._rows.of_data(view.source(request).data_set(asked.data or ""), asked.wanted)
        notes = [*draft.notes, *map(view.source(request).plain, rows.notes)]
        common = {"rows": len(rows), "notes": notes, "needs": None}
        unavailable = why_unavailable(draft.compiled, settings)
        if unavailable:
            return {**common, "unavailable": unavailable}
        if not asked.costly:
            needs = needs_of(draft.compiled, rows.refs, self._workshop.prices(settings), settings)
            if needs is not None:
                return {**common, "needs": needs, "stored": rows.stored_json(meta)}
        values = [ref.row for ref in rows.refs]
        if asked.costly:
            judges = replace(settings.judge_settings(), max_cost=asked.max_cost)
            alone = replace(settings, judges=judges)
            graded = self._workshop.grade_alone(alone, draft.compiled.given, values, request)
        else:
            graded = self._workshop.grade(settings, draft.compiled, values, request)
        return {**common, **tried_json(rows, graded, meta, draft.compiled)}

    def save(self, view: View, request: Request) -> dict[str, Any]:
        """Write a grader's text to a new file beside its run or data set.

        Raises:
            Refused: it is no valid grader, the name is wrong, or there is such a file.
        """
        fields = _Fields(request.body)
        run, data = fields.source()
        name = fields.text("name", 200)
        text = fields.text("grader", MAX_GRADER_CHARS)
        form: Form = fields.one_of("format", _FORMS)
        if not name.lower().endswith(_ENDINGS[form]):
            raise _refused(
                "name", f"a grader in {form.upper()} ends in {' or '.join(_ENDINGS[form])}"
            )
        source = view.source(request)
        path = source.new_file(str(run if data is None else data), name)
        meta = {} if run is None else read_meta(source.results(run))
        draft = self._workshop.draft(settings_of_run(view.settings, meta), text, form)
        if draft.compiled is None:
            raise Refused(400, _no_grader(draft.mistakes))
        _write(path, text)
        return {"path": source.plain(str(path))}


class _Asked:
    """The fields of a request to try a grader.

    Raises:
        Refused: they are wrong; with the first mistake.
    """

    def __init__(self, body: Any) -> None:
        fields = _Fields(body)
        self.run, self.data = fields.source()
        self.grader = fields.text("grader", MAX_GRADER_CHARS)
        self.form: Form = fields.one_of("format", _FORMS)
        which: Which = fields.one_of("rows", _WHICH)
        if which == "filter" and self.run is None:
            raise _refused("rows", "only the rows of a run can be filtered")
        count = fields.number("count", 1, MAX_ROWS)
        query = fields.optional_text("query")
        self.wanted = Wanted(which, ROWS if count is None else int(count), query)
        self.costly = fields.body.get("costly") is True
        self.max_cost = fields.number("max_cost", 0, 1e9)


class _Fields:
    """The fields of a body, each with what it must be."""

    def __init__(self, body: Any) -> None:
        if not isinstance(body, dict):
            raise Refused(400, Mistake("The body must be an object.", code="invalid_type"))
        self.body = body

    def source(self) -> tuple[str | None, str | None]:
        """The run or the data set: one of them."""
        run, data = self.body.get("run"), self.body.get("data")
        if (run is None) == (data is None):
            raise _refused("run", "pass either the id of a run, or `data`, the name of a data set")
        for name, value in (("run", run), ("data", data)):
            if not isinstance(value, str | None):
                raise _refused(name, "it must be text")
        return run, data

    def text(self, name: str, most: int) -> str:
        """A text that has to be there."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise _refused(name, "it must be text")
        if len(value) > most:
            raise _refused(name, f"it has {len(value):,} characters; at most {most:,} are taken")
        return value

    def optional_text(self, name: str) -> str:
        """A text, empty if it is not there."""
        value = self.body.get(name)
        return "" if value is None else self.text(name, MAX_GRADER_CHARS)

    def one_of(self, name: str, known: tuple[Any, ...]) -> Any:
        """One of some words, by default the first."""
        value = self.body.get(name, known[0])
        if value not in known:
            raise _refused(name, f"it must be one of {', '.join(known)}")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number of a range; None if it is not there."""
        value = self.body.get(name)
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise _refused(name, f"it must be a number from {low:g} to {high:,.0f}")
        return value


def _refused(name: str, reason: str) -> Refused:
    return Refused(400, Mistake(f"Invalid '{name}': {reason}.", name, "invalid_value"))


def _no_grader(mistakes: Sequence[Mapping[str, Any]]) -> Mistake:
    """Why a text is not saved: all of its mistakes, with their places."""
    listed = "".join(
        f"\nLine {mistake['line']}, column {mistake['column']}: {mistake['message']}"
        for mistake in mistakes
    )
    return Mistake(
        f"This is no valid grader, so it is not saved:{listed}", "grader", "invalid_grader"
    )


def _write(path: Path, text: str) -> None:
    """Write a new file.

    Raises:
        Refused: it cannot be written, or is there.
    """
    name = path.name
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    created = False
    try:
        with os.fdopen(os.open(path, flags, 0o644), "w", encoding="utf-8", newline="") as file:
            created = True
            file.write(text)
    except FileExistsError:
        message = f"There is a file {name}: name another one."
        raise Refused(409, Mistake(message, "name", "file_exists")) from None
    except UnicodeEncodeError:
        path.unlink()
        raise _refused("grader", "half of a pair of surrogates stands in it") from None
    except OSError as error:
        if created:  # the disk is full
            path.unlink(missing_ok=True)
        message = f"{name} cannot be written: {error.strerror}."
        raise Refused(400, Mistake(message, "name", "unwritable")) from None


def grader(view: View, request: Request) -> dict[str, Any]:
    """The grader of a run, to begin with; null where it is not recorded."""
    run = view.opened(request)
    provenance = Provenance(run.path, run.meta, view.data)
    return {
        "grader": provenance.grader or None,
        "name": provenance.name,
        "data": provenance.data,
        "grouped": run.grouped,
        "read_only": view.read_only,
    }
