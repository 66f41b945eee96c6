"""Put output items of an export into a store, and make the runs that the export lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from graders_engine.evals.hosted.dashboard_items import output_item
from graders_engine.evals.hosted.dashboard_samples import UNKNOWN_FORM, model_of
from graders_engine.evals.hosted.export import Survey
from graders_engine.evals.hosted.names import short, without_uuid
from graders_engine.evals.run.criteria import threshold_of
from graders_engine.evals.run.reading import objects_in
from graders_engine.evals.wire import AS_IMPORTED, NO_COUNTS
from graders_engine.storage.ids import is_name
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun, item_status
from graders_engine.storage.store import Store

BATCH = 200
"""Items that are written at a time."""
_COUNTED = {"pass": "passed", "fail": "failed", "error": "errored"}
_NO_SOURCE = {"type": "jsonl", "source": {"type": "file_content", "content": []}}
_TWICE = "the run has output items of the API"

_OTHERS = "the store has another one of this id"
_NO_SAMPLE = "a sample that cannot be read; its error is in the item"
_NO_SCORE = "there is no score"
_NO_CRITERION = (
    "the export has a score alone, and no criterion that says what passes; delete the run here, and import "
    "it again with --grader FILE"
)
_NO_RUN = "no run has such an id"
_NO_ID = "no output item has such an id"


class ItemWriter:
    """Writes the output items of an export, in the export's order.

    Args:
        store: where to.
        project: whose the runs are.
        found: the survey of the export.
        eval_ids: by the id that an eval has in the survey, the one that it has in the store.
        refused: run -> why its items are left out; runs that cannot be made are added.
        now: seconds since 1970, for runs and items that do not say when they were made.

    Attributes:
        new: items that are now in the store.
        present: items that were there before, or that the export repeats.
        runs_made: runs that were made of their items.
    """

    def __init__(
        self,
        store: Store,
        project: str,
        found: Survey,
        eval_ids: Mapping[str, str],
        refused: MutableMapping[str, str],
        *,
        now: int,
    ) -> None:
        self.new = self.present = self.runs_made = 0
        self._store, self._project, self._found = store, project, found
        self._eval_ids, self._refused, self._now = eval_ids, refused, now
        self._batches: dict[str, list[dict[str, Any]]] = {}
        self._waiting = 0
        self._runs: dict[str, int] = {}  # when each run was made
        self._by_lines: dict[str, bool] = {}  # whether the lines of a run are its items
        self._skipped: Counter[tuple[str, str]] = Counter()
        self._unknown: Counter[tuple[str, str]] = Counter()
        self._thresholds: dict[str, Mapping[str, float]] = {}
        self._made: list[str] = []

    def add(self, item: dict[str, Any]) -> None:
        """Write an output item of the API, as it is."""
        run_id = self._run_of(item)
        if run_id is None:
            return
        own_id = item.get("id")
        if not isinstance(own_id, str) or not is_name(own_id):
            self._skipped[run_id, _NO_ID] += 1
            return
        self._append(run_id, item)

    def add_line(self, line: dict[str, Any]) -> None:
        """Write a line of the dashboard's download as an output item."""
        run_id = self._run_of(line)
        if run_id is None:
            return
        eval_id = self._eval_id_of(run_id)
        item = output_item(line, eval_id, self._runs[run_id], self._thresholds_of(eval_id))
        if run_id not in self._by_lines:
            # The first line of an earlier import of these lines is there, if any of them is.
            others = self._store.items.any_of(run_id)
            known = others and self._store.items.get(run_id, item["id"]) is not None
            self._by_lines[run_id] = known or not others
        if self._by_lines[run_id]:
            self._look_at(run_id, item)
            self._append(run_id, item)
        else:
            self._skipped[run_id, _TWICE] += 1

    def _thresholds_of(self, eval_id: str) -> Mapping[str, float]:
        """By the name of a score, the score from which on the eval's criterion is met."""
        if eval_id not in self._thresholds:
            kept = self._store.evals.find(eval_id)
            self._thresholds[eval_id] = {
                without_uuid(name): threshold_of(str(one.get("type")), one)
                for one in objects_in(kept.body.get("testing_criteria") if kept else None)
                for name in (one.get("name"), one.get("id"))
                if isinstance(name, str)
            }
        return self._thresholds[eval_id]

    def _look_at(self, run_id: str, item: Mapping[str, Any]) -> None:
        """Count what of a line's item is not known."""
        error = item["sample"]["error"]
        if isinstance(error, dict) and error.get("code") == UNKNOWN_FORM:
            self._unknown[run_id, _NO_SAMPLE] += 1
        for result in item["results"]:
            if result["passed"] is None:
                name = short(without_uuid(result["name"]))
                why = _NO_SCORE if type(result["score"]) not in (int, float) else _NO_CRITERION
                self._unknown[run_id, f"no verdict of {name!r}, and counts as errored: {why}"] += 1

    def _append(self, run_id: str, item: dict[str, Any]) -> None:
        self._batches.setdefault(run_id, []).append(item)
        self._waiting += 1
        if self._waiting >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is collected."""
        for run_id, items in self._batches.items():
            new = self._store.items.add_many(run_id, items)
            self.new += new
            if new == len(items):
                continue
            kept = self._store.items
            others = sum(kept.get(run_id, item["id"]) != item for item in items)
            self.present += len(items) - new - others
            if others:
                self._skipped[run_id, _OTHERS] += others
        self._batches.clear()
        self._waiting = 0

    def finish(self) -> None:
        """Write the rest, and count the items of the runs that were made of them."""
        self.flush()
        for run_id in self._made:
            self._store.runs.note(run_id, result=self._result_of(run_id))

    def notes(self) -> Iterator[str]:
        """Sentences about what was made, and what was left out."""
        for run_id in self._made:
            yield (
                f"run {short(run_id)}: made of its output items, since the export has no more of it: its "
                "data source and usage are not known."
            )
        for (run_id, what), count in self._unknown.items():
            have = "output item has" if count == 1 else "output items have"
            yield f"run {short(run_id)}: {count:,} {have} {what}."
        for (run_id, what), count in self._skipped.items():
            items = "output item" if count == 1 else "output items"
            yield f"run {short(run_id)}: {count:,} {items} left out: {what}."

    def _run_of(self, item: dict[str, Any]) -> str | None:
        """The run of an item, which is made if needed; None if the item cannot be kept."""
        run_id = item.get("run_id")
        if not isinstance(run_id, str) or not is_name(run_id):
            self._skipped[str(run_id), _NO_RUN] += 1
            return None
        if run_id not in self._runs and run_id not in self._refused:
            self._find(run_id, item)
        if run_id in self._refused:
            self._skipped[run_id, self._refused[run_id]] += 1
            return None
        return run_id

    def _find(self, run_id: str, item: dict[str, Any]) -> None:
        run = self._store.runs.find(run_id)
        if run is None:
            run = self._new_run(run_id, item)
            if not self._store.runs.add(run):
                self._refused[run_id] = "its eval is not in the store"
                return
            self.runs_made += 1
        if run.project != self._project:
            self._refused[run_id] = f"the project {run.project} has a run of this id"
        elif run.eval_id != self._eval_id_of(run_id):
            self._refused[run_id] = "the store has this run under another eval"
        elif not self._imported(run):
            self._refused[run_id] = "the run of this id in the store is not imported"
        else:
            self._runs[run_id] = run.created_at
            if AS_IMPORTED not in run.request:
                self._made.append(run_id)

    def _imported(self, run: StoredRun) -> bool:
        return AS_IMPORTED in run.request or run.request == _NO_SOURCE

    def _new_run(self, run_id: str, item: dict[str, Any]) -> StoredRun:
        created_at = item.get("created_at")
        return StoredRun(
            run_id, self._eval_id_of(run_id), self._project, self._found.runs[run_id].name,
            model_of(item), "completed", None,
            created_at if isinstance(created_at, int) else self._now, _NO_SOURCE, {},
        )  # fmt: skip

    def _eval_id_of(self, run_id: str) -> str:
        in_survey = self._found.runs[run_id].eval_id
        return self._eval_ids.get(in_survey, in_survey)

    def _result_of(self, run_id: str) -> dict[str, Any]:
        counts, criteria = Counter(NO_COUNTS), dict[str, list[int]]()
        for item in self._items_of(run_id):
            counts["total"] += 1
            counts[_COUNTED.get(item_status(item), "errored")] += 1
            for result in item.get("results") or ():
                passed_failed = criteria.setdefault(str(result.get("name")), [0, 0])
                if isinstance(result.get("passed"), bool):
                    passed_failed[not result["passed"]] += 1
        return {
            "result_counts": dict(counts),
            "per_testing_criteria_results": [
                {"testing_criteria": name, "passed": passed, "failed": failed}
                for name, (passed, failed) in criteria.items()
            ],
            "per_model_usage": [],
        }

    def _items_of(self, run_id: str) -> Iterator[dict[str, Any]]:
        after = None
        while True:
            some = self._store.items.page(run_id, Page(after, BATCH))
            yield from some.data
            if not some.has_more:
                return
            after = some.data[-1]["id"]
