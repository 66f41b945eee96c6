"""The house keeps its order: imports point down only, and every register is complete."""

from __future__ import annotations

import ast
import re
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import graders_engine
from graders_engine import errors
from graders_engine.cli.main import COMMANDS, module_of
from graders_engine.documents.load import TEXT_FIELDS
from graders_engine.graders.base import FLAG_OF, GraderSpec
from graders_engine.graders.parse import SPECS, json_schema
from graders_engine.graders.text_similarity import MetricName
from graders_engine.language.formula_functions import FUNCTIONS
from graders_engine.metrics import METRICS
from graders_engine.outcome import Flag
from graders_engine.response import GraderErrors

ROOT = Path(graders_engine.__file__).parent
LADDER = [
    {"cli"},
    {"view"},
    {"server", "adapters", "exports", "conformance"},
    {"jobs"},
    {"evals"},
    {"report"},
    {"inference"},
    {"preflight", "training"},
    {"storage"},
    {"dataset/scoring"},
    {"dataset/results"},
    {"dataset/rows"},
    {"blocking", "statistics"},
    {"late_loop"},
    {"engine", "loop_thread"},
    {"settings_json", "single", "tables"},
    {"response", "compiled", "crew", "settings", "body_fields"},
    {"batches"},
    {"graders", "outputs", "documents"},
    {"cluster"},
    {"models", "sandbox"},
    {"language", "metrics"},
    {"examples", "home", "processes", "urls"},
    {"files"},
    {"errors"},
    {"guides", "outcome", "tasks", "version"},
    {"nothing"},
]
"""From the top down; a room may import what stands below it, and itself."""
APART = {"__init__", "__main__", "dataset/__init__"}
"""The front doors: they name what the house offers and nothing imports them."""
UPWARD = {("engine", "preflight"), ("blocking", "preflight")}
"""What looks up all the same: methods that import, when they are called, what is built on the engine."""
LEVEL = {room: level for level, rooms in enumerate(LADDER) for room in rooms}


def room_of(module: str) -> str:
    """The room of a module by its dotted name below the package; a floor of `dataset` is one of its own."""
    first, *deeper = module.split(".")
    return f"{first}/{deeper[0]}" if first == "dataset" and deeper else first


def module_of_file(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {
            room_of(name.partition(".")[2]) for name in names if name.startswith("graders_engine.")
        }
    return rooms


def test_imports_point_down_only() -> None:
    upward = [
        f"{path.relative_to(ROOT)} imports {imported}"
        for path in ROOT.rglob("*.py")
        if (room := room_of(module_of_file(path))) not in APART
        for imported in imported_rooms(path) - {room}
        if LEVEL[imported] <= LEVEL[room] and (room, imported) not in UPWARD
    ]
    assert not upward


def test_every_room_has_its_place_on_the_ladder() -> None:
    rooms = {room_of(module_of_file(path)) for path in ROOT.rglob("*.py")}
    assert rooms - APART <= set(LEVEL)


def test_every_grader_type_stands_in_the_register_and_in_a_file_of_its_own() -> None:
    def leaves(spec: type[GraderSpec]) -> set[type[GraderSpec]]:
        below = spec.__subclasses__()
        return {leaf for sub in below for leaf in leaves(sub)} if below else {spec}

    for path in (ROOT / "graders").glob("*.py"):
        import_module(f"graders_engine.graders.{path.stem}")
    assert leaves(GraderSpec) == set(SPECS.values())
    for name, model in SPECS.items():
        assert model.__module__ == f"graders_engine.graders.{name}"
        assert model.model_fields["type"].annotation.__args__ == (name,)  # type: ignore[union-attr] # a Literal


def test_every_reason_for_no_reward_raises_a_flag() -> None:
    def walk(error: type[Exception]) -> set[type[Exception]]:
        return {error}.union(*(walk(sub) for sub in error.__subclasses__()))

    assert walk(errors.GradingError) - {errors.GradingError} == set(FLAG_OF)


def test_every_exception_is_drawn_in_the_tree_under_its_parent() -> None:
    drawn = re.findall(
        r"^( *(?:[│├└─]| )*)(\w+)", (errors.__doc__ or "").partition("::")[2], re.MULTILINE
    )
    parents: list[tuple[int, str]] = []
    tree = {}
    for margin, name in drawn:
        depth = len(margin)
        while parents and parents[-1][0] >= depth:
            parents.pop()
        tree[name] = parents[-1][1] if parents else "Exception"
        parents.append((depth, name))
    defined = {
        name: value.__mro__[1].__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert tree == defined


def test_the_flags_are_the_boolean_keys_of_the_wire() -> None:
    booleans = {
        name for name, field in GraderErrors.model_fields.items() if field.annotation is bool
    }
    assert {flag.value for flag in Flag} == booleans
    assert len(GraderErrors.model_fields) == 24


def test_every_subcommand_has_a_module() -> None:
    for name in COMMANDS:
        module = ROOT / "cli" / module_of(name)
        assert module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()


def test_every_metric_of_the_format_but_cosine_is_registered() -> None:
    assert {*METRICS, "cosine"} == {*get_args(MetricName)}


def test_the_functions_of_the_formula_language_are_the_documented_ones() -> None:
    assert set(FUNCTIONS) == {"min", "max", "abs", "floor", "ceil", "exp", "sqrt", "log"}


def test_the_command_line_keeps_as_text_what_the_schema_says_is_text() -> None:
    def is_text(schema: dict[str, Any]) -> bool:
        options = schema.get("anyOf", schema.get("oneOf", [schema]))
        if schema.get("type") == "array":
            return is_text(schema["items"])
        kinds = {option.get("type") for option in options}
        return "string" in kinds

    text = set()
    for definition in json_schema()["$defs"].values():
        text |= {key for key, field in definition["properties"].items() if is_text(field)}
    # Message arrays take the place of a template in model graders; `content` holds text or blocks.
    assert text | {"input", "content"} == set(TEXT_FIELDS)


def test_files_and_rooms_stay_small_enough_to_read() -> None:
    long = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > 350
    ]
    assert not long
    modules = Counter(path.parent for path in ROOT.rglob("*.py"))
    assert max(modules.values()) <= 24


def test_no_group_of_a_pattern_is_made_possessive() -> None:
    """Before Python 3.11.5 such a group loses matches; `(?>(?:…)*)` means the same and does not."""
    possessive = re.compile(r"\(\?.*\)(?:[*?]|\{[\d,]+\})\+", re.DOTALL)
    texts = (
        node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )
    assert not [text for text in texts if possessive.search(text)]
