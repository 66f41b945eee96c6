"""The text with which the editor begins is the grader itself: as JSON, or as YAML with its lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.documents.load import TEXT_FIELDS, load
from tests.view.browsing import BROWSER, Tab, browsing
from tests.view.conftest import INVOICE

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
SOURCE = (
    'def grade(sample, item):\n    text = sample["output_text"]\n\n    return float("a" in text)\n'
)
BEGINNINGS = ("", " ", "\n", "\n  ", "# ", "- ", "? ", "'", '"', "{", "@", "é\t", "😀", "no: ")
ENDS = ("", "\n", "\n\n", " ", "  \n", "\n ", "\t", "\r\n", "\u2028x", "\x85", "\ufeff")


def python(source: str) -> dict[str, Any]:
    return {"type": "python", "name": "p", "source": source}


GRADERS = [
    INVOICE,
    python(SOURCE),
    python("one line"),
    *(python(f"{start}a: 1\n  b{end}") for start in BEGINNINGS for end in ENDS),
    {
        "type": "multi",
        "graders": {"no": python(SOURCE), "a b": python(" x\ny"), "3": INVOICE["graders"]["total"]},
        "calculate_output": "1",
    },
    {
        "type": "score_model",
        "model": "m",
        "input": [
            {"role": "user", "content": "Rate\n- this:\n{{sample.output_text}}"},
            {"role": "user", "content": [{"type": "input_text", "text": "a\n\nb\n\n"}]},
        ],
        "range": [0, 1.5],
        "sampling_params": {"temperature": 0.25, "seed": None, "top_p": 1e-7},
        "empty": [{}, [], "", "yes", "1_000", "0x1f", "2001-01-01", "null", "~", True],
    },
]


@pytest.fixture(scope="module")
def tab(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(folder, tmp_path_factory.mktemp("profile")) as opened:
        opened.start()
        opened.until("document.querySelector('.mean-cell b')")
        yield opened


def texts(tab: Tab, graders: list[Any]) -> list[str]:
    found: list[str] = tab.value(
        f"import('/view/static/yaml.js').then(({{ textOf }}) => {json.dumps(graders)}.map(textOf))"
    )
    return found


def test_the_text_of_a_grader_is_read_as_that_grader(tab: Tab) -> None:
    for grader, text in zip(GRADERS, texts(tab, GRADERS), strict=True):
        name = "grader.json" if text.startswith("{") else "grader.yaml"
        assert load(text, name, TEXT_FIELDS, name=name) == grader, text


def test_each_line_of_a_source_or_a_prompt_is_a_line_of_the_text(tab: Tab) -> None:
    judge = {**GRADERS[-1], "sampling_params": {"temperature": 0.25}}
    found, asked, plain = texts(tab, [python(SOURCE), judge, INVOICE])
    assert found == (
        'type: "python"\nname: "p"\nsource: |\n  def grade(sample, item):\n'
        '      text = sample["output_text"]\n\n      return float("a" in text)\n'
    )
    assert "\n    content: |-\n      Rate\n      - this:\n      {{sample.output" in asked
    assert plain == json.dumps(INVOICE, indent=2) + "\n"
