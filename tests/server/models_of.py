"""A server with models that were trained before, and whoever asks it: two projects and an administrator."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai

from graders_engine.inference.gpu import leave
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store
from tests.inference.scripted import SCRIPTED, TEXT
from tests.inference.tuned import trained_job
from tests.inference.waiting import until_free
from tests.jobs.models import make_model
from tests.server.serving import Server, serving

WORDS = "Blue is the colour of a clear sky."
ROOT = Path(__file__).parents[2]
BASE = "Qwen/tiny"
CONFIG = f"""
[base_models]
"{BASE}" = "tiny"
[inference]
python = "python"
device = "cpu"
[projects.other]
api_key_env = "KEY_OTHER"
[projects.third]
api_key_env = "KEY_THIRD"
"""
OWN, OTHER, THIRD, ADMIN = "sk-own", "sk-other", "sk-third", "sk-admin"
KEYS = {
    "GRADERS_API_KEY": OWN, "KEY_OTHER": OTHER, "KEY_THIRD": THIRD, "GRADERS_ADMIN_KEY": ADMIN,
}  # fmt: skip


def lay_out(folder: Path, config: str = CONFIG) -> None:
    """A base model, a Python whose models a scripted generator is, and a graders.toml."""
    (make_model(folder / "tiny") / TEXT).write_text(WORDS)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" --generator {SCRIPTED}\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (folder / "graders.toml").write_text(config, encoding="utf-8")


@contextmanager
def models_server(folder: Path, *flags: str, config: str = CONFIG, **keys: str) -> Iterator[Server]:
    """A server with a store, in this folder; with all keys, unless some are given."""
    if not (folder / "graders.toml").exists():
        lay_out(folder, config)
    given = ("--jobs", str(folder / "store"), *flags)
    try:
        with serving(folder, *given, PYTHONPATH=str(ROOT), **(keys or KEYS)) as running:
            yield running
    finally:
        inference = folder / "store" / "inference"
        leave(inference)
        until_free(inference)
        while _clients:
            _clients.pop().close()


_clients: list[openai.OpenAI] = []
"""Those that are to be closed."""


def train(server: Server, project: str = "default", status: str = "succeeded") -> StoredJob:
    """A job in the server's store that has trained."""
    with Store(server.log_file.parent / "store") as store:
        return trained_job(store, project, status)


def client_of(server: Server, key: str, **settings: Any) -> Any:
    """A client; it is untyped: the package wants typed dicts."""
    given = {"max_retries": 0, **settings}
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, **given)
    _clients.append(client)
    return client
