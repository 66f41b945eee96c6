"""The texts of a data set as they are searched: without differences of case, in segments in the cache.

A search is a search for bytes in these: no JSON has to be read, and no escape hides a word. Each line of the
data set gives a text for its item, and one for each of its samples, as reports have them. A row is found by
its line's item even if its own sample cannot be read.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import shape_named
from graders_engine.outputs.foreign import is_printed
from graders_engine.outputs.texts import FIRST_OF_OBJECTS, has_signs
from graders_engine.report.row_texts import RowKey, readable, whole_texts
from graders_engine.view import cache
from graders_engine.view.searching.fold import SEPARATOR, fold
from graders_engine.view.texts import DataRows

# Scipy takes a while to import, and this is imported by processes that start often.
if TYPE_CHECKING:
    from graders_engine.statistics.estimate import Ints

SEGMENT_BYTES = 4 << 20
"""So many bytes of the data set give a segment, and the rest of its last line."""
_TOGETHER = 256
"""So many texts are folded at once: more would not stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The texts of some lines.

    Attributes:
        text: all texts, each with `SEPARATOR` behind it.
        starts: the offset of each.
        firsts: of each line, the index of its item's text, which those of its samples follow; -1 for a
            blank line.
    """

    text: bytes
    starts: Ints
    firsts: Ints

    @classmethod
    def read(cls, path: Path) -> Self:
        """A segment from its file.

        Raises:
            OSError: it is not there.
            ValueError: it is not whole.
        """
        with path.open("rb", buffering=0) as file:
            texts, lines = np.frombuffer(file.read(16), np.int64).tolist()
            if min(texts, lines) < 0 or 16 + 8 * (texts + lines) > os.fstat(file.fileno()).st_size:
                raise ValueError("the segment is not whole")
            numbers = np.frombuffer(file.read(8 * (texts + lines)), np.int64)
            return cls(file.readall(), numbers[:texts], numbers[texts:])

    @property
    def begins(self) -> int:
        """The offset of the texts in the segment's file."""
        return 16 + 8 * (len(self.starts) + len(self.firsts))

    def one(self, at: int) -> bytes:
        """One text."""
        end = self.starts[at + 1] if at + 1 < len(self.starts) else len(self.text)
        return self.text[self.starts[at] : end - 1]

    def having(self, word: bytes) -> NDArray[np.bool_]:
        """Which texts have a word."""
        return having(self.text, self.starts, word)


def having(text: bytes, starts: Ints, word: bytes) -> NDArray[np.bool_]:
    """Which of several texts have a word.

    Args:
        text: the texts, each with `SEPARATOR` behind it.
        starts: the offset of each.
        word: what is searched for, folded.
    """
    places = []
    at = text.find(word)
    while at >= 0:
        places.append(at)
        end = text.find(SEPARATOR, at)
        at = text.find(word, end) if end >= 0 else end
    found = np.zeros(len(starts), bool)
    found[np.searchsorted(starts, places, side="right") - 1] = True
    return found


