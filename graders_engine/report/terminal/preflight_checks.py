"""The page of a check, and the list of all checks, as text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from textwrap import fill

from graders_engine.preflight.asking import require_known
from graders_engine.preflight.check import GROUPS
from graders_engine.preflight.table import CHECKS
from graders_engine.report.terminal.screen import FILE, Heading, Screen


def explained(id_: str, screen: Screen = FILE) -> str:
    """The page of a check: what it means, why, an example, how to mend it, when to ignore it.

    Raises:
        InvalidRequest: there is no such check.
    """
    require_known(CHECKS, [id_])
    check = next(check for check in CHECKS if check.id == id_)
    page = check.page
    if screen.wraps:  # its lines are those of a source, which the screen breaks at other places
        parts = (part.replace("\n", " ") for part in page.split("\n\n"))
        page = "\n\n".join(fill(p, screen.columns, break_on_hyphens=False) for p in parts)
    return screen.text([f"{check.id} ({check.group})", "", *page.split("\n")])


def listed(screen: Screen) -> str:
    """All checks by group, each with its first sentence."""
    return screen.text(_lines())


def _lines() -> Iterator[str]:
    ordered = sorted(CHECKS, key=lambda check: GROUPS.index(check.group))
    for group, checks in groupby(ordered, key=lambda check: check.group):
        yield Heading(group)
        for check in checks:
            first = check.page.partition("\n\n")[0].replace("\n", " ")
            yield f"  {check.id:<24} {first}"
        yield ""
