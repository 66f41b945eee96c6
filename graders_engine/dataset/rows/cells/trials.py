"""Whether python code takes the cells of a CSV, which are texts, for something else: it is tried.

A few rows are graded with a cell as it is, and with the number, truth value, list or object that it looks
like. That the rewards differ is not enough: code may mean the text. So both are changed to another value of
their kind as well. Code that gives one reward to both texts, and two rewards to the two values, does not see
what stands in the cell.

Only python code is run. The rows that are tried are in no result, and in no cache.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.rows.cells.rows import TriedRow, chosen_rows, head_rows
from graders_engine.dataset.rows.cells.values import kind_of_value
from graders_engine.dataset.rows.read import DataSet
from graders_engine.graders.base import Evaluator
from graders_engine.graders.python import PythonGrader
from graders_engine.language.scope import Scope
from graders_engine.outcome import Failure, Flag, Outcome, RowOutcome, failed, plain_number

if TYPE_CHECKING:
    from graders_engine.sandbox.base import Sandbox

LIMIT_S = 2.0
"""How long is tried, from the first reward on."""
START_S = 10.0
"""How long the first reward is waited for; the run needs the sandbox that it starts."""
_MAX_FIELDS = 8
"""Fields that are tried one by one."""
_MAX_NAMED = 3
_MAX_CELL_CHARS = 40
_INVALID = float("-inf")
"""In place of a reward, where there is none because of the code or the row: it is less than any."""


class _Proof(NamedTuple):
    """A row that shows that the code takes the cells of some fields for something else."""

    row: TriedRow
    reward: float
    with_values: float


class _Seen(NamedTuple):
    """What a trial of some fields has examples, in at least one row."""

    fields: tuple[str, ...]
    proofs: list[_Proof]


class CellTrials:
    """Tries whether the python code of a grader takes cells for something else than texts.

    Trials are for a note, so that they do what can be done in a short time: a few rows of the head, the
    fields that the code names one by one, and all together. They end after `LIMIT_S`, and without a note
    where there is no sandbox, which the run itself says.

    Args:
        compiled: the grader.
        data_set: the rows, before the first is read; nothing is tried if they are not of a CSV.
    """

    def __init__(self, compiled: CompiledGrader, data_set: DataSet) -> None:
        is_table = data_set.records.form.startswith("csv")
        self._parts = dict(_python_parts(compiled)) if is_table else {}
        self._rows = [*head_rows(data_set)] if self._parts else []
        counts: dict[str, int] = {}
        for row in self._rows:
            for field in filter(row.fields.__contains__, row.item):
                counts[field] = counts.get(field, 0) + 1
        self._fields = sorted(counts, key=lambda field: -counts[field])

    def notes(self, engine: Engine, sandbox: Sandbox | None = None) -> Iterator[str]:
        """A sentence on each python part that takes cells for something else.

        Args:
            engine: what runs the code; where it lets rows share processes, another one with its sandbox and
                limits does, so that no row of the run meets what a trial left behind.
            sandbox: where the run's code runs, if that is not the engine's own sandbox.
        """
        given = engine.settings
        if not self._rows:
            return
        if not given.shares_rows:
            yield from self._found(engine, sandbox)
        elif isinstance(given.sandbox, str):
            with Engine(sandbox=given.sandbox, limits=given.limits) as apart:
                yield from self._found(apart, None)

    def _found(self, engine: Engine, sandbox: Sandbox | None) -> Iterator[str]:
        clock = _Clock()
        for path, spec in self._parts.items():
            trial = _Trial(engine, spec, sandbox, clock)
            rows = chosen_rows(self._rows, trial.named(self._fields) or self._fields)
            if rows and (found := trial.found(rows, self._fields)):
                yield _sentence(path, found, len(rows))


class _Clock:
    """How much time is left: until the first reward for the start, and from then on for the trials."""

    def __init__(self) -> None:
        self._until, self._started = monotonic() + START_S, False

    def start(self) -> None:
        """The first reward is there."""
        if not self._started:
            self._started, self._until = True, monotonic() + LIMIT_S

    def left_s(self) -> float:
        """Seconds, not below 0."""
        return max(0.0, self._until - monotonic())


class _Stop(Exception):
    """Raised where no more can be tried."""


class _Limited:
    """Evaluates rows as long as there is time.

    Args:
        evaluator: what evaluates them.
        clock: the time that is left.
    """

    waits = True

    def __init__(self, evaluator: Evaluator, clock: _Clock) -> None:
        self._evaluator, self._clock = evaluator, clock

    async def evaluate(self, scope: Scope) -> Outcome:
        """The outcome, or that of an outage where no time is left."""
        import asyncio

        if left_s := self._clock.left_s():
            try:
                async with asyncio.timeout(left_s):
                    outcome = await self._evaluator.evaluate(scope)
            except TimeoutError:
                pass
            else:
                self._clock.start()
                return outcome
        return failed(Failure(Flag.OTHER, "the trial has ended", "infrastructure"))


class _Trial:
    """Grades rows with changed items by one python part.

    Args:
        engine: what runs it.
        spec: the part.
        sandbox: where, if not in the engine's own sandbox.
        clock: the time that is left.
    """

    def __init__(
        self, engine: Engine, spec: PythonGrader, sandbox: Sandbox | None, clock: _Clock
    ) -> None:
        grader = {"type": "python", "source": spec.source, "image_tag": spec.image_tag}
        compiled = engine.compile(grader)
        compiled = compiled if sandbox is None else compiled.with_sandbox(sandbox)
        logging.disable(logging.WARNING)  # that its image is missing was said of the grader itself
        try:
            self._compiled = compiled.with_evaluator(_Limited(compiled.evaluator, clock))
        finally:
            logging.disable(logging.NOTSET)
        self._engine, self._source = engine, spec.source

    def named(self, fields: Iterable[str]) -> list[str]:
        """The fields whose name stands in the source."""
        return [
            field
            for field in fields
            if re.search(rf"(?<!\w){re.escape(field)}(?!\w)", self._source)
        ]

    def found(self, rows: Sequence[TriedRow], fields: Sequence[str]) -> list[_Seen]:
        """The fields whose cells are taken for something else; those together that are so only together."""
        found: list[_Seen] = []
        try:
            texts = self._rewards(rows[:1], [{}]) + self._rewards(rows[1:], [{}] * len(rows[1:]))
            named = self.named(fields)
            for alone in named[:_MAX_FIELDS]:
                found += self._tried(rows, texts, (alone,))
            if not found and len(named) > 1:
                found = self._tried(rows, texts, tuple(named))
            if not found and len(named) < len(fields):
                found = self._tried(rows, texts, tuple(fields))
                found = self._narrowed(rows, texts, found, named) if found else []
        except _Stop:
            pass
        return found

    def _narrowed(
        self,
        rows: Sequence[TriedRow],
        texts: Sequence[float],
        found: list[_Seen],
        named: Sequence[str],
    ) -> list[_Seen]:
        """Of what fields show together, the single ones that show it, if there are such ones."""
        others = [field for field in found[0].fields if field not in named][:_MAX_FIELDS]
        single: list[_Seen] = []
        try:
            for field in others:
                single += self._tried(rows, texts, (field,))
        except _Stop:
            pass
        return single or found

    def _tried(
        self, rows: Sequence[TriedRow], texts: Sequence[float], fields: tuple[str, ...]
    ) -> list[_Seen]:
        """What it shows to convert some fields; nothing if one row shows that their text is meant."""
        able = [at for at, row in enumerate(rows) if not row.values.keys().isdisjoint(fields)]
        changes = [rows[at].converted(fields) for at in able]
        values = self._rewards([rows[at] for at in able], changes)
        proofs: list[_Proof] = []
        for at, value in zip(able, values, strict=True):
            row, text = rows[at], texts[at]
            if value == text:
                continue
            if value == _INVALID:
                return []
            if self._is_blind(row, text, value, fields):
                proofs.append(_Proof(row, text, value))
            elif value < text:
                return []
        return [_Seen(fields, proofs)] if proofs else []

    def _is_blind(self, row: TriedRow, text: float, value: float, fields: tuple[str, ...]) -> bool:
        """Whether the code does not see which text a cell is, but would see which value it is."""
        changes = [{}, row.texts(fields), row.others(fields)]
        again, other_text, other_value = self._rewards([row] * 3, changes)
        return text == again == other_text and (text == _INVALID or value != other_value)

    def _rewards(
        self, rows: Sequence[TriedRow], changes: Sequence[Mapping[str, Any]]
    ) -> list[float]:
        """The rewards of rows whose items are changed.

        Raises:
            _Stop: there is an outage, or no time.
        """
        changed = [row.with_item(change) for row, change in zip(rows, changes, strict=True)]
        return [_reward(outcome) for outcome in self._engine.score_single(self._compiled, changed)]


def _reward(outcome: RowOutcome) -> float:
    if outcome.status == "failed":
        raise _Stop
    return _INVALID if outcome.reward is None else outcome.reward


def _python_parts(compiled: CompiledGrader) -> Iterator[tuple[str, PythonGrader]]:
    parts = compiled.spec.parts() or {"": compiled.spec}
    for key, part in parts.items():
        if isinstance(part, PythonGrader):
            yield f"graders.{key}." if key else "", part


def _sentence(path: str, found: Sequence[_Seen], tried: int) -> str:
    """What was found of the code at a path, with an example."""
    first = max(found, key=lambda one: len(one.proofs))
    proof, fields = first.proofs[0], first.fields
    examples = [field for field in fields if field in proof.row.values][:_MAX_NAMED]
    cells = [f'`{field}` is "{_short(proof.row.item[field])}"' for field in examples]
    kind = kind_of_value(proof.row.values[examples[0]])
    what = f"the {kind}" if len(examples) == 1 else "the values that they look like"
    others = [f"`{field}`" for one in found if one is not first for field in one.fields]
    likewise = f", and so with {', '.join(others[:_MAX_NAMED])}" if others else ""
    likewise += " and others" if len(others) > _MAX_NAMED or len(fields) > len(examples) else ""
    code = f"`{path}source`" if path else "the python code"
    line = proof.row.ref.line
    where = f"on line {line:,}" if line else "in one of the first rows"
    return (
        f"cells of a CSV are text, but {code} takes some for something else: {where} "
        f"{' and '.join(cells)}, and the reward is {_plain(proof.reward)}; with {what} it would be "
        f"{_plain(proof.with_values)} (so in {len(first.proofs)} of {tried} row{'s' * (tried > 1)} "
        f"tried{likewise}); convert it there (`float`, `json.loads`), or use JSONL"
    )


def _short(cell: str) -> str:
    return cell if len(cell) <= _MAX_CELL_CHARS else f"{cell[:_MAX_CELL_CHARS]}…"


def _plain(reward: float) -> str:
    return "missing" if reward == _INVALID else plain_number(reward)
