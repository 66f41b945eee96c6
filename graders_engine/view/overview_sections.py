"""What the overview of a run has of its report: the numbers, and the sections as trees.

`python -m graders_engine.view.overview_sections` makes them in a process of its own: a large run is read
whole, and what that takes of memory and of Python's lock is not the server's then. It reads what is asked for
from a line of standard input, as JSON, and writes the answer as another one; a text says why there is none.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import quote

from graders_engine.dataset.results.digest import digest
from graders_engine.errors import DataSetError
from graders_engine.report.html.page import report_sections
from graders_engine.report.numbers import Numbers, numbers_of
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import RowTexts, texts_of
from graders_engine.report.run_json import numbers_json
from graders_engine.view.trees import trees

EQUAL_ITEMS = (
    "Rows have equal items, as the samples of one prompt do. On this page each row counts by itself, so the "
    "intervals are too narrow if they are such samples; graders report --group-by item counts the rows of an "
    "item as one draw."
)
"""What is said of a run whose rows have equal items."""
WHY_ABOVE = "The top of this page says why."
"""In place of what is wrong with the data set, where that is said once."""


class Asked(NamedTuple):
    """The run that is asked for.

    Attributes:
        path: the results file.
        meta: what gave the results.
        data: where the data set is now, if it was moved.
        run_id: the run's name on the page.
    """

    path: str
    meta: Mapping[str, Any]
    data: str | None
    run_id: str


def numbers_and_sections(asked: Asked) -> dict[str, Any]:
    """The numbers and sections of a run.

    Returns:
        `sections_below_reason` are those for a page that says already why there are no texts; None if there
        are texts.

    Raises:
        DataSetError: the results cannot be read.
    """
    path, data = Path(asked.path), None if asked.data is None else Path(asked.data)
    numbers = numbers_of(digest(path), asked.meta)
    provenance = Provenance(path, asked.meta, data)
    texts = texts_of(numbers.digest.extremes(), asked.meta, data, file=path)
    texts = replace(texts, equal_items=EQUAL_ITEMS)
    below = replace(texts, why_none=WHY_ABOVE) if texts.why_none else None
    return {
        "samples_per_prompt": numbers.groups.sizes[1] if numbers.groups else None,
        "numbers": {**numbers_json(numbers, provenance), "results": asked.run_id},
        "sections": _sections(numbers, provenance, texts, asked.run_id),
        "sections_below_reason": below and _sections(numbers, provenance, below, asked.run_id),
    }


def _sections(
    numbers: Numbers, provenance: Provenance, texts: RowTexts, run_id: str
) -> list[dict[str, Any]]:
    rows = rows_address(run_id)
    return [
        {"id": section.id, "heading": section.heading, "tree": ["div", {}, trees(html, rows)]}
        for section, html in report_sections(numbers, provenance, texts)
    ]


def rows_address(run: str) -> str:
    """The address of a run's rows."""
    return f"/view/runs/{quote(run, safe='')}/rows"


def main() -> None:
    """Do what standard input says; end when it does, as nobody wants the answer then."""
    asked = Asked(**json.loads(sys.stdin.buffer.readline()))
    Thread(target=_end_with_the_input, daemon=True).start()
    try:
        answer: dict[str, Any] | str = numbers_and_sections(asked)
    except DataSetError as error:
        answer = str(error)
    sys.stdout.write(json.dumps(answer) + "\n")


def _end_with_the_input() -> None:
    while os.read(sys.stdin.fileno(), 1 << 10):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