class FoldedTexts:
    """The segments of a data set.

    Args:
        data: the data set.
        segment_bytes: as `SEGMENT_BYTES`.
    """

    def __init__(self, data: DataRows, segment_bytes: int) -> None:
        self.data, self.segment_bytes = data, segment_bytes
        self.folder = data.folder.path / "texts"
        self.folder.mkdir(mode=0o700, exist_ok=True)

    @cached_property
    def bounds(self) -> Ints:
        """How many lines are before each segment, and before the end."""
        starts = self.data.starts
        at = np.searchsorted(starts, np.arange(0, int(starts[-1]), self.segment_bytes))
        return np.unique(np.append(at, len(starts) - 1)).astype(np.int64)

    @property
    def count(self) -> int:
        """How many segments there are."""
        return len(self.bounds) - 1

    def path(self, number: int) -> Path:
        """The file of a segment."""
        return self.folder / f"{number:06}"

    def is_there(self, number: int) -> bool:
        """Whether a segment is in the cache."""
        return self.path(number).exists()

    def build(self, number: int) -> None:
        """Write a segment.

        Raises:
            OSError: the data set cannot be read, or the cache cannot be written.
        """
        first, last = int(self.bounds[number]) + 1, int(self.bounds[number + 1])
        with self.data.path.open("rb", buffering=0) as data:
            texts, *numbers = texts_of(self.data, self._rows(data, first, last), first, last)
        head = np.array([len(each) for each in numbers], np.int64)
        path = self.path(number)
        temporary = path.with_name(f"{path.name}.{token_hex(8)}.part")
        try:
            with open(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as file:
                file.writelines(each.tobytes() for each in (head, *numbers))
                file.writelines(texts)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _rows(self, data: io.RawIOBase, first: int, last: int) -> Iterator[RowRef]:
        """The lines between two of them, some at a time: memory that is used again is faster than fresh."""
        for start in range(first, last + 1, _TOGETHER):
            yield from self.data.read(data, start, min(start + _TOGETHER - 1, last))

    def read(self, number: int) -> Segment:
        """A segment from the cache.

        Raises:
            OSError: it is not there.
            ValueError: it is not whole.
        """
        return Segment.read(self.path(number))


def texts_of(
    data: DataRows, rows: Iterable[RowRef], first: int, last: int
) -> tuple[list[bytes], Ints, Ints]:
    """The texts of rows: as `Segment.text`, but in parts, with `Segment.starts` and `Segment.firsts`.

    Args:
        data: the data set.
        rows: as they are read.
        first: the first line of the segment.
        last: the last one.
    """
    firsts = [-1] * (last - first + 1)
    texts: list[str] = []
    parts: list[bytes] = []
    ends = [np.zeros(1, np.int64)]
    count = 0

    def add() -> None:
        parts.append(joined(texts))
        part = np.frombuffer(parts[-1], np.uint8)
        ends.append(np.flatnonzero(part == SEPARATOR[0]) + (ends[-1][-1] + 1))

    for raw in rows:
        firsts[raw.line - first] = count + len(texts)
        texts += plain_texts(raw.row, data.shape.name) or _texts_of_any(data, raw)
        if len(texts) >= _TOGETHER:
            add()
            count += len(texts)
            texts.clear()
    if texts:
        add()
    return parts, np.concatenate(ends)[:-1].astype(np.int64), np.array(firsts, np.int64)


def _texts_of_any(data: DataRows, raw: RowRef) -> list[str]:
    refs = data.shape.split(raw)
    item = ""
    samples = []
    for _, text in whole_texts((RowKey(ref.line, ref.sample), ref.row) for ref in refs):
        item = item or text.item
        samples.append(text.sample)
    # The line's own `id` is the row's name where its item has none.
    group = refs[0].group if refs else None
    return [f"{item}\n{group}" if group and group != str(raw.line) else item, *samples]


def plain_texts(raw: Any, shape: str) -> list[str] | None:
    """The item and the samples of a line in the commonest forms, at a tenth of the time; None for any other.

    They are what `whole_texts` gives.
    """
    samples = plain_samples(raw, shape)
    if samples is None:
        return None
    item, group = raw["item"], raw.get("id") if shape == "samples" else None
    text = readable(item)
    return [text if group is None else f"{text}\n{group}", *samples]


def plain_samples(raw: Any, shape: str) -> list[str] | None:
    """The samples alone of `plain_texts`."""
    if type(raw) is not dict or raw.get("item") is None or not _OTHERS.isdisjoint(raw):
        return None
    if shape == "samples" and "model_sample" not in raw:
        samples = raw.get("samples")
    elif shape == "rows" and "samples" not in raw:
        samples = [raw.get("model_sample")]
    else:
        return None
    return samples if type(samples) is list and samples and _are_texts(samples) else None


_OTHERS = frozenset(("model_samples", "sample", "reference_answer", "error"))
_OF_PRINTED = frozenset("ACGMPRcde")
"""The letters with which what Python prints of an answer, and events of a stream, begin (`foreign`)."""


def _are_texts(samples: Sequence[Any]) -> bool:
    """Whether all samples are the model's texts as they stand."""
    objects = []
    for sample in samples:
        if type(sample) is not str:
            return False
        first = sample[:1]
        if first in FIRST_OF_OBJECTS:
            objects.append(sample)
        if first == "{" and sample[1:2] != "'":
            continue
        if (not first.isalnum() or first in _OF_PRINTED) and is_printed(sample):
            return False
    # All at once, and one by one where that says so.
    return not has_signs("\n".join(objects)) or not any(map(has_signs, objects))


def joined(texts: Sequence[str]) -> bytes:
    """Texts as they are searched, each with `SEPARATOR` behind it."""
    together = fold("\0".join([*texts, ""]))
    if together.count(b"\0") == len(texts):
        return together.replace(b"\0", SEPARATOR)
    return b"".join(fold(text) + SEPARATOR for text in texts)


def as_json(texts: FoldedTexts) -> dict[str, Any]:
    """What another process needs to make segments of a data set."""
    data = texts.data
    return {
        "segment_bytes": texts.segment_bytes,
        "path": str(data.path.absolute()),
        "marked": data.marked,
        "starts": str(data.starts_path),
        "lines": len(data.starts) - 1,
        "shape": data.shape.name,
        "sample_field": data.sample_field,
        "folder": data.folder.path.name,
        "root": str(data.folder.path.parent),
    }


def from_json(found: dict[str, Any]) -> FoldedTexts:
    """The segments that another process described."""
    starts = cache.mapped(Path(found["starts"]), np.int64, found["lines"] + 1)
    folder = cache.CacheFolder.at(Path(found["root"], found["folder"]))
    flat = found["sample_field"] if found["shape"] == "flat" else None
    shape = shape_named(found["shape"], flat)
    data = DataRows(
        Path(found["path"]),
        found["marked"],
        starts,
        Path(found["starts"]),
        shape,
        found["sample_field"],
        (),
        folder,
    )
    return FoldedTexts(data, found["segment_bytes"])


def missing(texts: FoldedTexts) -> Iterator[int]:
    """The segments that are not in the cache."""
    return (number for number in range(texts.count) if not texts.is_there(number))
