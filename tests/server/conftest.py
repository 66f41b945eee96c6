"""One server with the settings that users get, for all the tests that do it no harm; and one with a store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models.endpoint import endpoint
from tests.server.evals_of import modelled
from tests.server.serving import Server, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def evals_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It keeps files and evals, and asks an endpoint that answers for every model."""
    folder = tmp_path_factory.mktemp("evals")
    with endpoint() as models:
        models.reply = modelled
        flags = ("--jobs", str(folder / "store"), "--base-url", models.url, "--no-cache")
        with serving(folder, *flags, OPENAI_API_KEY="sk-j") as running:
            yield running
