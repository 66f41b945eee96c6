"""Formulas: `calculate_output` compiled once and evaluated once per row.

The language is that of the API guide: `+ - * / ^`, parentheses, numbers, the keys of the sub-graders and a
few functions. `^` is exponentiation: it binds tighter than unary minus and is right-associative. Every
number is a double.

simpleeval does the arithmetic, on text that this module has tokenized and rewritten: numbers as float
literals, keys as `v0`, `v1`, …, `^` as `**`. So only the grammar below reaches Python's parser, and no
evaluation can build a big integer (simpleeval alone would compute `4000000**4000000`)::

    sum      = product { ("+" | "-") product }
    product  = signed { ("*" | "/") signed }
    signed   = ("+" | "-") signed | power
    power    = operand [ "^" signed ]
    operand  = number | key | function "(" sum { "," sum } ")" | "(" sum ")"

A key is a word of any script; a word that starts with a digit is one where a grader has that key.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import simpleeval

from graders_engine.errors import FormulaFailure
from graders_engine.language import formula_advice
from graders_engine.language.formula_functions import FUNCTIONS, OPERATORS
from graders_engine.language.formula_tokens import Token, is_name, skip_blanks, token_at
from graders_engine.language.span import SourceError, Span, SyntaxIssue
from graders_engine.language.spelling import nearest
from graders_engine.language.syntax_tree import module_tree
from graders_engine.language.words import code_points, same_looking, word_end

MAX_LENGTH = 10_000
"""Longest formula, in characters."""
MAX_TOKENS = 1_000
"""Most tokens in a formula; this keeps Python's parser far from its own limits."""
MAX_DEPTH = 120
"""Deepest nesting, chained operators included; a level takes about three of Python's 1,000 stack frames."""


_NODES = (ast.Expr, ast.Name, ast.UnaryOp, ast.BinOp, ast.Call, ast.Constant)

_CALL = re.compile(r"\s*\(")


class Formula:
    """A compiled formula.

    Attributes:
        source: the text it was compiled from.
        names: the keys it uses, in the order of their first use.
        uses: every place where it uses a key, in source order.
    """

    __slots__ = ("_evaluator", "_tree", "_variables", "names", "source", "uses")

    def __init__(self, source: str, python: str, uses: Sequence[Token]) -> None:
        self.source = source
        self.uses = tuple(uses)
        self.names = names = tuple(dict.fromkeys(use.text for use in uses))
        self._variables = [(f"v{position}", name) for position, name in enumerate(names)]
        self._tree = _syntax_tree(source, python)
        self._evaluator = simpleeval.SimpleEval(
            operators=OPERATORS,
            functions={name: function.call for name, function in FUNCTIONS.items()},
            names={},
        )
        self._evaluator.nodes = {node: self._evaluator.nodes[node] for node in _NODES}

    @classmethod
    def compile(cls, source: str, keys: Collection[str] | None) -> Formula:
        """Compile a formula.

        Args:
            source: the text.
            keys: the names it may use; None allows every name.

        Raises:
            SourceError: with kind "syntax", "name", "function", "arity" or "too_complex".
        """
        if len(source) > MAX_LENGTH:
            reason = (
                f"the formula is {len(source)} characters long; at most {MAX_LENGTH} are allowed"
            )
            raise SourceError(
                [SyntaxIssue(reason, Span(source, MAX_LENGTH, MAX_LENGTH + 1), "too_complex")]
            )
        reader = _Reader(source, keys)
        python = reader.translate()
        if reader.issues:
            raise SourceError(reader.issues)
        return cls(source, python, reader.uses)

    @property
    def tree(self) -> ast.expr:
        """Its syntax tree in Python; the names in it are those of `key_of`."""
        assert isinstance(self._tree, ast.Expr)  # noqa: S101 - the grammar has nothing else
        return self._tree.value

    def key_of(self, node: ast.Name) -> str:
        """The key that a name in `tree` stands for."""
        return self.names[int(node.id.removeprefix("v"))]

    def evaluate(self, values: Mapping[str, float]) -> float:
        """The formula's value for these numbers, always finite.

        Raises:
            FormulaFailure: it has no finite value.
        """
        self._evaluator.names = {
            variable: float(values[name]) for variable, name in self._variables
        }
        try:
            value: float = self._evaluator.eval(self.source, previously_parsed=self._tree)
        except ZeroDivisionError:
            raise self._no_value("zero_division", "a division by zero", values) from None
        except OverflowError:
            raise self._no_value(
                "overflow", "a number beyond the range of a double", values
            ) from None
        except ValueError:  # what the math module raises for sqrt(-1), log(0), (-8)^0.5
            raise self._no_value("domain", "a function outside its domain", values) from None
        return value

    def _no_value(self, kind: str, what: str, values: Mapping[str, float]) -> FormulaFailure:
        numbers = ", ".join(f"{name} = {values[name]!r}" for name in self.names)
        where = f" with {numbers}" if numbers else ""
        return FormulaFailure(kind, f"`{self.source}` has no value{where}: {what}")

    def __repr__(self) -> str:
        return f"Formula({self.source!r})"


