"""Which functions the metrics are: those of the compiled module `_core`, or the Python ones.

Both give the same values to the last bit; the Python functions define them. `_core` is built from
`native/` when the package is installed where there is a C++ compiler. The choice is made once, when
this module is imported.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MODULE = "graders_engine.metrics._core"

VERSION = 1
"""The module's `VERSION` that these sources work with."""


def _choose() -> tuple[Any, str | None]:
    """The compiled module, or None and the reason."""
    if os.environ.get("GRADERS_PURE"):
        return None, "GRADERS_PURE is set"
    try:
        found = import_module(MODULE)
    except ModuleNotFoundError:
        return None, (
            "not built when this was installed: GRADERS_PURE was set, or there was no C++ compiler that "
            "works, or no headers of Python"
        )
    except ImportError as problem:
        return None, f"cannot be loaded: {problem}"
    if found.VERSION != VERSION:
        return None, "built from other sources: install the package again"
    return found, None


module, REASON = _choose()
"""The compiled module, or None. `REASON`: why the compiled functions are not used; None where they are."""

ACTIVE: Literal["compiled", "pure"] = "pure" if module is None else "compiled"


def compiled(attribute: str) -> Callable[[str, str], float] | None:
    """The compiled function of this name; None if there is none, or none is used."""
    function: Callable[[str, str], float] | None = getattr(module, attribute, None)
    return function


def compiled_batch(
    attribute: str,
) -> Callable[[Sequence[str], Sequence[str]], list[float]] | None:
    """A function of (answers, references) with the values of the compiled one; None without batches.

    It uses every processor that this process may use, and lets other threads run meanwhile.
    """
    if module is None or attribute not in module.BATCHES:
        return None
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return lambda answers, references: module.batch(attribute, answers, references, threads or 1)
