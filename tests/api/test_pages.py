"""The pages of the reference are those that the docstrings give, and no public name is missing."""

from __future__ import annotations

import pytest

import graders_engine
from graders_engine.guides import titles
from tests.api.table import LEFT_OUT, MADE_BY_OTHERS, PAGES
from tests.api.write import PLACE, found_of, pages


def test_there_is_a_page_for_each_entry_of_the_table_and_no_other() -> None:
    assert {name for name in titles() if name.startswith("api/")} == {
        f"api/{name}" for name in PAGES
    }


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_docstrings_give(name: str) -> None:
    kept = (PLACE / f"{name}.md").read_text(encoding="utf-8")
    assert kept == pages()[name], (
        f"api/{name}.md is not current: run .ci/api, and commit what it writes"
    )


def test_every_public_name_is_on_one_page() -> None:
    named = [entry.partition(":")[2] for page in PAGES.values() for entry in page.names]
    public = [name for name in graders_engine.__all__ if name != "__version__"]
    assert sorted(name for name in named if name in public) == public


@pytest.mark.parametrize("name", PAGES)
def test_every_name_says_what_it_is_and_every_method_that_is_left_out_is_there(name: str) -> None:
    for entry in PAGES[name].names:
        item = found_of(entry)
        assert item.docstring, entry
        assert LEFT_OUT.get(item.name, frozenset()) <= item.members.keys(), entry
    assert set(graders_engine.__all__) >= MADE_BY_OTHERS
