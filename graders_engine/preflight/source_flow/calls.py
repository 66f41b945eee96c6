"""Follows the calls of a source: into its own functions, and as far as Python's library is known."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from graders_engine.preflight.source_flow import sources
from graders_engine.preflight.source_flow.expressions import Expressions
from graders_engine.preflight.source_flow.values import (
    UNKNOWN,
    Env,
    Function,
    Value,
    either,
    made_of,
    with_chance,
)

_GETTERS = ("get", "pop", "setdefault", "__getitem__")
_SAME = frozenset({"dict", "copy.copy", "copy.deepcopy", "json.loads", "types.MappingProxyType"})
"""Functions whose value has the keys of their argument."""
_HARMLESS = frozenset({"isinstance", "len", "bool", "print", "type", "id", "hasattr", "callable"})
"""Functions that see no field of their arguments."""
_MOST_DEPTH = 12


class Calls(Expressions):
    """Follows calls."""

    def __init__(self) -> None:
        super().__init__()
        self.methods: dict[str, list[Function]] = {}
        self._known: dict[object, Value] = {}
        self._depth = 0

    def run(self, function: Function, env: Env) -> Value:
        """What a function gives whose arguments stand in `env`."""
        raise NotImplementedError

    def called(self, node: ast.Call, env: Env) -> Value:
        """What a call gives."""
        if isinstance(node.func, ast.Attribute):
            holder = self.value(node.func.value, env)
            if not holder.module:
                return self._method(node, node.func, holder, env)
        called = self.value(node.func, env)
        given = [self.value(argument, env) for argument in node.args]
        named = {word.arg: self.value(word.value, env) for word in node.keywords}
        if called.function is not None:
            return self.enter(called.function, given, named)
        found = self._library(node, called, given, named)
        if called.module in sources.SHUFFLES:
            for argument in node.args:
                if isinstance(argument, ast.Name) and (known := env.find(argument.id)):
                    env.names[argument.id] = with_chance(known, found.chance)
        return found

    def enter(
        self, function: Function, given: Sequence[Value], named: dict[str | None, Value]
    ) -> Value:
        """What one of the source's functions gives for these arguments."""
        env = Env(function.around)
        self._bind(function, given, named, env)
        state = (self.conditional > 0, self.guarded > 0, self.control)
        key = (id(function.node), tuple(sorted(env.names.items(), key=lambda item: item[0])), state)
        if key in self._known:
            return self._known[key]
        self._known[key] = UNKNOWN  # where it calls itself
        if self._depth >= _MOST_DEPTH:
            self.used(*env.names.values())
            return made_of(*env.names.values())
        self._depth += 1
        found = self._known[key] = self.run(function, env)
        self._depth -= 1
        return found

    def _bind(
        self,
        function: Function,
        given: Sequence[Value],
        named: dict[str | None, Value],
        env: Env,
    ) -> None:
        arguments = function.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        if function.method and positional:
            env.names[positional.pop(0).arg] = UNKNOWN
        defaults = [self.value(node, function.around) for node in arguments.defaults]
        values = dict(zip([one.arg for one in positional][::-1], defaults[::-1], strict=False))
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            values[one.arg] = self.value(default, function.around)
        values |= dict(zip((one.arg for one in positional), given, strict=False))
        for word, value in named.items():
            if word is None:
                self.used(value)
            else:
                values[word] = value
        known = [one.arg for one in (*positional, *arguments.kwonlyargs)]
        env.names |= {name: values.get(name, UNKNOWN) for name in known}
        if arguments.vararg:
            more = tuple(given[len(positional) :])
            env.names[arguments.vararg.arg] = Value(elements=more)
        if arguments.kwarg:
            env.names[arguments.kwarg.arg] = UNKNOWN

    def _method(self, node: ast.Call, func: ast.Attribute, holder: Value, env: Env) -> Value:
        """A call of a method of something that is no module."""
        given = [self.value(argument, env) for argument in node.args]
        named = {word.arg: self.value(word.value, env) for word in node.keywords}
        name = func.attr
        if holder.refs and name in _GETTERS and given:
            return self._get(node, name, holder, given)
        if holder.refs and name == "copy":
            return holder
        self._open_method(node, name, holder, given)
        methods = self.methods.get(name, [])
        if not holder.refs and len(methods) == 1:
            return self.enter(methods[0], given, named)
        self.used(holder, *given, *named.values())
        made = made_of(holder, *given, *named.values())
        kept = holder.chance | self.without_names(made.chance)
        made = replace(made, chance=frozenset() if name in sources.OPENING_METHODS else kept)
        if isinstance(func.value, ast.Name) and (known := env.find(func.value.id)):
            env.names[func.value.id] = with_chance(known, made.chance)  # such as `list.append`
        return Value(derived=made.derived, chance=made.chance, starts=holder.starts)

    def _get(self, node: ast.Call, name: str, holder: Value, given: Sequence[Value]) -> Value:
        needed = name == "__getitem__" or (name == "pop" and len(given) == 1)
        found = self.element(node, holder, given[0], needed=needed)
        if name == "setdefault":
            for text in given[0].texts:
                self.handled(holder, text)
        for default in given[1:]:
            self.used(default)
            if default.refs:
                found = either([found, default])
            found = with_chance(found, default.chance)
        return found

    def _open_method(
        self, node: ast.Call, name: str, holder: Value, given: Sequence[Value]
    ) -> None:
        if name in sources.MAKING_METHODS:
            self.makes_files()
        if name in sources.OPENING_METHODS:
            self._opens(holder, node.lineno, relative=name in ("read_text", "read_bytes"))

    def _library(
        self,
        node: ast.Call,
        called: Value,
        given: Sequence[Value],
        named: dict[str | None, Value],
    ) -> Value:
        """A call of a function that the source does not define."""
        name, everything = called.module, (*given, *named.values())
        if name in _SAME and len(given) == 1:
            self.used(*named.values())
            return given[0]
        if name not in _HARMLESS:
            self.used(called, *everything)
        self._outside(node, name, given, named)
        made = made_of(called, *everything)
        starts = given[0].starts if given and name in sources.PATHS else frozenset()
        # What stands in a file does not depend on the file's name.
        kept = frozenset() if sources.opens(name) or sources.makes_files(name) else made.chance
        chance = kept | self._chance(node, name, everything)
        return Value(derived=made.derived, chance=chance, starts=starts)

    def _chance(self, node: ast.Call, name: str, given: Sequence[Value]) -> frozenset[int]:
        seeded = bool(given) and not given[0].chance and not _is_none(node.args[:1])
        if name in sources.SEEDS or name in sources.GENERATORS:
            if seeded:
                self.seed(name.rpartition(".")[0])
                return frozenset()
            return self.call(name, node.lineno) if name in sources.GENERATORS else frozenset()
        return self.call(name, node.lineno) if sources.family(name) else frozenset()

    def _outside(
        self,
        node: ast.Call,
        name: str,
        given: Sequence[Value],
        named: dict[str | None, Value],
    ) -> None:
        if sources.makes_files(name):
            self.makes_files()
            words = [*given[:1], *(given[0].elements if given else ())]
            texts = [text for word in words for text in sorted(word.starts)]
            if program := sources.needs_network(texts):
                self.open([program], node.lineno, "program")
        if sources.opens(name):
            mode = named.get("mode", given[1] if len(given) > 1 else UNKNOWN)
            if any(set(text) & set("wax+") for text in mode.texts if len(text) < 4):
                self.makes_files()
            for path in given[:2]:
                self._opens(path, node.lineno, relative=name == "open" and path is given[0])

    def _opens(self, path: Value, line: int, *, relative: bool) -> None:
        self.open(filter(sources.is_outside, sorted(path.starts)), line, "absolute")
        if relative:
            names = [text for text in path.texts if text and not sources.is_absolute(text)]
            self.open(sorted(names), line, "relative")


def _is_none(nodes: Sequence[ast.expr]) -> bool:
    return any(isinstance(node, ast.Constant) and node.value is None for node in nodes)
