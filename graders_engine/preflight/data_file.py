"""A file of training rows: read once, row by row, by everything that wants to see each of them."""

from __future__ import annotations

import functools
import hashlib
import random
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.copies import copy_of
from graders_engine.dataset.rows.formats import open_records
from graders_engine.errors import DataSetError, InvalidRequest, InvalidRow
from graders_engine.files import digest_of
from graders_engine.language import strict_json
from graders_engine.language.content import text_of
from graders_engine.language.spelling import nearest
from graders_engine.urls import Location


class TrainingRow:
    """A row of a training or validation file.

    Attributes:
        line: its line, from 1.
        unreadable: why it cannot be read; empty if it can.
        item: what templates see as `item`: the row, or what stands in its key `item`.
    """

    def __init__(self, line: int, row: Any) -> None:
        self.line = line
        self.unreadable = row.reason if isinstance(row, Unreadable) else ""
        self.item: Any = None if self.unreadable else _item_of(row)

    @functools.cached_property
    def messages(self) -> Sequence[Any]:
        """The messages of its prompt; empty if it has none."""
        found = self.item.get("messages") if isinstance(self.item, Mapping) else None
        return found if isinstance(found, list) else ()

    @functools.cached_property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """(role, text) of each message that can be read."""
        return tuple(
            (str(message.get("role")), message_text(message))
            for message in self.messages
            if isinstance(message, Mapping)
        )

    @functools.cached_property
    def prompt(self) -> str:
        """The texts of its messages, one after the other."""
        return "\n".join(text for _, text in self.texts)

    @functools.cached_property
    def normalized_prompt(self) -> str:
        """The prompt after NFKC, in lower case, with blanks folded."""
        return normalized(self.prompt)

    @functools.cached_property
    def prompt_key(self) -> int:
        """Equal for prompts that differ only in case, blanks and Unicode's forms; 0 without a prompt.

        What is no text, such as an image, must be equal, too.
        """
        other = [part for message in self.messages for part in _other_parts(message)]
        if not self.prompt and not other:
            return 0
        text = self.normalized_prompt.encode("utf-8", "surrogatepass") + strict_json.encode(other)
        return digest(text)

    @functools.cached_property
    def item_key(self) -> int:
        """Equal for equal items."""
        try:
            return digest(strict_json.encode(self.item))
        except ValueError:
            return 1


def sha256_of(path: Location) -> str:
    """The hash of a file's bytes, in hexadecimal; empty if it cannot be read."""
    try:
        file = path if isinstance(path, Path) else copy_of(path).file
        return digest_of(file)
    except (OSError, DataSetError):
        return ""


def digest(value: bytes) -> int:
    """A 64-bit number for some bytes; equal for equal ones, and never 0."""
    return int.from_bytes(hashlib.blake2b(value, digest_size=8).digest()) or 1


def _other_parts(message: Any) -> list[Any]:
    """The parts of a message that are no text."""
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, list):
        return []
    return [p for p in content if not (isinstance(p, Mapping) and isinstance(p.get("text"), str))]


def _item_of(row: Any) -> Any:
    if isinstance(row, Mapping) and "messages" not in row and isinstance(row.get("item"), Mapping):
        return row["item"]
    return row


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a message; empty if it has none that can be read."""
    try:
        return text_of(message.get("content"), "content")
    except InvalidRow:
        return ""


def normalized(text: str) -> str:
    """A text after NFKC, in lower case, with blanks folded."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def require_field(files: Sequence[DataFile], name: str) -> None:
    """Make sure that a row of these files has a field.

    Raises:
        InvalidRequest: none of the rows has it.
    """
    readable = [file for file in files if not file.fault and file.rows > file.unreadable]
    seen = [row.item for file in readable for row in file.drawn]
    known = dict.fromkeys(key for item in seen if isinstance(item, Mapping) for key in item)
    if not readable or name in known or any(_has_field(file, name) for file in readable):
        return
    near = nearest(name, tuple(key for key in known if key != "messages"))
    raise InvalidRequest(
        f"No row of {' or '.join(file.name for file in readable)} has the field `{name}`."
        + (f" Did you mean `{near}`?" if near else f" The rows have {', '.join(known) or 'none'}.")
    )


def _has_field(file: DataFile, name: str) -> bool:
    """Whether a row has the field, among those that were not drawn, too."""
    items = (TrainingRow(ref.line, ref.row).item for ref in open_records(file.path).read())
    return any(isinstance(item, Mapping) and name in item for item in items)


class Collector(Protocol):
    """Sees every row of a file, and keeps what its check needs to know; little, for files are long."""

    def add(self, row: TrainingRow) -> None:
        """See a row; unreadable ones, too."""
        ...


C = TypeVar("C", bound=Collector)


class DataFile:
    """A file of rows.

    Attributes:
        name: as it was given.
        path: where it is.
        file: where its bytes are on this machine; known when it was read.
        role: "train" or "validation".
        form: its format, as in `formats.FORMS`.
        rows: how many rows it has, unreadable ones too.
        unreadable: how many of them cannot be read.
        drawn: some rows that can be read, drawn evenly, in the order of the file.
        sha256: of its bytes, in hexadecimal.
        fault: why it cannot be read at all; empty if it can.
    """

    def __init__(self, path: Location, role: str) -> None:
        self.name, self.path, self.role = str(path), path, role
        self.file = Path()
        self.form = ""
        self.rows = self.unreadable = 0
        self.drawn: list[TrainingRow] = []
        self.sha256 = self.fault = ""
        self._collected: dict[type[Any], Any] = {}

    def read(self, collectors: Iterable[Collector], draw: int, seed: int) -> None:
        """Read the file once; if it cannot be read, `fault` says why.

        Args:
            collectors: see every row.
            draw: how many rows to draw.
            seed: decides which.
        """
        self._collected = {type(collector): collector for collector in collectors}
        try:
            self._read(draw, seed)
        except DataSetError as error:
            self.fault = str(error)

    def _read(self, draw: int, seed: int) -> None:
        records = open_records(self.path)
        self.form, self.file = records.form, records.file
        seeing = tuple(self._collected.values())
        drawing = random.Random(seed)  # noqa: S311 - which rows are graded is no secret
        kept: list[TrainingRow] = []
        readable = 0
        for ref in records.read():
            row = TrainingRow(ref.line, ref.row)
            self.rows += 1
            for collector in seeing:
                collector.add(row)
            if row.unreadable:
                self.unreadable += 1
                continue
            readable += 1
            if len(kept) < draw:
                kept.append(row)
            elif (place := drawing.randrange(readable)) < draw:
                kept[place] = row
        self.drawn = sorted(kept, key=lambda row: row.line)
        self.sha256 = sha256_of(self.file)

    @property
    def readable(self) -> int:
        """How many rows can be read."""
        return self.rows - self.unreadable

    def collected(self, kind: type[C]) -> C:
        """What the collector of this class saw."""
        found: C = self._collected[kind]
        return found
