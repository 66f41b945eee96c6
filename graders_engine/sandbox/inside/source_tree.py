"""What a source names, by its syntax tree: its imports, and what it looks up in them.

The tree is walked without the `ast` module, whose import costs more than the walk.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def walk(tree: Any) -> Iterator[Any]:
    """The nodes of a syntax tree, in the order of the source."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(reversed(node))
        elif hasattr(node, "_fields"):
            yield node
            pending.extend(getattr(node, f, None) for f in reversed(node._fields))


def imports(tree: Any) -> list[str]:
    """The modules that a syntax tree names, in its order, each once."""
    return list(dict.fromkeys(name for node in walk(tree) for name in _named_by(node)))


def attributes(tree: Any) -> list[list[str]]:
    """Dotted names that start at an imported module, as `np.testing.assert_allclose`: module, attributes.

    Packages such as numpy and scipy import some submodules when the attribute is first looked up.
    """
    imported: dict[str, str] = {}
    chains = []
    for node in walk(tree):
        kind = type(node).__name__
        if kind == "Import":
            for alias in node.names:
                root = alias.name.partition(".")[0]
                imported[alias.asname or root] = alias.name if alias.asname else root
        elif kind == "ImportFrom" and not node.level and node.module:
            for alias in node.names:
                imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif kind == "Attribute" and (chain := _chain(node)):
            chains.append(chain)
    return [[imported[first], *rest] for first, *rest in chains if first in imported]


def _chain(node: Any) -> list[str]:
    """The parts of `a.b.c`; empty when it does not start with a name."""
    parts: list[str] = []
    while type(node).__name__ == "Attribute":
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if type(node).__name__ == "Name" else []


def _named_by(node: Any) -> list[str]:
    kind = type(node).__name__
    if kind == "Import":
        return [alias.name for alias in node.names]
    if kind == "ImportFrom" and not node.level and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    if kind == "Call" and node.args and type(node.args[0]).__name__ == "Constant":
        called = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
        argument = node.args[0].value
        if called in ("__import__", "import_module") and isinstance(argument, str):
            return [argument]
    return []
