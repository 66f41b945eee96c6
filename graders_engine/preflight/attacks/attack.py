"""What an attack is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from graders_engine.preflight.references import Sample

if TYPE_CHECKING:
    from graders_engine.preflight.attacks.context import Context
    from graders_engine.preflight.data_file import TrainingRow

Kind = Literal["free", "blind", "informed", "robustness"]
"""`free`: without content, the same for every row. `blind`: without knowledge of the right answer.
`informed`: made from the right answer. `robustness`: only failures and seconds count."""
KINDS: tuple[Kind, ...] = get_args(Kind)

Write = Callable[["TrainingRow", "Context"], Mapping[str, Sample]]
"""The hostile samples for a row, by the name of the variant."""


def _always(_: Context) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Attack:
    """A way to be rewarded without being right.

    Attributes:
        name: its name.
        kind: what it must know.
        what: what it writes, in a few words: `an empty answer`.
        write: the hostile samples for a row, by variant.
        applies: whether it makes sense for a grader.
        framed: whether its texts are also put where the grader looks for the answer: into each text of a
            JSON skeleton, or between the tags that the grader searches for.
    """

    name: str
    kind: Kind
    what: str
    write: Write
    applies: Callable[[Context], bool] = _always
    framed: bool = True