def _syntax_tree(source: str, python: str) -> ast.stmt:
    level: list[ast.AST]
    try:
        tree = module_tree(python).body[0]
    except (MemoryError, RecursionError):  # raised when the stack of Python's parser is full
        level = []
    else:
        level = [tree]
        for _ in range(MAX_DEPTH):
            level = [child for node in level for child in ast.iter_child_nodes(node)]
            if not level:
                return tree
    reason = f"the formula nests more than {MAX_DEPTH} levels deep (a chain of operators counts)"
    raise SourceError([SyntaxIssue(reason, Span(source, 0, len(source)), "too_complex")])


@dataclass(slots=True)
class _Open:
    """An open parenthesis: where it, or its function's name, starts, and the function it belongs to."""

    start: int
    function: str
    arguments: int = 0


class _Reader:
    """Checks the order of the tokens and translates each of them to Python."""

    def __init__(self, source: str, keys: Collection[str] | None) -> None:
        self.source, self.keys = source, keys
        self.unnameable = formula_advice.unnameable(keys or ())
        self.nameable = [key for key in keys or () if key not in self.unnameable]
        self.uses: list[Token] = []
        self.numbers: dict[str, int] = {}
        self.issues: list[SyntaxIssue] = []
        self.python: list[str] = []
        self.open: list[_Open] = []
        self.called: Token | None = None
        self.wants_operand = True

    def translate(self) -> str:
        """The formula in Python; only meaningful when `issues` is empty."""
        try:
            for token in self.tokens():
                (self.operand if self.wants_operand else self.operator)(token)
            if self.wants_operand:
                end = len(self.source)
                self.stop("the formula ends where a value was expected", end, end)
            if self.open:
                start = self.open[-1].start
                self.stop("`(` is never closed", start, start + 1)
        except _Stop:
            pass
        return " ".join(self.python)

    def tokens(self) -> Iterator[Token]:
        count, at = 0, skip_blanks(self.source, 0)
        while at < len(self.source):
            if self.wants_operand and (key := self.unnameable_key(at)):
                at = skip_blanks(self.source, at + len(key))
                continue
            token = token_at(self.source, at, self.is_key)
            mark, advice = formula_advice.foreign_mark(self.source, at)
            if mark and token.kind != "number":
                if quoted := formula_advice.quoted_key(self.source, at, self.unnameable):
                    advice = formula_advice.how_to_rename(quoted, self.keys or ())
                    advice = f"no formula can name `{quoted}`: {advice}"
                self.stop(f"`{mark}` is not part of the language: {advice}", at, at + len(mark))
            if token.kind == "other":
                self.stop(f"`{token.text}` is not part of the language", at, token.end)
            count += 1
            if count > MAX_TOKENS:
                reason = f"the formula has more than {MAX_TOKENS} parts"
                self.stop(reason, at, token.end, "too_complex")
            at = skip_blanks(self.source, token.end)
            yield token

    def is_key(self, word: str) -> bool:
        """Whether a word that starts with a digit is a key, not a number."""
        return is_name(word) and (self.keys is None or word in self.keys)

    def unnameable_key(self, at: int) -> str:
        """The key that stands here though no formula can name it; it is reported, and read as a value."""
        key = next((key for key in self.unnameable if self.source.startswith(key, at)), "")
        if not key:
            return ""
        end = at + len(key)
        token = token_at(self.source, at, self.is_key)
        # `a-b` is a difference where there are graders `a` and `b` as well.
        plain = token.text in self.nameable or (token.kind == "number" and token.text != key)
        if plain or word_end(self.source, end) > end:
            return ""
        minus = ", where `-` is minus" if "-" in key else ""
        advice = formula_advice.how_to_rename(key, self.keys or ())
        reason = f"the key `{key}` cannot stand in a formula{minus}: rename it; {advice}"
        self.issues.append(SyntaxIssue(reason, Span(self.source, at, end), "name"))
        self.write("0.0", wants_operand=False)
        return key

    def operand(self, token: Token) -> None:
        text = token.text
        if token.kind == "number":
            if math.isinf(float(text)):
                self.stop(f"`{text}` is beyond the range of a double", token.start, token.end)
            self.write(repr(float(text)), wants_operand=False)
        elif token.kind == "name":
            self.name(token)
        elif text == "(":
            self.enter(token)
        elif text in "+-":
            self.write(text, wants_operand=True)
        elif text == ")" and self.open and self.open[-1].function and self.python[-1] == "(":
            self.leave(token)
        else:
            self.stop(f"a value was expected, but `{text}` was found", token.start, token.end)

    def operator(self, token: Token) -> None:
        text = token.text
        if text == ")":
            self.leave(token)
        elif text == "," and self.open and self.open[-1].function:
            self.open[-1].arguments += 1
            self.write(",", wants_operand=True)
        elif token.kind == "mark" and text not in "(,":
            self.write("**" if text == "^" else text, wants_operand=True)
        else:
            advice = formula_advice.foreign_word(text)
            reason = f"an operator was expected, but `{text}` was found"
            reason += f": {advice}" if advice else ""
            self.stop(reason, token.start, token.end)

    def name(self, token: Token) -> None:
        name = token.text
        if _CALL.match(self.source, token.end):
            if name not in FUNCTIONS:
                reason = f"`{name}` is not a function (there are: {', '.join(FUNCTIONS)})"
                advice = formula_advice.foreign_function(name)
                self.note(token, reason, "function", FUNCTIONS, advice)
            # An unknown function is read like a known one, so that its arguments are checked too.
            self.called = token
            self.write(name, wants_operand=True)
            return
        if self.keys is not None and name not in self.keys:
            if advice := formula_advice.foreign_word(name):
                reason = f"`{name}` is not part of the language: {advice}"
                self.stop(reason, token.start, token.end)
            known = f" (there are: {', '.join(self.keys)})" if self.keys else ""
            meant = "" if nearest(name, self.nameable) else nearest(name, self.unnameable)
            if meant:
                advice = f"no formula can name `{meant}`: {formula_advice.how_to_rename(meant, self.keys)}"
            reason = f"no grader has the key `{name}`{known}"
            self.note(token, reason, "name", self.nameable, advice)
        self.uses.append(token)
        number = self.numbers.setdefault(name, len(self.numbers))
        self.write(f"v{number}", wants_operand=False)

    def enter(self, token: Token) -> None:
        if len(self.open) >= MAX_DEPTH:
            reason = f"more than {MAX_DEPTH} parentheses are open at once"
            self.stop(reason, token.start, token.end, "too_complex")
        called, self.called = self.called, None
        self.open.append(
            _Open(called.start if called else token.start, called.text if called else "")
        )
        self.write("(", wants_operand=True)

    def leave(self, token: Token) -> None:
        if not self.open:
            self.stop("`)` closes nothing", token.start, token.end)
        opened = self.open.pop()
        if function := FUNCTIONS.get(opened.function):
            count = opened.arguments + (not self.wants_operand)
            if count < function.min_arguments or (
                function.max_arguments is not None and count > function.max_arguments
            ):
                wanted = "one argument" if function.max_arguments == 1 else "at least one argument"
                given = f"{count} were" if count > 1 else "none was"
                reason = f"`{opened.function}` takes {wanted}, but {given} given"
                self.issues.append(
                    SyntaxIssue(reason, Span(self.source, opened.start, token.end), "arity")
                )
        self.write(")", wants_operand=False)

    def write(self, python: str, *, wants_operand: bool) -> None:
        self.python.append(python)
        self.wants_operand = wants_operand

    def note(
        self, token: Token, reason: str, kind: str, known: Collection[str], advice: str = ""
    ) -> None:
        """Report an issue and continue."""
        if alike := same_looking(token.text, tuple(known)):
            points = code_points(alike, token.text)
            advice = f"the key `{alike}` looks the same, but has other code points: {points}"
        elif near := nearest(token.text, known):
            advice = advice or f"did you mean `{near}`?"
        reason += f"; {advice}" if advice else ""
        self.issues.append(SyntaxIssue(reason, Span(self.source, token.start, token.end), kind))

    def stop(self, reason: str, start: int, end: int, kind: str = "syntax") -> NoReturn:
        """Report an issue after which nothing can be read."""
        self.issues.append(SyntaxIssue(reason, Span(self.source, start, end), kind))
        raise _Stop


class _Stop(Exception):
    """Ends the reading of a formula; the issue was reported before."""
