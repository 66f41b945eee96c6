"""What all pages have in common: how their templates are rendered, and what their security policy names."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

SHARED_MODULES = (
    "dom.js", "state.js", "texts.js", "words.js", "row.js", "keys.js", "drawer.js",
)  # fmt: skip
"""The modules of all pages that open rows, each after those that it imports."""
_ROW_DATA = '<script type="application/json" id="row-data">'


def environment(filters: Iterable[Callable[..., Any]]) -> Environment:
    """The templates of this folder, in which every value is escaped.

    Args:
        filters: functions that the templates use as filters, under the same names.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(__package__), PackageLoader(__package__, "static")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,  # constant folding takes longer than it saves: a process renders one page
    )
    made.filters.update({filter_.__name__: filter_ for filter_ in filters})
    return made


def source_of(made: Environment, name: str) -> str:
    """The text of a file in the folder of the templates."""
    assert made.loader is not None  # noqa: S101 - for the type checker
    return made.loader.get_source(made, name)[0]


def style_of(made: Environment, *names: str) -> str:
    """The style of a page: what all pages have in common, and these files."""
    return "".join(source_of(made, name) for name in ("base.css", "page.css", *names))


_IMPORT = re.compile(r'^import \{ (.+) \} from "\./([\w-]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.MULTILINE)


def script_of(modules: Mapping[str, str]) -> str:
    """ES modules as one script, for a file that loads nothing: each is a function that gives what it exports.

    Args:
        modules: their sources by name, each after those that it imports. An import and an export have the
            form that `_IMPORT` and `_EXPORT` read.
    """
    parts = ["const modules = {};\n"]
    for name, source in modules.items():
        exported = ", ".join(_EXPORT.findall(source))
        body = _EXPORT.sub("", _IMPORT.sub(r'const { \1 } = modules["\2"];', source))
        parts.append(f'modules["{name}"] = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n')
    return "".join(parts)


def with_rows(page: str, rows: str) -> str:
    """A page with the data of its script, which have no character that hides; without a script, the page."""
    before, start, after = page.partition(_ROW_DATA)
    return f"{before}{start}{rows}{after}" if start else page


def policy_hash(text: str) -> str:
    """The text's hash in the form that a content security policy has."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"
