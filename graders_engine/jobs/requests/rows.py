"""The rows of a file as a method wants them: each bad line is named, with what is wrong with it.

What only the model's tokenizer can say, such as that a row is too long, its trainer finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.formats import open_records
from graders_engine.errors import DataSetError, GradersError
from graders_engine.graders.parse import parse
from graders_engine.graders.templates import templates_in
from graders_engine.language.kinds import kind_of
from graders_engine.language.scope import Scope, Step, resolve
from graders_engine.models.tables.training import Method
from graders_engine.training.bad_rows import BadRows, count_of
from graders_engine.training.messages import BadRow, messages_of, tools_of, weights_of

FEWEST: dict[Method, int] = {"supervised": 10, "dpo": 10, "reinforcement": 1}
"""Rows that a training file must have."""
_COMPRESSED = "It is compressed: upload it unpacked."


class Field(NamedTuple):
    """A field of an item: where in the grader it is read first, and its path in the item."""

    path: str
    steps: tuple[Step, ...]


@dataclass(slots=True)
class ReadRows:
    """What came of reading a file.

    Attributes:
        rows: how many lines with a row it has, bad ones too.
        bad: those that no job of the method can train with.
        unread: those in which this job's grader cannot read what it names.
        fault: why the file cannot be read as a whole; empty if it can.
    """

    rows: int = 0
    bad: BadRows = field(default_factory=BadRows)
    unread: BadRows = field(default_factory=BadRows)
    fault: str = ""

    def mistake(self, fewest: int) -> str:
        """What is wrong with the file; empty if nothing is.

        Args:
            fewest: rows that it must have.
        """
        if self.fault:
            return self.fault
        wrong = [rows.mistake(self.rows) for rows in (self.bad, self.unread) if rows.count]
        if self.rows < fewest and not wrong:
            return f"It has {count_of(self.rows)}, but must have at least {fewest}."
        return " ".join(wrong)


def read_rows(
    path: Path, method: Method, read_fields: Sequence[Field] = (), *, may_call: bool = True
) -> ReadRows:
    """Check each row of a file; nothing is kept of those that are right.

    Args:
        path: of a JSONL file.
        method: of the job.
        read_fields: what its grader reads in each row.
        may_call: whether the model may call tools, so that rows may have them.

    Raises:
        FileNotFoundError: it was deleted.
    """
    found, check = ReadRows(), CHECKS[method] if may_call else _check_bound
    if not path.exists():
        raise FileNotFoundError(path.name)
    try:
        records = open_records(path, "jsonl")
        if records.form != "jsonl":
            return ReadRows(fault=_COMPRESSED)
        for ref in records.read():
            found.rows += 1
            if fault := _fault(ref.row, check):
                found.bad.add(ref.line, fault)
            elif fault := _unread(ref.row, read_fields):
                found.unread.add(ref.line, fault)
    except DataSetError as error:
        found.fault = f"It cannot be read: {str(error).replace(str(path), 'the file')}"
    return found


def fields_read(grader: Mapping[str, Any]) -> list[Field]:
    """The fields of an item that the templates of a grader read: a row without one has no reward.

    Args:
        grader: one that can be compiled.
    """
    found: dict[tuple[Step, ...], Field] = {}
    for path, template in templates_in(parse(grader, templates="as_served")):
        for variable in template.variables:
            if variable.namespace == "item":
                found.setdefault(variable.steps, Field(path, variable.steps))
    return list(found.values())


def _unread(row: Any, fields: Sequence[Field]) -> str:
    """What the grader cannot read in a row; empty if there is nothing."""
    scope = Scope(row, "", absent=True)
    for one in fields:
        try:
            resolve(scope, "item", one.steps)
        except GradersError as error:
            return f"The grader ({one.path}) reads what the row does not have: {error}"
    return ""


def _fault(row: Any, check: Callable[[dict[str, Any]], object]) -> str:
    if isinstance(row, Unreadable):
        return row.reason
    if not isinstance(row, dict):
        return f"It is {kind_of(row)}, and not an object."
    try:
        check(row)
    except BadRow as error:
        return str(error)
    return ""


def _check_supervised(row: dict[str, Any]) -> None:
    messages = messages_of(_messages(row))
    tools_of(row)
    _require_last(messages, "assistant")
    weights_of(row["messages"])


def _check_dpo(row: dict[str, Any]) -> None:
    for key in ("input", "preferred_output", "non_preferred_output"):
        if row.get(key) is None:
            other = " Rows with `messages` are not those of dpo." if "messages" in row else ""
            raise BadRow(f"There is no key `{key}`.{other}")
    asked = row["input"]
    if not isinstance(asked, Mapping):
        raise BadRow(f"`input` is {kind_of(asked)}, and not an object with `messages`.")
    messages = messages_of(asked.get("messages"), "input.messages")
    tools_of(dict(asked))
    if messages[-1]["role"] == "assistant":
        raise BadRow(
            "The last message of `input` is the assistant's: answers stand in the outputs."
        )
    for key in ("preferred_output", "non_preferred_output"):
        output = messages_of(row[key], key)
        if len(output) != 1 or output[0]["role"] != "assistant":
            raise BadRow(f"`{key}` must be a list of one message of the assistant.")
    if row["preferred_output"] == row["non_preferred_output"]:
        raise BadRow("`preferred_output` and `non_preferred_output` are equal.")


def _check_reinforcement(row: dict[str, Any]) -> None:
    messages = messages_of(_messages(row))
    tools_of(row)
    _require_last(messages, "user")


def _check_bound(row: dict[str, Any]) -> None:
    _check_reinforcement(row)
    if row.get("tools"):
        raise BadRow(
            "It has `tools`, and the job's response_format makes each answer JSON, so that none is a call."
        )


CHECKS: dict[Method, Callable[[dict[str, Any]], None]] = {
    "supervised": _check_supervised,
    "dpo": _check_dpo,
    "reinforcement": _check_reinforcement,
}
"""Each raises `BadRow` for a row that its method cannot train with."""


def _messages(row: dict[str, Any]) -> Any:
    if row.get("messages") is None:
        other = (
            " Rows with `preferred_output` are those of dpo." if "preferred_output" in row else ""
        )
        raise BadRow(f"There is no key `messages`.{other}")
    return row["messages"]


def _require_last(messages: list[Any], role: str) -> None:
    last = messages[-1]["role"]
    if last != role:
        raise BadRow(f"The last message is the {last}'s, and not the {role}'s.")
