"""One server with the settings that users get, for all the tests that do it no harm; and one with a store."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.models.endpoint import endpoint
from tests.server.evals_of import modelled
from tests.server.serving import Server, serving

NODE_PACKAGE = "openai@6.49.0"


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds the unmodified `openai` package of npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not on this machine")
    folder = tmp_path_factory.mktemp("node")
    install = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), NODE_PACKAGE]
    try:
        done = subprocess.run(install, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry did not answer")
    if not (folder / "node_modules" / "openai").is_dir():
        pytest.skip(f"npm could not install {NODE_PACKAGE}: {done.stderr.strip()[-300:]}")
    return folder


@pytest.fixture(scope="session")
def asking() -> Iterator[requests.Session]:
    """Keeps connections open, and reads no proxies of the environment for each of thousands of requests."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers.clear()  # requests have those of their case alone
        yield session


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
