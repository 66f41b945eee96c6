"""The rows of a file as what a method trains with: ids and labels, pairs of texts, prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from graders_engine.dataset.rows.lines import rows_of
from graders_engine.outputs.unreadable import Unreadable
from graders_engine.training.bad_rows import BadRows
from graders_engine.training.chat import Chat
from graders_engine.training.messages import BadRow, messages_of, tools_of, weights_of
from graders_engine.training.trainer import TrainingFailed

T = TypeVar("T")
Split = Literal["train", "valid"]
IGNORED = -100
"""The label of a token that is not trained."""
PARAMS: dict[Split, str] = {"train": "training_file", "valid": "validation_file"}
WORDS: dict[str, str] = {"training_file": "training file", "validation_file": "validation file"}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file.

    Attributes:
        line: its number, from 1.
        value: what it holds.
    """

    line: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row of a supervised job.

    Attributes:
        input_ids: its tokens.
        labels: the same, or `IGNORED` where they are not trained.
    """

    input_ids: list[int]
    labels: list[int]

    @property
    def tokens(self) -> int:
        """How many tokens are read in a step with it."""
        return len(self.input_ids)


@dataclass(frozen=True, slots=True)
class Pair:
    """A row of a dpo job, as texts with marks.

    Attributes:
        prompt: up to where the assistant begins.
        chosen: what it should say.
        rejected: what it should not.
        tokens: of both texts, each with the prompt.
    """

    prompt: str
    chosen: str
    rejected: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """A row of a reinforcement job.

    Attributes:
        prompt: a text with marks, up to where the assistant begins.
        tokens: of it.
    """

    prompt: str
    tokens: int


def invalid_file(param: str, mistake: str) -> TrainingFailed:
    """What a job fails with that has a bad file."""
    message = f"The job failed due to an invalid {WORDS[param]}. {mistake}"
    return TrainingFailed(f"invalid_{param}", message, param)


def bad_row(split: Split, line: int, why: str) -> TrainingFailed:
    """What a job fails with that has met a bad row."""
    return invalid_file(PARAMS[split], f"Line {line}: {why}")


def read_rows(path: str, split: Split) -> list[Row]:
    """The rows of a JSONL file, without blank lines.

    Raises:
        TrainingFailed: a line is no object, there is no line, or the file cannot be read.
    """
    found = []
    try:
        with Path(path).open("rb") as file:
            for ref in rows_of(file):
                if isinstance(ref.row, Unreadable):
                    raise bad_row(split, ref.line, ref.row.reason)
                if not isinstance(ref.row, dict):
                    raise bad_row(split, ref.line, "It must be an object.")
                found.append(Row(ref.line, ref.row))
    except OSError as error:
        raise TrainingFailed(
            "storage_error", f"The {PARAMS[split]} cannot be read: {error.strerror}.", PARAMS[split]
        ) from error
    if not found:
        raise invalid_file(PARAMS[split], "It has no row.")
    return found


def converted(rows: Sequence[Row], split: Split, convert: Callable[[dict[str, Any]], T]) -> list[T]:
    """What a method trains with, in the order of the rows.

    Raises:
        TrainingFailed: rows cannot be trained with; it names the lines.
    """
    found, bad = [], BadRows()
    for row in rows:
        try:
            found.append(convert(row.value))
        except BadRow as error:
            bad.add(row.line, str(error))
        except RecursionError:
            bad.add(row.line, "It nests too deep.")
    if bad.count:
        raise invalid_file(PARAMS[split], bad.mistake(len(rows)))
    return found


def labelled(chat: Chat, row: dict[str, Any], most: int) -> Labelled:
    """A row of a supervised job: what the assistant says where its weight is 1 is trained.

    Args:
        chat: of the model.
        row: its values.
        most: tokens that the model can read.

    Raises:
        BadRow: it cannot be trained with.
    """
    weights = weights_of(row.get("messages") or [])
    messages = messages_of(row.get("messages"), developer=chat.knows_developers)
    tools = tools_of(row)
    ids = chat.ids(chat.render(messages, tools, prompt=False))
    _require_room(len(ids), most)
    labels = [IGNORED] * len(ids)
    for number, weight in enumerate(weights):
        if not weight:
            continue
        before = chat.ids(chat.render(messages[:number], tools, prompt=True))
        after = chat.ids(chat.render(messages[: number + 1], tools, prompt=False))
        if after[: len(before)] != before or ids[: len(after)] != after:
            raise BadRow(
                f"The model's chat template rewrites what stands before message {number}, so that it "
                "cannot be trained here: give all messages of the assistant but the last the weight 0."
            )
        labels[len(before) : len(after)] = after[len(before) :]
    return Labelled(ids, labels)


def pair(chat: Chat, row: dict[str, Any], most: int) -> Pair:
    """A row of a dpo job. Args and Raises: as `labelled`."""
    given = row.get("input")
    if not isinstance(given, dict):
        raise BadRow("`input` must be an object with `messages`.")
    messages = messages_of(given.get("messages"), "input.messages", developer=chat.knows_developers)
    tools = tools_of(given)
    prompt = chat.render(messages, tools, prompt=True)
    answers, tokens = [], 0
    for key in ("preferred_output", "non_preferred_output"):
        output = messages_of(row.get(key), key)
        if len(output) != 1 or output[0]["role"] != "assistant":
            raise BadRow(f"`{key}` must be a list of one message of the assistant.")
        whole = chat.render([*messages, *output], tools, prompt=False)
        if not whole.startswith(prompt):
            raise BadRow(
                f"The model's chat template rewrites what stands before the message of `{key}`."
            )
        answers.append(_ending_with(chat.tokenizer.eos_token, whole[len(prompt) :]))
        length = len(chat.ids(prompt + answers[-1]))
        _require_room(length, most)
        tokens += length
    return Pair(prompt, answers[0], answers[1], tokens)


def prompt_of(chat: Chat, row: dict[str, Any], most: int) -> Prompt:
    """A row of a reinforcement job. Args and Raises: as `labelled`; `most` leaves room for a completion."""
    messages = messages_of(row.get("messages"), developer=chat.knows_developers)
    text = chat.render(messages, tools_of(row), prompt=True)
    tokens = len(chat.ids(text))
    _require_room(tokens, most, ": max_completion_tokens, in graders.toml, is kept for the answer")
    return Prompt(text, tokens)


def _ending_with(end: str | None, text: str) -> str:
    """A text without the blanks that a template sets behind the end's token: TRL would add another one."""
    return text.rstrip() if end and text.rstrip().endswith(end) else text


def _require_room(tokens: int, most: int, why: str = "") -> None:
    if tokens > most:
        raise BadRow(f"It has {tokens} tokens, and there is room for {most}{why}.")
