"""Read the fields of a body: what is wrong is collected with its path, so that all of it is reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from graders_engine.errors import InvalidRequest, Mistake
from graders_engine.graders import mistakes

MAX_PAIRS, MAX_KEY_CHARS, MAX_VALUE_CHARS = 16, 64, 512
"""The API's limits on `metadata`."""
LONE_SURROGATE = "it has half of a character, a lone surrogate."
TOO_DEEP = "it nests too deep."
_HALF = re.compile("[\ud800-\udfff]")


_T = TypeVar("_T")


class InvalidBody(InvalidRequest):
    """Raised when a body cannot be used.

    Attributes:
        mistakes: all mistakes, at least one, in the order of the body's fields.
    """

    def __init__(self, found: Sequence[Mistake]) -> None:
        self.mistakes = tuple(found)
        super().__init__("\n\n".join(str(mistake) for mistake in self.mistakes))


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers that a field may have.

    Attributes:
        lowest: the least one; its type says whether the field is an integer or a decimal.
        highest: the greatest one; None for no bound.
    """

    lowest: float
    highest: float | None = None


class Fields:
    """The fields of one object of a body. A null is the same as a missing key, as in the API's own answers.

    Args:
        value: the object.
        path: where it is; empty for the body.
        found: the mistakes of the whole body; those found here are added.
    """

    def __init__(self, value: Mapping[str, Any], path: str, found: list[Mistake]) -> None:
        self._value, self._path, self._found = value, path, found
        self._known: list[str] = []

    def path(self, key: str) -> str:
        """The path of one of its fields."""
        return f"{self._path}.{key}" if self._path else key

    def add(self, *found: Mistake) -> None:
        """Add mistakes."""
        self._found += found

    def value(self, key: str, *, required: bool = False) -> Any:
        """A field as it is; None where it is missing."""
        self._known.append(key)
        value = self._value.get(key)
        if value is None and required:
            self.add(mistakes.missing(self.path(key)))
        return value

    def text(self, key: str, *, required: bool = False) -> str | None:
        """A string; one with half of a character in it cannot be kept."""
        value = self._of_type(key, self.value(key, required=required), str, "a string")
        if value is not None and _HALF.search(value):
            self.add(mistakes.invalid(self.path(key), LONE_SURROGATE))
            return None
        return value

    def word(self, key: str, words: Collection[str], *, required: bool = False) -> str | None:
        """One of some words."""
        value = self.text(key, required=required)
        if value is None or value in words:
            return value
        self.add(mistakes.unsupported(self.path(key), value, tuple(words)))
        return None

    def flag(self, key: str) -> bool | None:
        """A boolean."""
        return self._of_type(key, self.value(key), bool, "a boolean")

    def number(self, key: str, bounds: Range) -> float | None:
        """A number within its range; a boolean is none."""
        value, whole = self.value(key), isinstance(bounds.lowest, int)
        kinds = int if whole else (int, float)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, kinds):
            expected = "an integer" if whole else "a decimal"
            self.add(mistakes.invalid_type(self.path(key), expected, value))
            return None
        if value < bounds.lowest:
            self.add(mistakes.out_of_range(self.path(key), value, bounds.lowest, "minimum"))
        elif bounds.highest is not None and value > bounds.highest:
            self.add(mistakes.out_of_range(self.path(key), value, bounds.highest, "maximum"))
        return value

    def object(self, key: str, *, required: bool = False) -> dict[str, Any] | None:
        """An object."""
        return self._of_type(key, self.value(key, required=required), dict, "an object")

    def fields(self, key: str, *, required: bool = False) -> Fields | None:
        """The fields of an object."""
        value = self.object(key, required=required)
        return None if value is None else Fields(value, self.path(key), self._found)

    def array(
        self, key: str, *, required: bool = False, least: int = 0, most: int | None = None
    ) -> list[Any] | None:
        """An array of some length."""
        value = self._of_type(key, self.value(key, required=required), list, "an array")
        if value is None:
            return None
        if len(value) < least:
            self.add(mistakes.wrong_length(self.path(key), len(value), least, "minimum"))
        elif most is not None and len(value) > most:
            self.add(mistakes.wrong_length(self.path(key), len(value), most, "maximum"))
        return value

    def objects(
        self, key: str, *, required: bool = False, least: int = 0, most: int | None = None
    ) -> Iterator[Fields]:
        """The fields of each object of an array."""
        values = self.array(key, required=required, least=least, most=most)
        for position, value in enumerate(values or ()):
            path = f"{self.path(key)}[{position}]"
            if isinstance(value, dict):
                yield Fields(value, path, self._found)
            else:
                self.add(mistakes.invalid_type(path, "an object", value))

    def metadata(self) -> dict[str, str] | None:
        """The key-value pairs that any object of the API may have."""
        pairs = self.object("metadata")
        if pairs is None:
            return None
        path = self.path("metadata")
        if len(pairs) > MAX_PAIRS:
            message = (
                f"Invalid '{path}': too many properties. Expected an object with at most {MAX_PAIRS} "
                f"properties, but got an object with {len(pairs)} properties instead."
            )
            self.add(Mistake(message, path, "object_above_max_properties"))
        for name, value in pairs.items():
            if len(name) > MAX_KEY_CHARS:
                self.add(_long_key(path, name))
            elif not isinstance(value, str):
                self.add(mistakes.invalid_type(f"{path}.{name}", "a string", value))
            elif len(value) > MAX_VALUE_CHARS:
                self.add(long_text(f"{path}.{name}", len(value), MAX_VALUE_CHARS))
        return pairs

    def close(self, advice: Mapping[str, str] | None = None) -> None:
        """Find the keys that were not asked for.

        Args:
            advice: by key, what to say of one that is known elsewhere.
        """
        for key, value in self._value.items():
            if value is None or key in self._known:
                continue
            path, sentence = self.path(key), (advice or {}).get(key)
            if sentence:
                self.add(Mistake(sentence, path, "unknown_parameter"))
            else:
                self.add(mistakes.unknown(path, key, self._known))

    def _of_type(self, key: str, value: Any, kind: type[_T], expected: str) -> _T | None:
        if value is None or isinstance(value, kind):
            return value
        self.add(mistakes.invalid_type(self.path(key), expected, value))
        return None


def long_text(path: str, length: int, bound: int) -> Mistake:
    """A string that is too long."""
    message = (
        f"Invalid '{path}': string too long. Expected a string with maximum length {bound}, but got a "
        f"string with length {length} instead."
    )
    return Mistake(message, path, "string_above_max_length")


def _long_key(path: str, key: str) -> Mistake:
    message = (
        f"Invalid property name in '{path}': the name '{key[:MAX_KEY_CHARS]}…' is too long. Expected a "
        f"string with maximum length {MAX_KEY_CHARS}, but got a string with length {len(key)} instead."
    )
    return Mistake(message, path, "string_above_max_length")


def fields_of(
    body: Any, read: Callable[[Fields], Any], advice: Mapping[str, str] | None = None
) -> Any:
    """What a function reads of a body.

    Args:
        body: the body.
        read: reads its fields.
        advice: by key, what to say of one that it does not read.

    Raises:
        InvalidBody: with all mistakes.
    """
    if not isinstance(body, dict):
        raise InvalidBody([mistakes.invalid_type("body", "an object", body)])
    found: list[Mistake] = []
    fields = Fields(body, "", found)
    value = read(fields)
    fields.close(advice)
    if found:
        raise InvalidBody(found)
    return value
