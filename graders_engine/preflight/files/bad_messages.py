"""A row has no messages that a model could be asked with.

Why: the service refuses a file with such a row. The model answers the messages; the last one must be the
user's.

Example: a row copied from a supervised job, whose last message is the assistant's answer; the role `human`.

To mend it: give each row `"messages": [{"role": "user", "content": "…"}]`, and put the right answer into a
field of its own.

Ignore it when: the trainer is another one, with prompts of its own form; a system message is for a model that
takes it for a developer message (o1, o3, o4-mini).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.language.kinds import kind_of
from graders_engine.language.spelling import nearest
from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs

_ID = "bad-messages"
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_SHOWN = 3
_MOST_REASONS = 10


class Messages:
    """Counts the rows without fitting messages, by what is wrong with them."""

    def __init__(self) -> None:
        self.lines: dict[str, list[int]] = {}
        self.counts: dict[str, int] = {}
        self.system = 0

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        if row.unreadable or not isinstance(row.item, Mapping):
            return
        self.system += any(role == "system" for role, _ in row.texts)
        reason = wrong_with(row.item)
        if reason and (reason in self.counts or len(self.counts) < _MOST_REASONS):
            self.counts[reason] = self.counts.get(reason, 0) + 1
            lines = self.lines.setdefault(reason, [])
            if len(lines) < _SHOWN:
                lines.append(row.line)


def wrong_with(item: Mapping[str, Any]) -> str:
    """What is wrong with a row's messages, without the row's own texts; empty if nothing is."""
    if "messages" not in item:
        return "there is no key `messages`"
    messages = item["messages"]
    if not isinstance(messages, list):
        return "`messages` is no list"
    if not messages:
        return "`messages` is empty"
    for message in messages:
        if not isinstance(message, Mapping):
            return "a message is no object"
        role = message.get("role")
        if role not in ROLES:
            near = nearest(str(role), ROLES)
            meant = f"; did you mean `{near}`?" if near else ""
            return f"a message has the role {str(role)[:20]!r}{meant}"
        if "content" not in message and not message.get("tool_calls"):
            return "a message has no `content`"
        content = message.get("content")
        if not isinstance(content, (str, list, type(None))):
            return f"the `content` of a message is {kind_of(content)}, and not a text or a list of parts"
    last = messages[-1]["role"]
    return "" if last == "user" else f"the last message is the {last}'s, and not the user's"


def _ask(inputs: Inputs) -> Iterator[Finding]:
    model = str((inputs.job or {}).get("model", ""))
    for file in inputs.files:
        seen = file.collected(Messages)
        for reason, count in seen.counts.items():
            yield Finding(
                _ID, "error", f"In {count} of {file.rows} rows of {file.name} {reason}.",
                "Give each row messages that end with the user's.",
                where=[Location(file.name, line, "messages") for line in seen.lines[reason]], rows=count,
                numbers={"rows": count},
            )  # fmt: skip
        if seen.system and not seen.counts and reasons_by_itself(model):
            yield Finding(
                _ID, "warning",
                f"{seen.system} rows of {file.name} have a system message, which o-series models take for a "
                "developer message; o1-mini and o1-preview refuse it.",
                "Write it as a `developer` message, or into the user's.", where=[Location(file.name)],
                rows=seen.system,
            )  # fmt: skip


def reasons_by_itself(model: str) -> bool:
    """Whether this is a model of the o-series."""
    base = model.split(":")[1] if model.startswith("ft:") and model.count(":") else model
    return len(base) > 1 and base[0] == "o" and base[1].isdigit()


CHECK = Check(
    _ID, "files", _ask, frozenset({"train"}), lambda inputs: Messages(), silenced_by=("not-jsonl",)
)
