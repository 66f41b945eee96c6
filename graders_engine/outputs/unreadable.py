"""What stands for a row that cannot be read."""

from __future__ import annotations

import msgspec

from graders_engine.errors import InvalidRow, NoOutput, UnknownForm
from graders_engine.outcome import Blame


class Unreadable(msgspec.Struct, frozen=True):
    """Replaces a row of a data set, or one of its outputs, that could not be read, for this reason.

    Attributes:
        reason: a sentence.
        blame: as of `errors.InvalidRow`. By "row" it is graded as invalid, by "infrastructure" as failed.
        unknown_form: whether it is in no form that is known, as of `errors.UnknownForm`.
    """

    reason: str
    blame: Blame = "row"
    unknown_form: bool = False

    @classmethod
    def by(cls, error: InvalidRow) -> Unreadable:
        """What replaces the row that this error was raised for."""
        return cls(str(error), error.blame, isinstance(error, UnknownForm))

    def error(self) -> InvalidRow:
        """That error again."""
        if self.unknown_form:
            return UnknownForm(self.reason)
        return (NoOutput if self.blame == "infrastructure" else InvalidRow)(self.reason)
