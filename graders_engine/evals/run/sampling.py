"""Ask a run's model for a sample of each item, several at once, and keep what it answers in their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from time import monotonic
from typing import Any

import msgspec

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import (
    BackendFailure,
    GradingError,
    InvalidRow,
    NoOutput,
    RunStopped,
)
from graders_engine.evals.run.messages import message_renderer
from graders_engine.evals.run.parameters import body_of
from graders_engine.evals.run.samples_file import SamplesFile
from graders_engine.language.kinds import kind_of
from graders_engine.models.base import ModelBackend, ModelReply, ModelRequest
from graders_engine.outputs.forms import one_sample
from graders_engine.outputs.rows import item_beside

AHEAD = 4
"""Items asked ahead of the oldest unanswered one, as a multiple of the requests in flight."""
REFUSED_ITEMS = 5
"""Items in a row that an endpoint refuses from the first one on: a wrong key or model stays wrong."""
FAILED_ITEMS = 20
"""Items in a row that must have failed in any other way; before any answer, as many as are asked at once."""
OUTAGE_S = 120.0
"""An endpoint that answered before is given this long from its first failed item on."""
_MESSAGE = ("role", "content", "tool_calls", "function_call", "refusal", "audio")
"""What of a model's message is its output; the rest is how it came to it."""


class Sampler:
    """Makes rows to grade of items.

    Args:
        source: the run's data source: `completions` or `responses`, with `model` and `input_messages`.
        backend: what answers for the model.
        origin: of the samples: those of two runs are asked apart, also where they are equal.

    Raises:
        InvalidRequest: the messages or the parameters cannot be used.
    """

    def __init__(self, source: Mapping[str, Any], backend: ModelBackend, origin: str) -> None:
        self._model = str(source.get("model"))
        self._messages = message_renderer(source.get("input_messages") or {})
        self._body = body_of(source)
        self._backend, self._origin = backend, origin
        self._outage = _Outage(FAILED_ITEMS, answered=False)

    def begin(self, concurrency: int, *, answered: bool) -> None:
        """Before the first item: how many are asked at once, and whether any was answered before."""
        self._outage = _Outage(max(FAILED_ITEMS, concurrency), answered=answered)

    async def sample(self, number: int, row: Any) -> dict[str, Any]:
        """The row to grade for an item.

        Args:
            number: of the item, from 0.
            row: as it is in the data source.

        Raises:
            RunStopped: the other items cannot be sampled either.
            BudgetSpent: too little of the budget is left.
            DataSetError: the cache of replies cannot be used.
        """
        try:
            item = _item(row)
        except InvalidRow as error:
            return {**_failed({}, "invalid_item", str(error)), **_unread(row)}
        try:
            messages = self._messages(item)
        except (InvalidRow, GradingError) as error:
            return _failed(item, "invalid_item", str(error))
        body = {"messages": messages, **self._body}
        request = ModelRequest(self._model, (), {}, body=body, origin=f"{self._origin}/{number}")
        try:
            reply = await self._backend.complete(request)
        except BackendFailure as error:
            self._outage.failed(error)
            return _failed(item, error.code or _code(error), str(error))
        self._outage.answered()
        return _sampled(item, reply)

    def end(self) -> None:
        """There are no more items.

        Raises:
            RunStopped: the endpoint was asked, and has answered none.
        """
        self._outage.end()


def _item(row: Any) -> Any:
    if isinstance(row, Unreadable):
        raise row.error()
    if not isinstance(row, Mapping):
        raise InvalidRow(f"A row must be an object, but this is {kind_of(row)}.")
    return item_beside(row)


def _unread(row: Any) -> dict[str, Any]:
    """What of a row makes its item one that cannot be read: then no criterion can read it either."""
    given = row if isinstance(row, Mapping) else {}
    return {key: given[key] for key in ("item", "reference_answer") if key in given}


def _sampled(item: Any, reply: ModelReply) -> dict[str, Any]:
    """The row to grade of an answer."""
    try:
        sample = one_sample(_output(reply.answer))
    except NoOutput as error:
        return _failed(item, "no_output", str(error))
    except InvalidRow as error:
        return _failed(item, "unknown_form", str(error))
    sampled = {"model": reply.model, "usage": msgspec.to_builtins(reply.usage)}
    return {"item": item, "sample": sample, "sampled": sampled}


