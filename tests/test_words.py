"""One vocabulary: words that the package has given up do not come back, and tests stay outside of it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import graders_engine

PACKAGE = Path(graders_engine.__file__).parent
TESTS = Path(__file__).parent
RETIRED_NAMES = {
    "Admission", "Door", "Drawn", "Fault", "Figures", "Folders", "Foremost", "Gathered", "Grading", "Hold",
    "Judged", "Judges", "Judging", "Kept", "KeptGraders", "Once", "Pace", "Patience", "Piece", "Place",
    "Reading", "Record", "Shared", "BREATH_S", "GLANCE_S", "LOOK_S", "LOCK_WAIT_S", "PORTION", "WINDOW",
    "came", "errand", "figures", "learned", "lesson", "made_with", "noted",
    "pace", "patience", "quick_bytes", "remarks", "said", "shown", "sweep", "told", "under_way",
    "walls", "written",
}  # fmt: skip
"""Whole names of classes, functions, arguments and variables; the left column of no glossary."""
RETIRED_WORDS = re.compile(
    r"\b(anew|found out|goes on|holds? \w+ (\w+ )?against|in step|nobody's|"
    r"told|under way|whoever|without a word|the register)\b",
    re.IGNORECASE,
)
"""In comments, docstrings, messages and help."""
PRIVATE = re.compile(r"(?<!\w)_(?!_(annotations|future|init|main|file|version|enter|exit)__)\w")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def names_in(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
            ):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def sentences_in(text: str, nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """(line, text) of every string, docstrings included, and of comments where one may have such a word."""
    if any("#" in line and RETIRED_WORDS.search(line) for line in text.splitlines()):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_retired_name_is_defined_and_no_retired_word_stands_in_a_sentence(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    assert not {name.lstrip("_") for name in names_in(nodes)} & RETIRED_NAMES
    assert not [
        (line, found[0], sentence)
        for line, sentence in sentences_in(text, nodes)
        if (found := RETIRED_WORDS.search(sentence))
    ]


def private_names(tree: ast.AST) -> set[str]:
    return {
        name
        for name in names_in(ast.walk(tree))
        if name.startswith("_") and not name.startswith("__")
    }


def test_tests_touch_no_private_name_of_the_package() -> None:
    ours = set().union(*(private_names(ast.parse(path.read_text("utf-8"))) for path in modules()))
    touched = []
    for path in sorted(TESTS.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not PRIVATE.search(text):
            continue  # no name that could be found
        tree = ast.parse(text)
        not_its_own = ours - private_names(tree)
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "graders_engine"
            ):
                names = [alias.name for alias in node.names if alias.name.startswith("_")]
            elif isinstance(node, ast.Attribute) and node.attr in not_its_own:
                names = [node.attr]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names = re.findall(r"graders_engine[\w.]*\.(_[a-z]\w*)", node.value)
            touched += [
                f"{path.relative_to(TESTS)}: {name}" for name in names if name != "__version__"
            ]
    assert not touched
