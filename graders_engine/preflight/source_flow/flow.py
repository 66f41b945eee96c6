"""Follows a source: its statements, from the top, and then its `grade`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from graders_engine.preflight.source_flow import sources
from graders_engine.preflight.source_flow.calls import Calls
from graders_engine.preflight.source_flow.notes import ROOTS
from graders_engine.preflight.source_flow.values import (
    UNKNOWN,
    Env,
    Function,
    Value,
    either,
    made_of,
    with_chance,
)

_KEY_ERRORS = ("KeyError", "LookupError", "IndexError")
_MOST_TURNS = 2
"""How often the body of a loop is followed: what it binds at its end is seen at its start."""


class Flow(Calls):
    """Follows statements.

    Attributes:
        results: what the functions that are being followed have returned so far, the innermost last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.results: list[list[Value]] = []
        self._statements: dict[type[ast.stmt], Callable[..., bool]] = {
            ast.Assign: self._assign,
            ast.AnnAssign: self._assign_one,
            ast.AugAssign: self._add,
            ast.Return: self._return,
            ast.If: self._if,
            ast.For: self._for,
            ast.AsyncFor: self._for,
            ast.While: self._while,
            ast.Try: self._try,
            ast.With: self._with,
            ast.FunctionDef: self._define,
            ast.AsyncFunctionDef: self._define,
            ast.ClassDef: self._class,
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
            ast.Match: self._match,
        }

    def follow(self, tree: ast.Module) -> bool:
        """Follow a module and its `grade`; whether there is one that can be followed."""
        names = Env(None)
        self.block(tree.body, names)
        grade = names.names.get("grade", UNKNOWN).function
        if grade is None or (not isinstance(grade.node, ast.Lambda) and grade.node.decorator_list):
            return False
        found = self.enter(grade, (ROOTS["sample"], ROOTS["item"]), {})
        self.used(found)
        self.decided |= found.chance
        return True

    def run(self, function: Function, env: Env) -> Value:
        """What a function gives whose arguments stand in `env`."""
        if isinstance(function.node, ast.Lambda):
            return self.value(function.node.body, env)
        self.results.append([])
        self.block(function.node.body, env)
        return either(self.results.pop())

    def block(self, statements: Sequence[ast.stmt], env: Env) -> bool:
        """Follow statements; whether what comes after them is reached."""
        before = self.conditional
        for statement in statements:
            self.step()
            follow = self._statements.get(type(statement))
            goes_on = follow(statement, env) if follow else self._other(statement, env)
            if not goes_on:
                self.conditional = before
                return False
        self.conditional = before
        return True

    def _other(self, statement: ast.stmt, env: Env) -> bool:
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.expr):
                self.value(child, env)
        return not isinstance(statement, (ast.Raise, ast.Continue, ast.Break))

    def _assign(self, statement: ast.Assign, env: Env) -> bool:
        value = self.value(statement.value, env)
        for target in statement.targets:
            self.assign(target, value, env)
        return True

    def _assign_one(self, statement: ast.AnnAssign, env: Env) -> bool:
        if statement.value is not None:
            self.assign(statement.target, self.value(statement.value, env), env)
        return True

    def _add(self, statement: ast.AugAssign, env: Env) -> bool:
        found = self.value(statement.value, env)
        if isinstance(statement.target, ast.Name):
            found = made_of(found, env.find(statement.target.id) or UNKNOWN)
        self.assign(statement.target, found, env)
        return True

    def _return(self, statement: ast.Return, env: Env) -> bool:
        value = self.value(statement.value, env)
        if self.results:
            self.results[-1].append(with_chance(value, self.control))
        return False

    def _if(self, statement: ast.If, env: Env) -> bool:
        test = self.value(statement.test, env)
        condition, control = self.on_item(statement.test, test), self.control
        self.control |= self.choosing(statement.test, test.chance)
        self.conditional += condition
        ways = [env.copy(), env.copy()]
        reached = [
            self.block(body, way)
            for body, way in zip((statement.body, statement.orelse), ways, strict=True)
        ]
        self.conditional -= condition
        self.control = control
        self._merge(env, [way for way, goes_on in zip(ways, reached, strict=True) if goes_on])
        if condition and not all(reached) and not _is_emptiness(statement.test):
            self.conditional += 1  # until the end of the block: rows of a kind have left it
        return any(reached)

    def _merge(self, env: Env, ways: Sequence[Env]) -> None:
        """The names after one of several ways."""
        if ways:
            names = dict.fromkeys(name for way in ways for name in way.names)
            env.names = {
                name: either([way.names[name] for way in ways if name in way.names])
                for name in names
            }

    def _for(self, statement: ast.For | ast.AsyncFor, env: Env) -> bool:
        over = self.value(statement.iter, env)
        elements = list(self.each(over))
        for _ in range(_MOST_TURNS if len(elements) == 1 else 1):
            for element in elements:
                way = env.copy()
                self.assign(statement.target, with_chance(element, over.chance), way)
                self.block(statement.body, way)
                self._merge(env, [env.copy(), way])
        self.block(statement.orelse, env)
        return True

    def _while(self, statement: ast.While, env: Env) -> bool:
        control = self.control
        for _ in range(_MOST_TURNS):
            test = self.value(statement.test, env)
            self.control |= self.choosing(statement.test, test.chance)
            way = env.copy()
            self.block(statement.body, way)
            self._merge(env, [env.copy(), way])
        self.control = control
        self.block(statement.orelse, env)
        return True

    def _try(self, statement: ast.Try, env: Env) -> bool:
        before = env.copy()
        guard = any(self._catches_a_key(handler, env) for handler in statement.handlers)
        self.guarded += guard
        reached = self.block(statement.body, env)
        self.guarded -= guard
        if reached:
            reached = self.block(statement.orelse, env)
        ways = [env.copy()] if reached else []
        for handler in statement.handlers:
            way = before.copy()
            self._merge(way, [before, env.copy()])
            if handler.name:
                way.names[handler.name] = UNKNOWN
            self.conditional += guard
            if self.block(handler.body, way):
                ways.append(way)
            self.conditional -= guard
        self._merge(env, ways)
        return self.block(statement.finalbody, env) and bool(ways)

    def _catches_a_key(self, handler: ast.ExceptHandler, env: Env) -> bool:
        """Whether a handler is there for a missing key: by its exception, or as it looks at the row."""
        caught = ast.walk(handler.type) if handler.type else ()
        if any(isinstance(node, ast.Name) and node.id in _KEY_ERRORS for node in caught):
            return True
        names = (
            node.id
            for part in handler.body
            for node in ast.walk(part)
            if isinstance(node, ast.Name)
        )
        found = (env.find(name) for name in names)
        return any(value is not None and "item" in {r.root for r in value.refs} for value in found)

    def _with(self, statement: ast.With, env: Env) -> bool:
        for entered in statement.items:
            value = self.value(entered.context_expr, env)
            if entered.optional_vars is not None:
                self.assign(entered.optional_vars, made_of(value), env)
        return self.block(statement.body, env)

    def _define(self, statement: ast.FunctionDef | ast.AsyncFunctionDef, env: Env) -> bool:
        for decorator in statement.decorator_list:
            self.value(decorator, env)
        env.names[statement.name] = Value(function=Function(statement, env))
        return True

    def _class(self, statement: ast.ClassDef, env: Env) -> bool:
        for part in statement.body:
            if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                plain = {getattr(one, "id", "") for one in part.decorator_list}
                method = Function(part, env, method="staticmethod" not in plain)
                self.methods.setdefault(part.name, []).append(method)
                if part.name == "__init__":
                    env.names[statement.name] = Value(function=method)
        env.names.setdefault(statement.name, UNKNOWN)
        names = Env(env)
        self.block([s for s in statement.body if not isinstance(s, ast.FunctionDef)], names)
        self.attributes |= names.names
        return True

    def _import(self, statement: ast.Import, env: Env) -> bool:
        for alias in statement.names:
            whole = alias.asname is not None
            name = alias.asname or alias.name.partition(".")[0]
            env.names[name] = Value(module=alias.name if whole else name)
        return True

    def _import_from(self, statement: ast.ImportFrom, env: Env) -> bool:
        for alias in statement.names:
            if alias.name == "*":
                names = sources.exported(statement.module or "")
                env.names |= {name: Value(module=f"{statement.module}.{name}") for name in names}
                continue
            env.names[alias.asname or alias.name] = Value(module=f"{statement.module}.{alias.name}")
        return True

    def _match(self, statement: ast.Match, env: Env) -> bool:
        subject = self.value(statement.subject, env)
        ways = [env.copy()]
        for case in statement.cases:
            way = env.copy()
            self._pattern(case.pattern, subject, way)
            self.conditional += 1
            if case.guard is not None:
                self.value(case.guard, way)
            if self.block(case.body, way):
                ways.append(way)
            self.conditional -= 1
        self._merge(env, ways)
        return True

    def _pattern(self, pattern: ast.pattern, subject: Value, env: Env) -> None:
        if isinstance(pattern, ast.MatchMapping):
            for key, inner in zip(pattern.keys, pattern.patterns, strict=True):
                found = self.element(key, subject, self.value(key, env), needed=False)
                self._pattern(inner, found, env)
        elif isinstance(pattern, ast.MatchAs):
            if pattern.pattern is not None:
                self._pattern(pattern.pattern, subject, env)
            if pattern.name:
                env.names[pattern.name] = subject
        else:
            self.used(subject)
            for node in ast.walk(pattern):
                name = getattr(node, "name", None) or getattr(node, "rest", None)
                if isinstance(name, str):
                    env.names[name] = made_of(subject)


def _is_emptiness(test: ast.expr) -> bool:
    """Whether a condition says that something is missing or empty, as in `if not answer: return 0.0`."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return all(map(_is_emptiness, test.values))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return not isinstance(test.operand, ast.Compare)
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Is, ast.Eq)):
        other = test.comparators[0]
        return isinstance(other, ast.Constant) and other.value in (None, "", 0)
    return False
