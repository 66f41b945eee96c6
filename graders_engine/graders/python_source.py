"""What a python source says about itself, found without running a line of it.

A long source may be hostile, so it is read in a process of its own, which imports this module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from graders_engine.graders.source_process import SHORT, NoProcess, SourceUnread, read_apart
from graders_engine.language.item_fields import named_fields
from graders_engine.language.python_execution import executions
from graders_engine.language.syntax_tree import module_tree


class SourceReport(NamedTuple):
    """What was found in a source.

    Attributes:
        fault: why Python cannot parse it; empty when it can.
        line: of the fault, from 1; 0 when it has no place.
        column: of the fault, from 1.
        width: characters that are at fault.
        misfit: why running it leaves no fitting `grade`; empty when it may.
        imports: the modules that it names in an import, wherever that stands.
        item_reads: where it takes the model's output from the item: what stands there, with its line.
        item_fields: the fields of the item that it reads by name.
        swapped: the line of a `grade` whose arguments are named as if the item came first; 0 for none.
        reads_sample: whether its `grade` uses its first argument, or might.
        executions: what it names that executes text or data as code, with its line.
    """

    fault: str = ""
    line: int = 0
    column: int = 0
    width: int = 0
    misfit: str = ""
    imports: tuple[str, ...] = ()
    item_reads: tuple[tuple[str, int], ...] = ()
    item_fields: tuple[str, ...] = ()
    swapped: int = 0
    reads_sample: bool = True
    executions: tuple[tuple[str, int], ...] = ()


def inspect(source: str) -> SourceReport:
    """Read a source."""
    return read(source) if len(source) <= SHORT else _read_elsewhere(source)


def read(source: str) -> SourceReport:
    """Read a source in this process."""
    try:
        tree = module_tree(source)
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 1
        width = (error.end_offset or 0) - column if error.end_lineno == error.lineno else 1
        return SourceReport(error.msg, line, column, width)
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes; nesting without end
        return SourceReport(
            f"Python cannot parse the source: {str(error) or type(error).__name__}."
        )
    named = [*named_fields(tree)]
    return SourceReport(
        misfit=_misfit(tree),
        imports=tuple(_imports(tree)),
        item_reads=tuple(_item_reads(named)),
        item_fields=tuple(dict.fromkeys(key for _, key in named)),
        swapped=_swapped(tree),
        reads_sample=_reads_sample(tree),
        executions=tuple(executions(tree)),
    )


def read_json(source: str) -> dict[str, Any]:
    """What `read` finds, as JSON values."""
    return read(source)._asdict()


@lru_cache(maxsize=4)  # it is asked for the faults, and for the imports
def _read_elsewhere(source: str) -> SourceReport:
    try:
        fields = read_apart(__name__, source)
    except NoProcess:
        return read(source)
    except SourceUnread as error:
        why = str(error)
        link = " " if why.startswith("within") else ": "
        return SourceReport(f"Python cannot parse the source{link}{why}.")
    for name in ("item_reads", "executions"):
        fields[name] = tuple((text, line) for text, line in fields[name])
    for name in ("imports", "item_fields"):
        fields[name] = tuple(fields[name])
    return SourceReport(**fields)


def _misfit(tree: ast.Module) -> str:
    """Why running the module cannot leave a fitting `grade`; empty when it may, in whatever way."""
    defined = [node for node in tree.body if getattr(node, "name", "") == "grade"]
    if defined and isinstance(defined[-1], ast.AsyncFunctionDef):
        return "`grade` is async: it must return a number, not a coroutine."
    if defined and isinstance(defined[-1], ast.FunctionDef):
        return _unfit(defined[-1].args) or _generates(defined[-1])
    stack: list[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if node.name == "grade":
                return ""
            continue  # a new scope: what it binds is its own
        if isinstance(node, ast.alias) and (node.asname or node.name) in ("grade", "*"):
            return ""
        if isinstance(node, ast.Name) and node.id in ("grade", "exec", "globals"):
            return ""
        stack.extend(ast.iter_child_nodes(node))
    return "the source defines no function `grade`."


def _generates(function: ast.FunctionDef) -> str:
    """Why a function gives no number but a generator; empty when it does not."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return "`grade` is a generator: it must return a number, not yield."
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(node))
    return ""


def _unfit(arguments: ast.arguments) -> str:
    """Why a function cannot be called with two positional arguments; empty when it can."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    needed = positional - len(arguments.defaults)
    named_only = [default for default in arguments.kw_defaults if default is None]
    if needed <= 2 and (positional >= 2 or arguments.vararg) and not named_only:
        return ""
    return "`grade` must take two positional arguments, sample and item."


def _imports(tree: ast.Module) -> list[str]:
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names[node.module] = None
    return list(names)


def _swapped(tree: ast.Module) -> int:
    """The line of a `grade` that names its first argument `item`, or its second one `sample`; 0 for none."""
    defined = [node for node in tree.body if getattr(node, "name", "") == "grade"]
    if not defined or not isinstance(defined[-1], ast.FunctionDef):
        return 0
    arguments = defined[-1].args
    names = [part.arg.strip("_").lower() for part in (*arguments.posonlyargs, *arguments.args)]
    swapped = names[:1] == ["item"] or names[1:2] == ["sample"]
    return defined[-1].lineno if swapped else 0


_OUTPUT_KEYS = re.compile(r"sample(?:\..*)?")


def _item_reads(named: Iterable[tuple[ast.expr, str]]) -> Iterator[tuple[str, int]]:
    """Reads of the item's `sample` or `sample.…`, where Foundry's code evaluators have the output."""
    for node, key in named:
        if _OUTPUT_KEYS.fullmatch(key):
            yield f'item["{key}"]', node.lineno


_DYNAMIC = frozenset(
    {"__builtins__", "__import__", "builtins", "compile", "ctypes", "dir", "eval", "exec", "gc", "globals",
     "importlib", "inspect", "locals", "sys", "traceback", "tracemalloc", "vars"}
)  # fmt: skip
"""Names with whose help code can see an argument without naming it."""


def _defines_grade(node: ast.AST) -> bool:
    """Whether a statement, or the alias of an import, makes the name `grade`, or may make it."""
    if isinstance(node, ast.alias):
        return (node.asname or node.name.partition(".")[0]) in ("grade", "*")
    return getattr(node, "name", "") == "grade"


def _reads_sample(tree: ast.Module) -> bool:
    """Whether `grade` uses its first argument; where that cannot be seen, it may."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    defined = [node for node in ast.walk(tree) if _defines_grade(node)]
    (grade,) = defined if len(defined) == 1 else [None]
    if not isinstance(grade, ast.FunctionDef) or grade not in tree.body or grade.decorator_list:
        return True
    if any(name.id in _DYNAMIC or name.id == "grade" for name in names):
        return True
    if _DYNAMIC.intersection(name.partition(".")[0] for name in _imports(tree)):
        return True
    positional = [*grade.args.posonlyargs, *grade.args.args]
    return not positional or any(
        isinstance(node, ast.Name) and node.id == positional[0].arg for node in ast.walk(grade)
    )
