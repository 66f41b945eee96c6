"""WordNet for nltk, and the number of examples of the property tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from graders_engine import metrics
from graders_engine.metrics import core

from .cores import NOT_COMPILED, Load
from .wordnet_files import NoWordNet, dictionary, nltk_data

EXAMPLES = int(os.environ.get("GRADERS_EXAMPLES", "150"))
"""Pairs that a property test tries."""

properties = settings(max_examples=EXAMPLES)


@pytest.fixture(scope="session", params=["compiled", "pure"])
def load(request: pytest.FixtureRequest) -> Load:
    """`metrics.load`, once with the compiled functions and once with the Python ones."""
    if request.param == "pure":
        return metrics.load_pure
    if core.ACTIVE == "pure":
        pytest.skip(NOT_COMPILED)
    return metrics.load


@pytest.fixture(scope="session")
def wordnet_folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder that outlives the test run, so that WordNet is downloaded once; but not without a cache."""
    cache = getattr(request.config, "cache", None)
    return tmp_path_factory.mktemp("wordnet") if cache is None else Path(cache.mkdir("wordnet"))


@pytest.fixture(scope="session")
def wordnet_dictionary(wordnet_folder: Path) -> Path:
    """WordNet's dict files."""
    try:
        return dictionary(wordnet_folder)
    except NoWordNet as problem:
        _give_up(problem)


@pytest.fixture(scope="session")
def nltk_wordnet(wordnet_folder: Path) -> None:
    """Makes WordNet known to nltk."""
    import nltk

    try:
        nltk.data.path.insert(0, str(nltk_data(wordnet_folder)))
    except NoWordNet as problem:
        _give_up(problem)


def _give_up(problem: Exception) -> NoReturn:
    message = f"WordNet's files are not installed and cannot be downloaded: {problem}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
