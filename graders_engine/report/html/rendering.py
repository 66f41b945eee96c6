"""What all pages have in common: how their templates are rendered, and what their security policy names."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(filters: Iterable[Callable[..., Any]]) -> Environment:
    """The templates of this folder, in which every value is escaped.

    Args:
        filters: functions that the templates use as filters, under the same names.
    """
    made = Environment(
        loader=PackageLoader(__package__),
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


def policy_hash(text: str) -> str:
    """The text's hash in the form that a content security policy has."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"
