"""The rows of a file as a method wants them: each bad line is named, with what is wrong with it.

What only the model's tokenizer can say, such as that a row is too long, its trainer finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.formats import open_records
from graders_engine.errors import DataSetError
from graders_engine.language.kinds import kind_of
from graders_engine.models.tables.training import Method
from graders_engine.training.messages import BadRow, messages_of, tools_of, weights_of

NAMED = 10
"""Bad lines that are named; all are counted."""
FEWEST: dict[Method, int] = {"supervised": 10, "dpo": 10, "reinforcement": 1}
"""Rows that a training file must have."""
_COMPRESSED = "It is compressed: upload it unpacked."


@dataclass(slots=True)
class ReadRows:
    """What came of reading a file.

    Attributes:
        rows: how many lines with a row it has, bad ones too.
        bad: how many of them are bad.
        named: (line, what is wrong) of the first bad ones.
        fault: why the file cannot be read as a whole; empty if it can.
    """

    rows: int = 0
    bad: int = 0
    named: list[tuple[int, str]] = field(default_factory=list)
    fault: str = ""

    def mistake(self, fewest: int) -> str:
        """What is wrong with the file; empty if nothing is.

        Args:
            fewest: rows that it must have.
        """
        if self.fault:
            return self.fault
        if self.bad:
            lines = " ".join(
                f"Line{'s' if len(same) > 1 else ''} {', '.join(same)}: {fault}"
                for fault, same in self._by_fault().items()
            )
            more = self.bad - len(self.named)
            rest = f" And {more:,} more." if more else ""
            verb = "is" if self.bad == 1 else "are"
            return f"{self.bad:,} of {_rows(self.rows)} {verb} wrong. {lines}{rest}"
        if self.rows < fewest:
            return f"It has {_rows(self.rows)}, but must have at least {fewest}."
        return ""

    def _by_fault(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line, fault in self.named:
            found.setdefault(fault, []).append(str(line))
        return found


def read_rows(path: Path, method: Method, *, may_call: bool = True) -> ReadRows:
    """Check each row of a file; nothing is kept of those that are right.

    Args:
        path: of a JSONL file.
        method: of the job.
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
                found.bad += 1
                if len(found.named) < NAMED:
                    found.named.append((ref.line, fault))
    except DataSetError as error:
        found.fault = f"It cannot be read: {str(error).replace(str(path), 'the file')}"
    return found


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


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _check_supervised(row: dict[str, Any]) -> None:
    messages = messages_of(_messages(row))
    tools_of(row)
    weights_of(row["messages"])
    _require_last(messages, "assistant")


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
