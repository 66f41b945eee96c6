"""Follows the expressions of a source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from graders_engine.preflight.source_flow.notes import Notes
from graders_engine.preflight.source_flow.values import (
    UNKNOWN,
    Env,
    Function,
    Value,
    either,
    made_of,
    with_chance,
)

_MOST_ELEMENTS = 12
"""Longest written list whose elements are followed one by one."""


class Expressions(Notes):
    """Says what an expression may be, and records what it reads on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: dict[str, Value] = {}
        self._kinds: dict[type[ast.expr], Callable[..., Value]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Subscript: self._subscript,
            ast.Call: self.called,
            ast.BoolOp: self._bool_op,
            ast.IfExp: self._if_exp,
            ast.Compare: self._compare,
            ast.NamedExpr: self._named,
            ast.Lambda: self._lambda,
            ast.List: self._elements,
            ast.Tuple: self._elements,
            ast.Set: self._elements,
            ast.JoinedStr: self._joined,
            ast.BinOp: self._bin_op,
            ast.UnaryOp: self._unary,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.DictComp: self._comprehension,
        }

    def value(self, node: ast.expr | None, env: Env) -> Value:
        """What an expression may be."""
        if node is None:
            return UNKNOWN
        self.step()
        follow = self._kinds.get(type(node))
        if follow is not None:
            return follow(node, env)
        parts = [self.value(part, env) for part in _parts(node)]
        self.used(*parts)
        return made_of(*parts)

    def called(self, node: ast.Call, env: Env) -> Value:
        """What a call gives."""
        raise NotImplementedError

    def assign(self, target: ast.expr, value: Value, env: Env) -> None:
        """Bind what stands on the left of `=`."""
        value = with_chance(value, self.control)
        if isinstance(target, ast.Name):
            env.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            given = value.elements if len(value.elements) == len(target.elts) else ()
            if not given:
                self.used(value)
            for position, part in enumerate(target.elts):
                self.assign(part, given[position] if given else made_of(value), env)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, made_of(value), env)
        elif isinstance(target, ast.Subscript):
            self._store(target, value, env)
        elif isinstance(target, ast.Attribute):
            self.value(target.value, env)
            known = self.attributes.get(target.attr)
            self.attributes[target.attr] = value if known is None else either((known, value))

    def _store(self, target: ast.Subscript, value: Value, env: Env) -> None:
        holder, key = self.value(target.value, env), self.value(target.slice, env)
        self.used(value)
        for text in key.texts:
            self.handled(holder, text)
        if isinstance(target.value, ast.Name) and (known := env.find(target.value.id)):
            env.names[target.value.id] = with_chance(known, value.chance | key.chance)

    def _constant(self, node: ast.Constant, env: Env) -> Value:
        if not isinstance(node.value, str):
            return UNKNOWN
        text = frozenset({node.value})
        return Value(texts=text, starts=text)

    def _name(self, node: ast.Name, env: Env) -> Value:
        found = env.find(node.id)
        return Value(module=node.id) if found is None else found

    def _attribute(self, node: ast.Attribute, env: Env) -> Value:
        holder = self.value(node.value, env)
        if holder.module:
            return Value(module=f"{holder.module}.{node.attr}")
        if holder.refs:
            self.used(holder)
            return made_of(holder)
        return either([known, made_of(holder)]) if (
            known := self.attributes.get(node.attr)
        ) else Value(derived=holder.derived, chance=holder.chance, starts=holder.starts)  # fmt: skip

    def _subscript(self, node: ast.Subscript, env: Env) -> Value:
        holder, key = self.value(node.value, env), self.value(node.slice, env)
        return self.element(node, holder, key, needed=True)

    def element(self, node: ast.expr, holder: Value, key: Value, *, needed: bool) -> Value:
        """What stands under a key, which is recorded as read."""
        if holder.elements and isinstance(node, ast.Subscript):
            return self._numbered(node.slice, holder)
        if not key.texts:
            self.used(holder)
            return made_of(holder, key)
        needed = needed and len(key.texts) == 1
        for text in key.texts:
            self.read(holder, text, node.lineno, needed=needed)
        found = either(holder.step(text, optional=not needed) for text in sorted(key.texts))
        return with_chance(found, key.chance)

    def _numbered(self, index: ast.expr, holder: Value) -> Value:
        number = index.value if isinstance(index, ast.Constant) else None
        if isinstance(number, int) and -len(holder.elements) <= number < len(holder.elements):
            return holder.elements[number]
        return either(holder.elements)

    def _bool_op(self, node: ast.BoolOp, env: Env) -> Value:
        found: list[Value] = []
        conditions = 0
        for part in node.values:
            value = self.value(part, env)
            found.append(value)
            if self.on_item(part, value):
                conditions += 1
                self.conditional += 1
        self.conditional -= conditions
        if isinstance(node.op, ast.And):
            return made_of(*found)
        # `item or {}` is the item: an empty one stands for no row.
        known = [
            value
            for part, value in zip(node.values, found, strict=True)
            if not _is_literal(part) or value.texts
        ]
        return either(known)

    def on_item(self, test: ast.expr, value: Value) -> bool:
        """Whether a condition tells kinds of rows apart: it looks at fields of the item, and no more."""
        return value.roots == {"item"}

    def _if_exp(self, node: ast.IfExp, env: Env) -> Value:
        test = self.value(node.test, env)
        condition = self.on_item(node.test, test)
        self.conditional += condition
        found = either([self.value(node.body, env), self.value(node.orelse, env)])
        self.conditional -= condition
        return with_chance(found, self.choosing(node.test, test.chance))

    def _compare(self, node: ast.Compare, env: Env) -> Value:
        values = [self.value(part, env) for part in (node.left, *node.comparators)]
        for operator, left, right in zip(node.ops, values, values[1:], strict=False):
            if isinstance(operator, (ast.In, ast.NotIn)) and right.refs and left.texts:
                for text in left.texts:
                    self.read(right, text, node.lineno, needed=False)
                    self.handled(right, text)
                found = [right.step(text, optional=True) for text in sorted(left.texts)]
                return made_of(*found)
            if not isinstance(operator, (ast.Is, ast.IsNot)):
                self.used(left, right)
        made = made_of(*values)
        if any(value.texts for value in values):
            return made
        return replace(made, chance=self.without_names(made.chance))  # a mark is looked for

    def _named(self, node: ast.NamedExpr, env: Env) -> Value:
        found = self.value(node.value, env)
        self.assign(node.target, found, env)
        return found

    def _lambda(self, node: ast.Lambda, env: Env) -> Value:
        inner = Env(env, {argument.arg: UNKNOWN for argument in arguments_of(node.args)})
        return Value(function=Function(node, env), chance=self.value(node.body, inner).chance)

    def _elements(self, node: ast.List | ast.Tuple | ast.Set, env: Env) -> Value:
        found = tuple(self.value(part, env) for part in node.elts)
        made = made_of(*found)
        starred = any(isinstance(part, ast.Starred) for part in node.elts)
        deep = any(inner.elements for part in found for inner in part.elements)
        if len(found) > _MOST_ELEMENTS or starred or deep:
            self.used(*found)
            return made
        return Value(derived=made.derived, chance=made.chance, elements=found)

    def _joined(self, node: ast.JoinedStr, env: Env) -> Value:
        found = [
            self.value(part.value if isinstance(part, ast.FormattedValue) else part, env)
            for part in node.values
        ]
        self.used(*found)
        made = made_of(*found)
        starts = found[0].starts if found else frozenset()
        return Value(derived=made.derived, chance=made.chance, starts=starts)

    def _bin_op(self, node: ast.BinOp, env: Env) -> Value:
        left, right = self.value(node.left, env), self.value(node.right, env)
        if isinstance(node.op, ast.BitOr) and (left.refs or right.refs):
            return either([left, right])  # `item | {}`
        self.used(left, right)
        made = made_of(left, right)
        joins = isinstance(node.op, (ast.Add, ast.Div))
        return Value(
            derived=made.derived, chance=made.chance, starts=left.starts if joins else frozenset()
        )

    def _unary(self, node: ast.UnaryOp, env: Env) -> Value:
        return made_of(self.value(node.operand, env))

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, env: Env
    ) -> Value:
        made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        return self._generated(node.generators, made, Env(env), 0)

    def _generated(
        self, generators: Sequence[ast.comprehension], made: list[ast.expr], env: Env, at: int
    ) -> Value:
        if at == len(generators):
            found = [self.value(part, env) for part in made]
            self.used(*found)
            return made_of(*found)
        part = generators[at]
        results = []
        over = self.value(part.iter, env)
        for element in self.each(over):
            self.assign(part.target, element, env)
            tests = [self.value(test, env) for test in part.ifs]
            conditions = sum(
                self.on_item(test, value) for test, value in zip(part.ifs, tests, strict=True)
            )
            self.conditional += conditions
            results.append(self._generated(generators, made, env, at + 1))
            self.conditional -= conditions
            results += [made_of(test) for test in tests]
        return made_of(over, *results)

    def each(self, over: Value) -> Iterator[Value]:
        """What a loop's variable may be, one after the other."""
        if over.elements:
            yield from over.elements
        else:
            self.used(over)
            yield made_of(over)


def arguments_of(arguments: ast.arguments) -> list[ast.arg]:
    """All arguments of a function."""
    more = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *more]


def _parts(node: ast.AST) -> Iterator[ast.expr]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield child
        elif isinstance(child, ast.keyword):
            yield child.value


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, (ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.Set))
