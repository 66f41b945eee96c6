"""The guides, in Markdown: one for each subject, and the reference of the public modules below `api/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_START = "# "
_IN_ORDER = (
    "graders", "templates", "metrics", "python", "worker", "containers", "judges", "data", "numbers",
    "view", "preflight", "attacks", "library", "adapters", "trainers", "server", "conformance", "evals",
    "evals-runs", "jobs", "tuned-models", "cluster", "performance", "security", "support", "architecture",
    "changelog", "guides",
)  # fmt: skip
"""The guides as one would read them; a test has it that all are named."""


@cache
def titles() -> dict[str, str]:
    """The name of each guide and its title, {"judges": "Judges: …"}, as one would read them."""
    reference = sorted(f"api/{path.stem}" for path in (FOLDER / "api").glob("*.md"))
    found = {}
    for name in (*_IN_ORDER, *reference):
        with (FOLDER / f"{name}.md").open(encoding="utf-8") as file:
            found[name] = file.readline().removeprefix(_START).strip()
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
