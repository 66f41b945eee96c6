"""Writes the pages of the reference, `graders guide api/NAME`: `python -m tests.api.write`, or `.ci/api`.

They are made from the sources alone: nothing is imported, so that the frameworks of adapters are not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe

import graders_engine
from graders_engine.guides import FOLDER
from tests.api.markdown import docstring_markdown, fenced, prose, signature, wrapped
from tests.api.table import LEFT_OUT, MADE_BY_OTHERS, PAGES, Page

PLACE = FOLDER / "api"
_HIDDEN_BASES = ("Struct", "Protocol", "Policy", "_Wire", "Exception")
_FOR_PROGRAMS = ("model_config",)


@cache
def package() -> griffe.Module:
    found = griffe.load(
        "graders_engine",
        search_paths=[Path(graders_engine.__file__).parents[1]],
        docstring_parser="google",
        docstring_options={"warnings": False},
        allow_inspection=False,
    )
    assert isinstance(found, griffe.Module)
    return found


def pages() -> dict[str, str]:
    """The text of each page by its name."""
    return {name: _page(name, page) for name, page in PAGES.items()}


def _page(name: str, page: Page) -> str:
    found = [(entry, found_of(entry)) for entry in page.names]
    blocks = [f"# {name.capitalize()}: {page.title}", wrapped(page.intro)]
    blocks.append(wrapped(" · ".join(_link(_heading(*one)) for one in found)))
    if name == "errors":
        blocks += prose(_docstring(package()["errors"]).partition("\n\n")[2])
    for entry, item in found:
        blocks += _entry(entry, item)
    return "\n\n".join(filter(None, blocks)) + "\n"


def _heading(entry: str, item: Any) -> str:
    """Its name; after that of its module, if it is not imported from the package itself."""
    module = entry.partition(":")[0].rpartition(".")[2]
    return str(item.name) if is_exported(entry) else f"{module}.{item.name}"


def is_exported(entry: str) -> bool:
    """Whether a name is one of the package itself; a framework's module may have the same one."""
    name = entry.partition(":")[2]
    return name in graders_engine.__all__


def _link(heading: str) -> str:
    return f"[{heading}](#{heading.lower().replace('.', '')})"


def found_of(entry: str) -> Any:
    module, _, name = entry.partition(":")
    return package()[f"{module}.{name}"]


def _docstring(item: griffe.Object) -> str:
    return "" if item.docstring is None else item.docstring.value


def _entry(entry: str, item: Any) -> Iterator[str]:
    module = entry.partition(":")[0]
    source = "graders_engine" if is_exported(entry) else f"graders_engine.{module}"
    yield f"## {_heading(entry, item)}"
    lines = [f"from {source} import {item.name}"]
    if call := _call(item):
        lines += ["", call]
    yield fenced("\n".join(lines))
    if bases := [name for name in _bases(item) if not name.endswith(_HIDDEN_BASES)]:
        yield f"A kind of {' and '.join(f'`{name}`' for name in bases)}."
    yield from docstring_markdown(item, made=item.name not in MADE_BY_OTHERS)
    if isinstance(item, griffe.Class):
        if _is_enum(item):
            values = (one for one in item.members.values() if one.is_attribute)
            yield "\n".join(f"- `{item.name}.{one.name}`: {one.value}" for one in values)  # type: ignore[union-attr] # attributes
        for member in item.members.values():
            yield from _member(item, member)


def _bases(item: Any) -> list[str]:
    return [str(base) for base in item.bases] if isinstance(item, griffe.Class) else []


def _is_enum(item: griffe.Class) -> bool:
    return any(base.endswith("Enum") for base in _bases(item))


def _call(item: Any) -> str:
    """How it is called or made; for a type, what it is; empty where neither is a question."""
    if isinstance(item, griffe.Function):
        return _function(item.name, item)
    if isinstance(item, griffe.Attribute):
        return f"{item.name} = {item.value}"
    if item.name in MADE_BY_OTHERS:
        return ""
    init = item.members.get("__init__")
    if isinstance(init, griffe.Function):
        if any(str(one.value).startswith("takes(") for one in init.decorators):
            return f"{item.name}(**settings)"
        return signature(item.name, init.parameters)
    if any(base.endswith("Struct") for base in _bases(item)):
        return signature(item.name, _fields(item))
    return ""


def _fields(item: griffe.Class) -> list[griffe.Parameter]:
    return [
        griffe.Parameter(
            one.name, annotation=one.annotation, default=one.value,
            kind=griffe.ParameterKind.positional_or_keyword,
        )
        for one in item.members.values()
        if isinstance(one, griffe.Attribute) and one.annotation and "property" not in one.labels
    ]  # fmt: skip


def _function(name: str, function: griffe.Function) -> str:
    word = "async " if "async" in function.labels else ""
    return word + signature(name, function.parameters, function.returns)


def _member(owner: griffe.Class, member: Any) -> Iterator[str]:
    name = member.name
    if name in LEFT_OUT.get(owner.name, ()):
        return
    if member.is_alias or member.docstring is None or name in _FOR_PROGRAMS or _is_enum(owner):
        return
    if name.startswith("_") and name != "__call__":
        return
    title = f"{owner.name}.{name}"
    if isinstance(member, griffe.Function):
        yield f"### {title}"
        yield fenced(_function(name, member))
        yield from docstring_markdown(member)
    elif isinstance(member, griffe.Attribute) and "property" in member.labels:
        yield f"### {title}"
        yield fenced(f"{name}: {member.annotation}")
        yield from docstring_markdown(member)


def write() -> None:
    PLACE.mkdir(exist_ok=True)
    for path in PLACE.glob("*.md"):
        path.unlink()
    for name, text in pages().items():
        (PLACE / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
