"""Which models a job may name, and whether there is room to train them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from graders_engine.jobs.models.base_models import (
    LORA,
    LORA_ABOVE,
    ModelRefused,
    bytes_needed,
    find_model,
    trainable,
)
from graders_engine.jobs.models.machine import Memory, memory
from graders_engine.jobs.models.safetensors import UnusableFolder, Weights, read_weights
from graders_engine.models.tables.training import BaseModel, Method
from tests.jobs.models import ADAPTED, PARAMETERS, header, make_model

ROOM = Memory(1 << 40, gpu=False)
MODELS = {"qwen3-0.6b": BaseModel("/models/a"), "small": BaseModel("/b", methods=["supervised"])}
LARGE = {f"layer{i}.weight": [16_384, 16_384] for i in range(2)}  # 536,870,912 parameters


def refused(call: Callable[[], object]) -> tuple[str | None, str]:
    with pytest.raises(ModelRefused) as found:
        call()
    mistake = found.value.mistake
    assert mistake.param == "model"
    return mistake.code, mistake.message


def test_a_model_is_found_by_the_name_that_graders_toml_gives_it() -> None:
    assert find_model(MODELS, "qwen3-0.6b", "dpo") is MODELS["qwen3-0.6b"]


@pytest.mark.parametrize(
    ("name", "method", "says"),
    [
        ("gpt-4o", "supervised", "There are: 'qwen3-0.6b', 'small'."),
        ("qwen3-0.6", "supervised", "Did you mean 'qwen3-0.6b'?"),
        ("/models/a", "supervised", "cannot be trained here"),
        ("small", "reinforcement", "graders.toml has it for supervised."),
    ],
)
def test_any_other_name_is_refused_with_what_there_is(name: str, method: Method, says: str) -> None:
    code, message = refused(lambda: find_model(MODELS, name, method))
    assert code == "model_not_available"
    assert says in message


def test_without_a_table_the_refusal_says_where_models_are_listed() -> None:
    _, message = refused(lambda: find_model({}, "any", "dpo"))
    assert "graders.toml lists none in [base_models]" in message


def test_the_size_of_a_model_is_in_the_headers_of_all_its_files(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "tiny")
    assert read_weights(folder) == Weights(PARAMETERS, ADAPTED)
    (folder / "model-2.safetensors").write_bytes(header({"lm_head.weight": [64, 16]}))
    assert read_weights(folder) == Weights(PARAMETERS + 64 * 16, ADAPTED)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"pickle")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda folder: folder.rename(folder.with_name("gone")), "does not exist"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer"),
    "a pickle": (pickled, "can run code when they are loaded"),
    "an empty file": (lambda folder: (folder / "model.safetensors").write_bytes(b""), "cut off"),
    "a cut header": (
        lambda folder: (folder / "model.safetensors").write_bytes(header({"a": [1]})[:-3]),
        "cut off",
    ),
    "a header of any length": (
        lambda folder: (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}"),
        "no safetensors file",
    ),
    "no weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(header({})),
        "hold no weights",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_folder_that_holds_no_model_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    spoil, says = WRONG[name]
    folder = make_model(tmp_path / "tiny")
    spoil(folder)
    with pytest.raises(UnusableFolder, match=says):
        read_weights(folder)
    code, message = refused(
        lambda: trainable("tiny", BaseModel(str(folder)), folder, "supervised", ROOM)
    )
    assert code == "model_not_available"
    assert says in message
    assert str(tmp_path) not in message


def test_a_small_model_is_trained_whole_and_one_above_the_limit_by_adapters(tmp_path: Path) -> None:
    small, large = make_model(tmp_path / "small"), make_model(tmp_path / "large", LARGE)
    assert read_weights(large).parameters > LORA_ABOVE
    whole = trainable("small", BaseModel(), small, "reinforcement", ROOM)
    assert (whole.lora, whole.learning_rate, whole.parameters) == (None, 1e-6, PARAMETERS)
    adapted = trainable("large", BaseModel(), large, "reinforcement", ROOM)
    assert (adapted.lora, adapted.learning_rate) == (LORA, 1e-5)
    assert trainable("large", BaseModel(lora=False), large, "dpo", ROOM).lora is None
    given = BaseModel(lora={"r": 4, "alpha": 8}, learning_rate=3e-3)
    named = trainable("small", given, small, "supervised", ROOM)
    assert (named.lora, named.learning_rate) == ({"r": 4, "alpha": 8}, 3e-3)


@pytest.mark.parametrize("method", ["supervised", "dpo", "reinforcement"])
def test_adapters_take_less_memory_than_all_weights(method: Method) -> None:
    weights = Weights(10**9, 10**6)
    whole = bytes_needed(weights, None, method, gpu=True)
    assert whole > bytes_needed(weights, LORA, method, gpu=False)
    assert bytes_needed(weights, LORA, method, gpu=False) > bytes_needed(
        weights, LORA, method, gpu=True
    )


def test_a_model_too_large_to_be_trained_whole_gets_adapters_and_one_that_still_is_is_refused(
    tmp_path: Path,
) -> None:
    folder = make_model(
        tmp_path / "middle", {"a.weight": [16_384, 8_192]}
    )  # 134,217,728 parameters
    little = Memory(1 << 30, gpu=True)
    assert trainable("middle", BaseModel(), folder, "supervised", little).lora == LORA
    code, message = refused(
        lambda: trainable("middle", BaseModel(lora=False), folder, "supervised", little)
    )
    assert code == "model_too_large"
    assert "134,217,728 parameters" in message
    assert "2.0 GiB" in message
    assert "this machine has 1.0 GiB of GPU memory" in message
    assert "lora = true" in message
    least = Memory(1 << 20, gpu=False)
    code, message = refused(lambda: trainable("middle", BaseModel(), folder, "supervised", least))
    assert code == "model_too_large"
    assert "adapters of rank 16" in message


def test_where_the_memory_cannot_be_found_out_nothing_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "large", LARGE)
    unknown = Memory(0, gpu=False)
    assert trainable("large", BaseModel(lora=False), folder, "dpo", unknown).lora is None


def test_this_machine_has_memory() -> None:
    assert memory().bytes > 1 << 28
