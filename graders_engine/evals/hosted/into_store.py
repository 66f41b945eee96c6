"""Put an export of the hosted evals into a store: its objects stay what they were, under their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.errors import DataSetError, InvalidGrader
from graders_engine.evals.hosted.dashboard import GivenGrader, complete
from graders_engine.evals.hosted.dashboard_items import made_id
from graders_engine.evals.hosted.export import (
    EVAL,
    RUN,
    ExportedEval,
    Survey,
    is_downloaded,
    is_output_item,
    nothing_in,
    objects_in,
    survey,
    total_of,
)
from graders_engine.evals.hosted.items_into_store import ItemWriter
from graders_engine.evals.hosted.names import MAX_NAMED, short
from graders_engine.evals.thresholds import unreachable
from graders_engine.evals.wire import ACTIVE, AS_IMPORTED
from graders_engine.graders.parse import parse
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.ids import is_name
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

_RESULTS = ("result_counts", "per_testing_criteria_results", "per_model_usage")
_REPLACE = "what the store has stays; to replace it, delete it there and import again"
_NOT_HERE = "no new run of this eval can be made; its hosted scores stay in the output items"


@dataclass(slots=True)
class Added:
    """How many objects of a kind an import found.

    Attributes:
        new: those that are now in the store.
        present: those that were there before, or that the export repeats.
    """

    new: int = 0
    present: int = 0


@dataclass(slots=True)
class StoreImport:
    """What an import into a store did.

    Attributes:
        evals: evals.
        runs: runs.
        items: output items.
        notes: sentences about what is not as it was, or is left out.
        lost: how many lines or objects of the export were nothing known.
    """

    evals: Added = field(default_factory=Added)
    runs: Added = field(default_factory=Added)
    items: Added = field(default_factory=Added)
    notes: list[str] = field(default_factory=list)
    lost: int = 0


def import_into(
    store: Store,
    project: str,
    files: Sequence[Path],
    given: Sequence[GivenGrader] = (),
    *,
    now: int,
) -> StoreImport:
    """Keep the evals, runs and output items of an export. Importing them again changes nothing.

    Args:
        store: where to.
        project: whose they are from now on.
        files: the export, as `export.objects_in` reads it. They are read several times, so that only one
            object is in memory at a time.
        given: graders for the evals of runs that the dashboard downloaded.
        now: seconds since 1970, for objects that do not say when they were made.

    Raises:
        DataSetError: a file cannot be read, or they hold no objects of the evals API.
        StoreError: the store cannot be written.
    """
    found = survey(files)
    if not found.evals and not found.runs:
        raise DataSetError(nothing_in(found))
    done = StoreImport(lost=found.lost)
    done.notes += [*found.unreadable, *complete(found, given)]
    _Importer(store, project, files, found, done, now).run()
    return done


class _Importer:
    def __init__(
        self,
        store: Store,
        project: str,
        files: Sequence[Path],
        found: Survey,
        done: StoreImport,
        now: int,
    ) -> None:
        self._store, self._project, self._files = store, project, files
        self._found, self._done, self._now = found, done, now
        self._refused: dict[str, str] = {}  # run -> why its items are left out
        self._missing_files: dict[str, list[str]] = {}

    def run(self) -> None:
        self._each(lambda value: value.get("object") == EVAL, self._add_eval)
        eval_ids = {one.id: self._made_eval(one) for one in self._found.evals.values()}
        self._each(lambda value: value.get("object") == RUN, self._add_run)
        items = ItemWriter(
            self._store, self._project, self._found, eval_ids, self._refused, now=self._now
        )
        self._each(lambda value: is_output_item(value) and not is_downloaded(value), items.add)
        items.flush()
        self._each(is_downloaded, items.add_line)
        items.finish()
        self._done.items.new, self._done.items.present = items.new, items.present
        self._done.runs.new += items.runs_made
        self._done.notes += [*self._file_notes(), *items.notes()]

    def _each(
        self, wanted: Callable[[dict[str, Any]], bool], add: Callable[[dict[str, Any]], None]
    ) -> None:
        for file in self._files:
            for _, value in objects_in(file):
                if not isinstance(value, Unreadable) and wanted(value):
                    add(value)

    def _note(self, value: dict[str, Any], what: str) -> None:
        own_id = str(value.get("id"))
        name = short(str(value.get("name") or ""))
        kind = "eval" if value.get("object") == EVAL else "run"
        called = f"{name} ({kind} {short(own_id)})" if name else f"{kind} {short(own_id)}"
        self._done.notes.append(f"{called}: {what}.")

    def _add_eval(self, value: dict[str, Any]) -> None:
        eval_id = value.get("id")
        if not isinstance(eval_id, str) or not is_name(eval_id):
            self._note(value, "left out: this cannot be the id of an eval")
            return
        kept = self._store.evals.find(eval_id)
        if kept is not None:
            if kept.project != self._project:
                self._note(value, f"left out: the project {kept.project} has an eval of this id")
            elif kept.body.get(AS_IMPORTED) == value:
                self._done.evals.present += 1
                self._look_at_criteria(value, kept.body["testing_criteria"])
            else:
                self._note(value, f"the store has another eval of this id: {_REPLACE}")
            return
        criteria = value.get("testing_criteria")
        config = value.get("data_source_config")
        body: dict[str, Any] = {
            "data_source_config": config if isinstance(config, dict) else {},
            "testing_criteria": criteria if isinstance(criteria, list) else [],
            AS_IMPORTED: value,
        }
        created_at = seconds_in(value.get("created_at"), self._now)
        self._store.evals.add(
            StoredEval(
                eval_id, self._project, str(value.get("name") or ""), value.get("metadata"),
                created_at, seconds_in(value.get("updated_at"), created_at), body,
            )
        )  # fmt: skip
        self._done.evals.new += 1
        self._look_at_criteria(value, body["testing_criteria"])

    def _look_at_criteria(self, value: dict[str, Any], criteria: Sequence[Any]) -> None:
        for criterion in criteria:
            if reason := _why_not_here(criterion):
                named = criterion.get("name") if isinstance(criterion, dict) else criterion
                self._note(value, f"the criterion {short(str(named))}: {reason} {_NOT_HERE}")
        for sentence in unreachable(criteria):
            self._note(value, f"the criterion {sentence.rstrip('.')}")

    def _made_eval(self, one: ExportedEval) -> str:
        """The id of an eval in the store, which is made here if the export lacks it."""
        if one.known:
            return one.id
        eval_id = made_id("eval", one.id) if one.downloaded else one.id
        if not is_name(eval_id) or eval_id == str(None):  # runs and items that name no eval
            return eval_id
        kept = self._store.evals.find(eval_id)
        criteria = [
            {**criterion, "id": name}
            for criterion, name in zip(one.criteria, one.score_names, strict=True)
        ]
        if kept is None:
            body = {"data_source_config": {}, "testing_criteria": criteria}
            self._store.evals.add(
                StoredEval(eval_id, self._project, one.name, None, self._now, self._now, body)
            )
            self._done.evals.new += 1
        else:
            self._done.evals.present += 1
            if criteria and kept.body["testing_criteria"] != criteria:
                self._done.notes.append(
                    f"{short(one.name)} ({eval_id}): the store has it with other criteria: {_REPLACE}."
                )
        if not one.downloaded:
            self._done.notes.append(
                f"eval {short(one.id)}: not in the export, but runs of it are; without its criteria, no new "
                "runs of it can be made."
            )
        return eval_id

    def _add_run(self, value: dict[str, Any]) -> None:
        run_id = value.get("id")
        if not isinstance(run_id, str) or not is_name(run_id):
            self._refuse(value, "left out: this cannot be the id of a run")
            return
        kept = self._store.runs.find(run_id)
        if kept is not None:
            if kept.project != self._project:
                self._refuse(value, f"left out: the project {kept.project} has a run of this id")
            elif kept.request.get(AS_IMPORTED) == value:
                self._done.runs.present += 1
                self._look_at(run_id, value)
            else:
                self._refuse(value, f"the store has another run of this id: {_REPLACE}")
            return
        if not self._store.runs.add(self._stored_run(run_id, value)):
            self._refuse(value, "left out: its eval is not in the store")
            return
        self._done.runs.new += 1
        self._look_at(run_id, value)

    def _stored_run(self, run_id: str, value: dict[str, Any]) -> StoredRun:
        status = str(value.get("status") or "")
        source = value.get("data_source")
        kind = source.get("type") if isinstance(source, dict) else None
        error = value.get("error")
        return StoredRun(
            run_id, str(value.get("eval_id")), self._project, str(value.get("name") or ""),
            str(value.get("model") or ""), "canceled" if status in ACTIVE else status,
            value.get("metadata"), seconds_in(value.get("created_at"), self._now),
            {"type": kind, AS_IMPORTED: value},
            {key: value[key] for key in _RESULTS if value.get(key) is not None},
            error if isinstance(error, dict) else None,
        )  # fmt: skip

    def _look_at(self, run_id: str, value: dict[str, Any]) -> None:
        """Note what a run lacks here."""
        status = value.get("status")
        if status in ACTIVE:
            self._note(value, f"its status was {status}; it does not go on here, so it is canceled")
        total, items = total_of(value), self._found.runs[run_id].items
        if total is not None and items < total:
            self._note(value, f"the export has {items:,} of its {total:,} output items")
        source = value.get("data_source")
        inner = source.get("source") if isinstance(source, dict) else None
        file_id = inner.get("id") if isinstance(inner, dict) else None
        if isinstance(file_id, str) and self._store.files.get(self._project, file_id) is None:
            self._missing_files.setdefault(file_id, []).append(run_id)

    def _refuse(self, value: dict[str, Any], what: str) -> None:
        self._refused[str(value.get("id"))] = what
        self._note(value, what)

    def _file_notes(self) -> Iterator[str]:
        if self._missing_files:
            runs = {run for own in self._missing_files.values() for run in own}
            of = f"{len(runs):,} run{'s' if len(runs) > 1 else ''}"
            some = ", ".join(map(short, list(self._missing_files)[:MAX_NAMED]))
            rest = len(self._missing_files) - MAX_NAMED
            more = f" and {rest:,} more" if rest > 0 else ""
            yield (
                f"{some}{more}: the rows of {of} were in "
                f"{'this file' if rest == 1 - MAX_NAMED else 'these files'}, which no export has; "
                "the output items have what was graded."
            )


def seconds_in(value: Any, otherwise: int) -> int:
    """A time in whole seconds since 1970."""
    return int(value) if type(value) in (int, float) and 0 <= value < 1 << 53 else otherwise


def _why_not_here(criterion: Any) -> str:
    """Why no new run can use a criterion; empty if one can."""
    if isinstance(criterion, dict) and criterion.get("type") == "azure_ai_evaluator":
        return "azure_ai_evaluator is built into Azure AI Foundry and runs only there;"
    try:
        parse(criterion, templates="as_served")
    except InvalidGrader as error:
        found = "; ".join(f"{one.param}: {one.message}" for one in error.mistakes)
        return f"{found.rstrip('.')};"
    return ""
