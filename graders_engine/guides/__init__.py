"""The guides, in Markdown: one for each subject, and the reference of the public modules below `api/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_START = "# "


@cache
def titles() -> dict[str, str]:
    """The name of each guide and its title, in the order of their names: {"judges": "Judges: …"}."""
    found = {}
    for path in sorted(FOLDER.rglob("*.md")):
        with path.open(encoding="utf-8") as file:
            title = file.readline().removeprefix(_START).strip()
        found[path.relative_to(FOLDER).with_suffix("").as_posix()] = title
    return found


def text_of(name: str) -> str:
    """The text of a guide, in Markdown.

    Raises:
        KeyError: there is none of this name.

    Example:
        >>> text_of("guides").splitlines()[0]
        '# Guides: how to read them'
    """
    if name not in titles():
        raise KeyError(name)
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")
