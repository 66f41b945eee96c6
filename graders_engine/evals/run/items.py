"""The output items of a run, read from its rows and its results by number."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

from graders_engine.compiled import CompiledGrader, scope_reader
from graders_engine.dataset.results.line import decode_result
from graders_engine.errors import GradersError, InvalidRow
from graders_engine.evals.run.criteria import Criteria, Criterion, GradedRow, criteria_of, status_of
from graders_engine.evals.run.item_index import NO_RESULT, IndexReader, read_result
from graders_engine.evals.run.item_sample import (
    item_sample,
    judge_sample,
    missing_sample,
    output_of,
    sampled_before,
)
from graders_engine.evals.run.judged import JudgedReplies
from graders_engine.evals.run.messages import Render, message_renderer
from graders_engine.evals.run.parameters import body_of
from graders_engine.evals.run.place import JUDGED, RESULTS, rows_of_run
from graders_engine.graders.base import Services
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.outputs.rows import item_beside
from graders_engine.storage.errors import UnknownCursor
from graders_engine.storage.pages import Found, Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

FILTERS = {"pass": "pass", "fail": "fail", "failed": "fail", "error": "error"}
"""The statuses that lists may be filtered by, as clients spell them."""
_JUDGED = ("label_model", "score_model")
_NOT_GRADED = {"code": "run_ended", "message": "The run ended before this item was graded."}
_KEPT_EVALS = 64
"""Evals whose criteria are kept compiled."""


class OutputItems:
    """The output items of all runs of a store.

    Args:
        store: where the runs are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._criteria = functools.lru_cache(_KEPT_EVALS)(self._criteria_of)

    def _criteria_of(self, project: str, eval_id: str) -> Criteria | None:
        stored = self._store.evals.get(project, eval_id)
        return None if stored is None else criteria_of(stored.body["testing_criteria"])

    def page(self, run: StoredRun, page: Page, status: str | None = None) -> Found[dict[str, Any]]:
        """A part of a run's items, in the order of its rows; those that are graded so far.

        Args:
            run: the run.
            page: which part.
            status: only items of this status, a key of `FILTERS`.

        Raises:
            UnknownCursor: `after` names none of them.
        """
        wanted = None if status is None else FILTERS[status]
        if self._store.items.any_of(run.id):
            return self._store.items.page(run.id, page, wanted)
        down = page.order == "desc"
        with IndexReader(self._store.run_folder(run.id)) as index:
            start = index.count - 1 if down else 0
            if page.after is not None:
                start = _number(run.id, page.after, index.count) + (-1 if down else 1)
            numbers = index.numbers(start, down=down, status=wanted)
            found = [number for number, _ in zip(numbers, range(page.limit + 1), strict=False)]
            data = self._read(run, index, found[: page.limit])
        return Found(data, len(found) > page.limit)

    def get(self, run: StoredRun, id: str) -> dict[str, Any] | None:  # noqa: A002 - the wire's word
        """An item of a run; None if there is none of this id."""
        if self._store.items.any_of(run.id):
            return self._store.items.get(run.id, id)
        with IndexReader(self._store.run_folder(run.id)) as index:
            try:
                number = _number(run.id, id, index.count)
            except UnknownCursor:
                return None
            return next(iter(self._read(run, index, [number])), None)

    def _read(self, run: StoredRun, index: IndexReader, numbers: list[int]) -> list[dict[str, Any]]:
        # An imported run may have no items, and its eval no criteria.
        criteria = self._criteria(run.project, run.eval_id) if numbers else None
        if criteria is None:
            return []
        folder = self._store.run_folder(run.id)
        with (
            closing(JudgedReplies(folder / JUDGED)) as judged,
            rows_of_run(folder, run.request).open("rb") as rows,
            (folder / RESULTS).open("rb") as results,
        ):
            reader, items = _Reader(run, criteria, judged), []
            for number in numbers:
                row_at, result_at = index.place(number)
                rows.seek(row_at)
                if result_at == NO_RESULT:
                    items.append(reader.ungraded(number, rows.readline()))
                    continue
                results.seek(result_at)
                items.append(reader.item(number, rows.readline(), results.readline()))
        return items


def item_id(run_id: str, number: int) -> str:
    """The id of an item: the run's with the item's number."""
    return f"outputitem_{run_id.rpartition('_')[2]}_{number}"


def _number(run_id: str, id: str, count: int) -> int:  # noqa: A002 - the wire's word
    """The number of an item.

    Raises:
        UnknownCursor: the id is none of the run's.
    """
    digits = re.fullmatch(r"outputitem_.*_(0|[1-9][0-9]{0,14})", id)
    number = int(digits[1]) if digits else -1
    if number < 0 or number >= count or id != item_id(run_id, number):
        raise UnknownCursor(id)
    return number


