"""A model that answers, in memory: its weights, with adapters merged into them, and its tokenizer."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from graders_engine.inference.errors import ModelUnavailable
from graders_engine.training import base_model
from graders_engine.training.trainer import TrainingFailed

_ADAPTERS, _OF_ADAPTERS = "adapter_model.safetensors", "adapter_config.json"
_SAFE = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}


def load_weights(folder: Path, device: Any) -> Any:
    """A model, as exact as its files are.

    Args:
        folder: with all weights, or with adapters.
        device: where it is held.

    Raises:
        ModelUnavailable: it cannot be loaded.
    """
    try:
        base_model.set_threads(base_model.parameters_of(whole_folder(folder)))
        with base_model.reading_weights():
            model = _merged(folder) if has_adapters(folder) else _loaded(folder)
    except TrainingFailed as error:
        raise ModelUnavailable(error.message) from None
    except (ValueError, ImportError, RuntimeError) as error:
        raise ModelUnavailable(f"The model cannot be loaded: {error}") from error
    return model.to(device).eval()


def _loaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    model, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto", output_loading_info=True, **_SAFE
    )
    base_model.require_all(found)
    return model


def _merged(folder: Path) -> Any:
    from peft import PeftModel

    if not (folder / _ADAPTERS).exists():  # other forms of adapters are pickles
        raise ModelUnavailable(f"The model's folder has no {_ADAPTERS}.")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Found missing adapter keys")
        try:
            adapted = PeftModel.from_pretrained(_loaded(whole_folder(folder)), str(folder))
        except UserWarning:
            raise ModelUnavailable("The model's adapters are not whole.") from None
    return adapted.merge_and_unload()


def whole_folder(folder: Path) -> Path:
    """The folder with all weights: adapters name it.

    Raises:
        ModelUnavailable: it is gone.
    """
    if not folder.is_dir():
        raise ModelUnavailable("The model's weights are gone.")
    path = folder / _OF_ADAPTERS
    if not path.exists():
        return folder
    try:
        whole = Path(json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable(f"The model's {_OF_ADAPTERS} cannot be read: {error}.") from None
    if not whole.is_dir():
        raise ModelUnavailable(f"The model's adapters are of the model in {whole}, which is gone.")
    return whole


def has_adapters(folder: Path) -> bool:
    """Whether a model is adapters of another one."""
    return (folder / _OF_ADAPTERS).exists()


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model.

    Raises:
        ModelUnavailable: it cannot be loaded.
    """
    try:
        return base_model.load_tokenizer(str(folder))
    except TrainingFailed as error:
        raise ModelUnavailable(error.message) from None
