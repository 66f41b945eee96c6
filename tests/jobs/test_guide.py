"""The guides to jobs and tuned models: their graders.toml, requests and commands are ones that work."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
import openai
import pytest

from graders_engine.cli.jobs import command
from graders_engine.guides import text_of
from graders_engine.jobs.models.base_models import LORA_ABOVE
from graders_engine.jobs.requests.hyperparameters import NUMBERS
from graders_engine.jobs.requests.request import new_job
from graders_engine.models.config import read_config
from graders_engine.models.tables.training import METHODS
from tests.guides.blocks import blocks_of
from tests.server.models_of import ADMIN, CONFIG, OWN, client_of, models_server, train

GUIDE = text_of("jobs")
BLOCKS = {block.language: block.text for block in blocks_of(GUIDE)}
(ASKING,) = [
    block.text for block in blocks_of(text_of("tuned-models")) if block.language == "python"
]


def test_its_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "graders.toml"
    path.write_text(BLOCKS["toml"], encoding="utf-8")
    config = read_config(path)
    assert [*config.base_models] == ["qwen3-0.6b", "Qwen/Qwen3-1.7B", "gpt-4.1-nano-2025-04-14"]
    assert config.training.python == str(tmp_path / ".venv-train/bin/python")
    assert f"{LORA_ABOVE // 10**6} M parameters" in BLOCKS["toml"]


def test_its_request_is_taken() -> None:
    asked = re.search(r"jobs\.create\((.*)\)\n", BLOCKS["python"], re.DOTALL)
    assert asked is not None
    given: dict[str, Any] = {}

    class Uploaded:
        id = "file-0"

    def create(**body: Any) -> None:
        given.update(body)

    exec(f"create({asked[1]})", {"create": create, "train": Uploaded, "valid": Uploaded})  # noqa: S102
    assert new_job(given).method == "reinforcement"


def test_it_names_each_command_method_and_hyperparameter() -> None:
    group = command
    assert isinstance(group, click.Group)
    named = re.findall(r"^graders jobs (\w+)", BLOCKS["sh"], re.MULTILINE)
    assert named == [*group.commands]
    for name in (*METHODS, *(name for method in METHODS for name in NUMBERS[method])):
        assert f"`{name}`" in GUIDE


def test_what_it_says_of_asking_sharing_and_deleting_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.replace("[projects.other]", "[projects.research]")
    with models_server(tmp_path, config=config) as server:
        job = train(server)
        monkeypatch.setenv("GRADERS_ADMIN_KEY", ADMIN)
        code = ASKING.replace("http://127.0.0.1:8801", server.url)
        with client_of(server, OWN) as client:
            given: dict[str, Any] = {"client": client, "job": job, "openai": openai, "os": os}
            exec(code, given)  # noqa: S102 - the guide's own
            given["admin"].close()
            with pytest.raises(openai.NotFoundError):
                client.models.retrieve(given["name"])
    assert capsys.readouterr().out.strip() == "I was trained 10 steps."