class _Reader:
    """Makes the items of one run of the lines of its files.

    Args:
        run: the run.
        criteria: of its eval.
        judged: what its judges answered.
    """

    def __init__(self, run: StoredRun, criteria: Criteria, judged: JudgedReplies) -> None:
        self.run, self.criteria = run, criteria
        self._record = _KnownReplies(judged)
        self._judges = {
            criterion.name: compiled
            for criterion in criteria.all
            if criterion.type in _JUDGED and (compiled := self._judge(criterion))
        }
        source = run.request
        self._render: Render = lambda item: []
        self._parameters: dict[str, Any] = {}
        if source.get("type") != "jsonl":
            self._render = message_renderer(source.get("input_messages") or {})
            self._parameters = body_of(source)

    def _judge(self, criterion: Criterion) -> CompiledGrader | None:
        try:
            return CompiledGrader(
                criterion.grader, Services(judges=self._record), templates="as_served"
            )
        except GradersError:
            return None

    def item(self, number: int, row_line: bytes, result_line: bytes) -> dict[str, Any]:
        """The item of a row and its result, both as their files have them."""
        row, graded = _row(row_line), read_result(result_line)
        result = decode_result(result_line)
        item, scope, missing = _item(row), *_scope(row)
        verdicts = self.criteria.verdicts(graded)
        results = [
            self._result(criterion, graded, scope)
            for criterion, verdict in zip(self.criteria.all, verdicts, strict=True)
            if verdict is not None
        ]
        flags = self.criteria.named(result.flags)
        sample = item_sample(
            **self._answer(row, item, scope), **self._errors(row, flags, verdicts, missing)
        )
        return self._object(number, item, status_of(verdicts), results, sample)

    def ungraded(self, number: int, row_line: bytes) -> dict[str, Any]:
        """The item of a row that was sampled, but not graded before the run ended."""
        row = _row(row_line)
        item, scope, missing = _item(row), *_scope(row)
        sample = item_sample(
            **self._answer(row, item, scope), **self._errors(row, {}, [None], missing)
        )
        sample["error"] = sample["error"] or _NOT_GRADED
        return self._object(number, item, "error", [], sample)

    def _object(
        self, number: int, item: Any, status: str, results: list[Any], sample: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "object": "eval.run.output_item",
            "id": item_id(self.run.id, number),
            "created_at": self.run.created_at,
            "run_id": self.run.id,
            "eval_id": self.run.eval_id,
            "status": status,
            "datasource_item_id": number,
            "datasource_item": item,
            "results": results,
            "sample": sample,
        }

    def _result(
        self, criterion: Criterion, graded: GradedRow, scope: Scope | None
    ) -> dict[str, Any]:
        return {
            "name": criterion.name,
            "type": criterion.type,
            "score": criterion.score(graded),
            "passed": criterion.passes(graded),
            **(
                {"unclamped_score": graded.clamped[criterion.key]}
                if criterion.key in graded.clamped
                else {}
            ),
            "sample": self._judged(criterion, scope),
        }

    def _judged(self, criterion: Criterion, scope: Scope | None) -> dict[str, Any] | None:
        """What a criterion's judge was asked and answered; None without one, or where it is not known."""
        compiled = self._judges.get(criterion.name)
        if compiled is None or scope is None:
            return None
        self._record.found = None
        with suppress(StopIteration, GradersError):  # the reward is known
            compiled.evaluator.evaluate(scope).send(None)
        return None if self._record.found is None else judge_sample(*self._record.found)

    def _answer(self, row: Mapping[str, Any], item: Any, scope: Scope | None) -> dict[str, Any]:
        """What was asked and answered, as `item_sample` takes it."""
        output, finish = ([], "") if scope is None else output_of(scope)
        return {
            "asked": _messages(self._render, item),
            "output": output,
            "finish_reason": finish,
            "sampled": row.get("sampled") or (None if scope is None else sampled_before(scope)),
            "parameters": self._parameters,
        }

    def _errors(
        self,
        row: Mapping[str, Any],
        flags: Mapping[str, str],
        verdicts: Sequence[bool | None],
        missing: InvalidRow | None,
    ) -> dict[str, Any]:
        """What went wrong, as `item_sample` takes it: why there is no sample, before all else."""
        error = row.get("error") if row.get("model_sample") == "" else None
        if not isinstance(error, Mapping):
            error = missing_sample(missing) if missing and None in verdicts else None
        nothing_graded = set(verdicts) == {None}
        return {
            "flags": {} if error and nothing_graded else flags,
            "error": error,
            "passed": all(verdicts),
        }


class _KnownReplies:
    """Judges that answer from what is known of a run, and remember what they were asked."""

    repeats = 1
    signature = "recorded"

    def __init__(self, judged: JudgedReplies) -> None:
        self._judged = judged
        self.found: tuple[ModelRequest, ModelReply] | None = None

    def find(self, model: str, needs: Collection[str] = ()) -> _KnownReplies:
        return self

    async def complete(self, request: ModelRequest) -> ModelReply:
        reply = self._judged.of(request)
        if reply is None:
            raise InvalidRow("Nothing is known of what the judge answered.")
        self.found = (request, reply)
        return reply

    async def close(self) -> None: ...


def _row(line: bytes) -> Mapping[str, Any]:
    """The row of a line; empty for one that cannot be read, whose result says so."""
    try:
        row = strict_json.decode(line)
    except ValueError:
        return {}
    return row if isinstance(row, Mapping) else {}


def _item(row: Mapping[str, Any]) -> Any:
    try:
        return item_beside(row)
    except InvalidRow:
        return dict(row)


def _scope(row: Mapping[str, Any]) -> tuple[Scope | None, InvalidRow | None]:
    """What templates see of a row, and why they see no sample; None for a row that has no item either."""
    try:
        return scope_reader(None)(row), None
    except InvalidRow as error:
        return (Scope(error.item[0], "", absent=True) if error.item else None), error


def _messages(render: Render, item: Any) -> list[dict[str, Any]]:
    try:
        return render(item)
    except GradersError:
        return []
