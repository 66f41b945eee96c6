"""Every block of the guide to moving from the hosted evals runs, in one shell, beside a hosted service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.guides import text_of
from tests.dataset import evals_service
from tests.dataset.evals_service import KEY, eval_, output_item, run, service
from tests.guides.blocks import blocks_of, run_blocks

GUIDE = text_of("evals")
CAPITAL: dict[str, Any] = {
    "type": "string_check",
    "name": "capital",
    "id": f"capital-{evals_service.UUID}",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.ground_truth}}",
}


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a hosted service with one eval, whose run has two items."""
    owner, owned = "eval_68a1", "evalrun_68b2"
    items = [output_item(n, owned, owner, text) for n, text in enumerate(["Markets", "World"])]
    monkeypatch.setattr(evals_service, "EVALS", [eval_(owner, "Capitals", [CAPITAL])])
    monkeypatch.setattr(evals_service, "RUNS", [run(owned, owner, "baseline")])
    monkeypatch.setattr(evals_service, "ITEMS", items)
    with service() as running:
        yield running.url


def test_the_guide_leads_from_the_export_to_a_local_run(hosted: str, tmp_path: Path) -> None:
    run_blocks(GUIDE, tmp_path, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": hosted})
    places = GUIDE.partition("## Where everything is")[2].partition("\n## ")[0]
    named = re.findall(
        r"`([\w.]+)/?(?:ID/)?`(?=[,| ])", "".join(re.findall(r"^\|.*? \|", places, re.MULTILINE))
    )
    assert len(named) == 6
    assert {path.name for path in (tmp_path / "evals").iterdir()} >= set(named)


def test_the_script_differs_from_that_before_in_one_line() -> None:
    blocks = blocks_of(GUIDE)
    (change,) = [block.text for block in blocks if block.language == "diff"]
    before, after = (
        [line[1:] for line in change.splitlines() if line.startswith(sign)] for sign in "-+"
    )
    (whole,) = [block.text for block in blocks if block.language == "python"]
    assert [line for line in whole.splitlines() if "openai.OpenAI(" in line] == after
    assert before == ["client = openai.OpenAI()"]
