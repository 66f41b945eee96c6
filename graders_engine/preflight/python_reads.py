"""What a python source reads of its row, found in its syntax tree."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from functools import lru_cache

_GETTERS = ("get", "pop", "setdefault")


@dataclass(frozen=True, slots=True)
class PythonReads:
    """What a source reads.

    Attributes:
        item_needs: keys of `item["…"]`, without which it raises, with their lines.
        item_may: keys of `item.get("…")`.
        sample_keys: keys of the sample that it names.
        whole_sample: whether it uses the sample in a way that names no key.
        reads_sample: whether it uses its first argument at all.
    """

    item_needs: tuple[tuple[str, int], ...] = ()
    item_may: tuple[tuple[str, int], ...] = ()
    sample_keys: tuple[str, ...] = ()
    whole_sample: bool = True
    reads_sample: bool = True


@lru_cache(maxsize=64)
def reads_of(source: str) -> PythonReads:
    """Read a source without running it; one that does not parse may read anything."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return PythonReads()
    grade = next(
        (n for n in reversed(tree.body) if isinstance(n, ast.FunctionDef) and n.name == "grade"),
        None,
    )
    if grade is None or len(grade.args.posonlyargs) + len(grade.args.args) < 2:
        return PythonReads()
    sample, item = (arg.arg for arg in [*grade.args.posonlyargs, *grade.args.args][:2])
    needs, may = _keys(grade, item)
    sample_needs, sample_may = _keys(grade, sample)
    uses = [n for n in ast.walk(grade) if isinstance(n, ast.Name) and n.id == sample]
    named = len(sample_needs) + len(sample_may)
    keys = tuple(dict.fromkeys(key for key, _ in [*sample_needs, *sample_may]))
    return PythonReads(needs, may, keys, len(uses) > named, bool(uses))


Keys = tuple[tuple[str, int], ...]


def _keys(tree: ast.AST, name: str) -> tuple[Keys, Keys]:
    """The keys that are read with brackets, and those that are read with `get`."""
    needs: list[tuple[str, int]] = []
    may: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _is(node.value, name):
            key, found = node.slice, needs
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _GETTERS
            and _is(node.func.value, name)
            and node.args
        ):
            key, found = node.args[0], may
        else:
            continue
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.append((key.value, node.lineno))
    return tuple(needs), tuple(may)


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
