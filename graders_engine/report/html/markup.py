"""HTML as a tree, written by the standard library: whatever a row's text holds, it stays text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from string import Template
from xml.etree.ElementTree import Element, tostring

from graders_engine.report.visible import visible

Node = Element | str | None


def el(tag: str, *children: Node, **attributes: str | int | float) -> Element:
    """An element; texts among the children are made safe to look at, None is nothing.

    Args:
        tag: its name.
        children: what stands in it, in order.
        attributes: `class_` stands for `class`, `aria_label` for `aria-label`.
    """
    names = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    element = Element(tag, {name: visible(str(value)) for name, value in names.items()})
    for child in children:
        if isinstance(child, str):
            _add_text(element, visible(child))
        elif child is not None:
            element.append(child)
    return element


def _add_text(element: Element, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def section(name: str, heading: str, *children: Node) -> Element:
    """A part of the page under a heading; `name` is what links call it."""
    return el(
        "section",
        el("h2", heading, id=f"{name}-heading"),
        *children,
        id=name,
        aria_labelledby=f"{name}-heading",
    )


def table(
    caption: str, columns: Iterable[str], rows: Iterable[Element], *, kind: str = "", name: str = ""
) -> Element:
    """A table that scrolls sideways where it is too wide.

    Args:
        caption: above it.
        columns: their names; one that ends with # holds numbers.
        rows: `tr` elements.
        kind: further classes of what holds it.
        name: what the script calls it.
    """
    heads = (
        el("th", head.rstrip("#"), scope="col", class_="number" if head.endswith("#") else "words")
        for head in columns
    )
    inside = el("table", el("caption", caption), el("thead", el("tr", *heads)), el("tbody", *rows))
    if name:
        inside.set("id", name)
    return el("div", inside, class_=f"scroll {kind}", tabindex=0, role="region", aria_label=caption)


def number(text: str) -> Element:
    """A cell with a number."""
    return el("td", text, class_="number")


def page(title: str, body: list[Element]) -> str:
    """A whole page: `page.html` with its style, its script and the body in it.

    Its content security policy lets exactly this style and this script run, and fetches nothing.
    """
    style, script = _asset("page.css"), _asset("page.js")
    return Template(_asset("page.html")).substitute(
        title=_written(el("title", title)),
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        body="\n".join(map(_written, body)),
    )


def _written(element: Element) -> str:
    return tostring(element, encoding="unicode", method="html")


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
