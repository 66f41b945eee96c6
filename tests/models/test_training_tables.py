"""The tables `base_models` and `training` of graders.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders_engine import InvalidRequest
from graders_engine.models.config import Config, read_config
from graders_engine.models.tables.training import METHODS, BaseModel, TrainingConfig

WHOLE = """
[base_models]
"qwen3-0.6b" = "/models/Qwen3-0.6B"
near = "models/near"
[base_models."Qwen/Qwen3-1.7B"]
hub = "Qwen/Qwen3-1.7B"
revision = "0123abc"
lora = true
learning_rate = 1e-4
max_completion_tokens = 256
methods = ["supervised", "dpo"]
[base_models."gpt-4.1-nano-2025-04-14"]
path = "/models/Qwen3-0.6B"
lora = {r = 8, alpha = 16}
[training]
jobs = 2
max_hours = 12
accelerate = "accelerate.yaml"
python = ".venv-train/bin/python"
"""
MISTAKES = """
[base_models]
number = 5
[base_models.neither]
lora = false
[base_models.both]
path = "/a"
hub = "a/b"
[base_models.pinned]
path = "/a"
revision = "1"
[base_models.rate]
path = "/a"
learning_rate = 0.0
[base_models.short]
path = "/a"
max_completion_tokens = 0
[base_models.none]
path = "/a"
methods = []
[base_models.method]
path = "/a"
methods = ["sft"]
[base_models.rank]
path = "/a"
lora = {r = 8}
[base_models.zero]
path = "/a"
lora = {r = 0, alpha = 1}
[base_models.word]
path = "/a"
lora = "yes"
[base_models.key]
path = "/a"
trust_remote_code = true
[base_models.qwen2.5]
path = "/a"
[training]
jobs = 0
max_hours = 0
"""


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "graders.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def test_both_tables_are_read_and_paths_count_from_the_file(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert config.base_models == {
        "qwen3-0.6b": BaseModel("/models/Qwen3-0.6B"),
        "near": BaseModel(str(tmp_path / "models/near")),
        "Qwen/Qwen3-1.7B": BaseModel(
            hub="Qwen/Qwen3-1.7B", revision="0123abc", lora=True, learning_rate=1e-4,
            max_completion_tokens=256, methods=["supervised", "dpo"],
        ),
        "gpt-4.1-nano-2025-04-14": BaseModel("/models/Qwen3-0.6B", lora={"r": 8, "alpha": 16}),
    }  # fmt: skip
    assert config.base_models["near"].methods == METHODS
    assert config.training == TrainingConfig(
        2, 12, str(tmp_path / "accelerate.yaml"), str(tmp_path / ".venv-train/bin/python")
    )


def test_without_the_tables_no_model_can_be_named(tmp_path: Path) -> None:
    config = read(tmp_path, "")
    assert config.base_models == {}
    assert config.training == TrainingConfig(1, 24.0, "", "")


def test_all_mistakes_of_both_tables_are_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(tmp_path, MISTAKES)
    found = str(refused.value).splitlines()
    wanted = [
        ("[base_models] number", "FOLDER"),
        ("[base_models] neither", "either path, a folder, or hub"),
        ("[base_models] both", "either path, a folder, or hub"),
        ("[base_models] pinned", "revision is of hub"),
        ("[base_models] rate", "learning_rate must be above 0"),
        ("[base_models] short", "max_completion_tokens must be at least 1"),
        ("[base_models] none", "methods is empty; there are supervised, dpo, reinforcement"),
        ("[base_models] method", "methods"),
        ("[base_models] rank", "{r = 16, alpha = 32}"),
        ("[base_models] zero", "each at least 1"),
        ("[base_models] word", "write true, false or {r = 16, alpha = 32}"),
        ("[base_models] key", "unknown key trust_remote_code"),
        ("[base_models] qwen2", "stands in quotes"),
        ("[training]", "jobs must be at least 1; max_hours must be above 0"),
    ]
    for place, words in wanted:
        assert any(f"graders.toml: {place}" in line and words in line for line in found), (
            place, found,
        )  # fmt: skip
    assert len(found) == len(wanted)


@pytest.mark.parametrize("text", ["base_models = 5", "training = 5", "[training]\npython = 5"])
def test_what_is_no_such_table_is_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(tmp_path, text)
    assert len(str(refused.value).splitlines()) == 1