def _output(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without what says nothing of the output."""
    if "choices" not in answer:
        return {"object": "response", **answer}
    first = answer["choices"][0]
    message = {key: first["message"][key] for key in _MESSAGE if key in first["message"]}
    choice = {"index": 0, "message": message, "finish_reason": first.get("finish_reason")}
    return {"choices": [choice]}


def _failed(item: Any, code: str, message: str) -> dict[str, Any]:
    """The row of an item without a sample: it cannot be graded, and has no score."""
    return {"item": item, "model_sample": "", "error": {"code": code, "message": message}}


def _code(error: BackendFailure) -> str:
    refused = error.status is not None and 400 <= error.status < 500
    return f"model_{error.cause or ('invalid_request' if refused else 'server_error')}"


class _Outage:
    """Notices that a model answers nothing, or nothing any more.

    It counts the items that failed one after the other since the last answer.

    Args:
        at_first: so many failed items end a run in which none was answered.
        answered: whether one was.
    """

    def __init__(self, at_first: int, *, answered: bool) -> None:
        self._at_first, self._answered = at_first, answered
        self._failed = self._refused = 0
        self._since = 0.0
        self._first: BackendFailure | None = None

    def answered(self) -> None:
        self._answered, self._failed, self._refused = True, 0, 0

    def failed(self, error: BackendFailure) -> None:
        if not self._failed:
            self._since, self._first = monotonic(), error
        self._failed += 1
        self._refused += error.cause == "refused"
        if self._answered:
            over = self._failed >= FAILED_ITEMS and monotonic() - self._since >= OUTAGE_S
        else:
            refused = self._refused == self._failed >= REFUSED_ITEMS
            over = refused or self._failed >= self._at_first
        if over:
            raise RunStopped(
                f"{self._failed} items in a row got no sample. The first error: {self._first}"
            )

    def end(self) -> None:
        if self._failed and not self._answered:
            raise RunStopped(f"No item got a sample. The first error: {self._first}")


async def sample_rows(
    sampler: Sampler,
    rows: Iterable[RowRef],
    out: SamplesFile,
    concurrency: int,
    on_progress: Callable[[], object] = lambda: None,
) -> None:
    """Sample the rows that have no sample yet.

    Args:
        sampler: asks for them.
        rows: all rows of the run, in their order.
        out: gets the rows to grade; those that it has are not asked for again.
        concurrency: requests in flight at once.
        on_progress: called when rows were written.

    Raises:
        OSError: the samples cannot be written.
        GradersError: as from `Sampler.sample`; what was answered before is written.
    """
    before = out.lines
    left = enumerate(islice(rows, before, None), before)
    asked: _Asked = deque()
    free = asyncio.Semaphore(concurrency)
    sampler.begin(concurrency, answered=bool(out.used))
    try:
        _ask(sampler, left, asked, free, AHEAD * concurrency)
        while asked:
            await asyncio.wait([asked[0][1]])
            done = list(_done(asked))
            await out.add(done)
            on_progress()
            if asked and asked[0][1].done():  # it raises
                asked[0][1].result()
            _ask(sampler, left, asked, free, AHEAD * concurrency)
        sampler.end()
    finally:
        for _, task in asked:
            task.cancel()
        await asyncio.gather(*(task for _, task in asked), return_exceptions=True)
        out.behind_gaps = _behind_gaps(asked)


_Asked = deque[tuple[Any, asyncio.Task[dict[str, Any]]]]
"""Rows, and who asks for their samples."""


def _ask(
    sampler: Sampler,
    left: Iterator[tuple[int, RowRef]],
    asked: _Asked,
    free: asyncio.Semaphore,
    most: int,
) -> None:
    async def ask(number: int, row: Any) -> dict[str, Any]:
        async with free:
            return await sampler.sample(number, row)

    for number, ref in islice(left, most - len(asked)):
        asked.append((ref.row, asyncio.create_task(ask(number, ref.row))))


def _is_there(task: asyncio.Task[dict[str, Any]]) -> bool:
    return task.done() and not task.cancelled() and not task.exception()


def _done(asked: _Asked) -> Iterator[dict[str, Any]]:
    """Take out the samples that are there, up to the first that is missing."""
    while asked and _is_there(asked[0][1]):
        yield asked.popleft()[1].result()


def _behind_gaps(asked: _Asked) -> list[dict[str, Any]]:
    """The rows up to the last that was answered; those that were not have an error in place of a sample."""
    rows, answered = [], 0
    for row, task in asked:
        rows.append(task.result() if _is_there(task) else _not_answered(row))
        if "sample" in rows[-1]:
            answered = len(rows)
    return rows[:answered]


def _not_answered(row: Any) -> dict[str, Any]:
    try:
        item = _item(row)
    except InvalidRow:
        item = {}
    return _failed(item, "run_ended", "The run ended before the model answered.")
