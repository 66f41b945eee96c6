"""How far a source reaches: what a row of it can change, so that no more needs putting back after each row.

Most graders compare texts and numbers: whatever they are given, no row of theirs can change a signal
handler, a descriptor or a module. This is found in the syntax tree, by a list of what is known to be
harmless; for anything else the answer is PROCESS. A source that means to deceive this reading fools only
the rows of its own grader, and the spot check is there for those, too.
"""

from __future__ import annotations

import sys

from graders_engine.sandbox.inside.source_tree import imports, walk

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from typing import Any


class Reach:
    """What a row may change besides the source's own module.

    Attributes:
        process: anything in the process.
        files: what is in the scratch folders, and which descriptors are open.
        draws: the state of random numbers.
    """

    def __init__(self, *, process: bool = True, files: bool = True, draws: bool = True) -> None:
        self.process, self.files, self.draws = process, files, draws


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HARMLESS = _words(
    "__future__ abc array base64 binascii bisect cmath collections copy dataclasses datetime decimal difflib "
    "enum fractions functools hashlib heapq hmac html itertools json math numbers operator re string struct "
    "textwrap typing unicodedata"
)
_DRAWS = _words("matlib random statistics")
_NUMPY = _words("numpy")
_NAMES = _words(
    "breakpoint compile delattr eval exec exit getattr globals help input locals open quit setattr vars"
)
_PARTS = (sys.stdlib_module_names - _HARMLESS - _DRAWS) | _words(
    "ag_frame attrgetter cr_frame f_back f_builtins f_globals f_locals gi_frame methodcaller tb_frame "
    "bltns ctypeslib distutils f2py set_bit_generator testing update_wrapper wraps *"
)


def reach_of(tree: Any) -> Reach:
    """How far the source with this syntax tree reaches."""
    roots = {name.partition(".")[0] for name in imports(tree)}
    if not roots <= _HARMLESS | _DRAWS | _NUMPY or not all(map(_is_harmless, walk(tree))):
        return Reach()
    named = {part for node in walk(tree) for part in _parts(node)}
    return Reach(process=False, files=bool(roots & _NUMPY), draws=bool(named & _DRAWS))


def _is_harmless(node: Any) -> bool:
    kind = type(node).__name__
    if kind == "Name":
        name = node.id
        return name not in _NAMES and (not name.startswith("__") or name == "__name__")
    is_stored = kind == "Attribute" and type(node.ctx).__name__ != "Load"
    is_relative = kind == "ImportFrom" and node.level
    return not (is_stored or is_relative) and all(map(_leads_nowhere, _parts(node)))


def _parts(node: Any) -> list[str]:
    """The names that a node looks up in modules and other objects."""
    kind = type(node).__name__
    if kind == "Attribute":
        return [node.attr]
    if kind == "MatchClass":
        return list(node.kwd_attrs)
    if kind not in ("Import", "ImportFrom"):
        return []
    dotted = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
    return [part for name in dotted for part in name.split(".")]


def _leads_nowhere(name: str) -> bool:
    """Whether what has this name leads to nothing but texts and numbers."""
    return name not in _PARTS and (not name.startswith("_") or name == "__future__")
