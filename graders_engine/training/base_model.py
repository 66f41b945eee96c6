"""The model that a job begins with: its size before it is loaded, its tokenizer, its weights."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from graders_engine.training.trainer import JobSpec, TrainingFailed

_PARAMETERS_A_THREAD = 20_000_000
"""For smaller models further threads cost more than they give."""


def processes() -> int:
    """How many processes train the job together: the launcher says so."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this process is the job's worker, and not one that trains beside it."""
    return os.environ.get("RANK", "0") == "0"


def not_loadable(why: object) -> TrainingFailed:
    """What a job fails with whose model cannot be loaded."""
    return TrainingFailed("model_not_loadable", f"The base model cannot be loaded: {why}", "model")


def parameters_of(folder: Path) -> int:
    """How many parameters a model has, by the heads of its safetensors files; nothing is loaded.

    Raises:
        TrainingFailed: there are no such files, or they cannot be read.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise not_loadable(
            f"{folder.name} has no safetensors file; no other form of weights is read."
        )
    try:
        return sum(map(_parameters_in, files))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise not_loadable(error) from error


def _parameters_in(path: Path) -> int:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError(f"{path.name} is no safetensors file.")
        head = json.loads(file.read(size))
    return sum(prod(tensor["shape"]) for name, tensor in head.items() if name != "__metadata__")


def set_threads(parameters: int) -> None:
    """Let torch use as many threads as help with such a model; OMP_NUM_THREADS decides if it is set."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        torch.set_num_threads(min(cores or 1, max(1, parameters // _PARAMETERS_A_THREAD)))


def load_tokenizer(model_path: str) -> Any:
    """The tokenizer of a model, as it is on disk.

    Raises:
        TrainingFailed: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            model_path, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, ImportError) as error:
        raise not_loadable(error) from error
    if tokenizer.eos_token is None:
        raise not_loadable("its tokenizer has no token for the end.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def weights_settings(spec: JobSpec) -> dict[str, Any]:
    """How a job's weights are loaded: from safetensors only, and no code of a model's folder is run."""
    import torch

    # Adapters are trained in 32 bits whatever the others have; weights that are trained themselves need them.
    half = spec.lora is not None and torch.cuda.is_available()
    return {
        "dtype": torch.bfloat16 if half else torch.float32,
        "use_safetensors": True,
        "trust_remote_code": False,
        "local_files_only": True,
    }


def load_model(spec: JobSpec) -> Any:
    """The weights of a job's model.

    Raises:
        TrainingFailed: they cannot be loaded.
    """
    from transformers import AutoModelForCausalLM

    try:
        with reading_weights():
            model, found = AutoModelForCausalLM.from_pretrained(
                spec.model_path, output_loading_info=True, **weights_settings(spec)
            )
    except (ValueError, ImportError, RuntimeError) as error:
        raise not_loadable(error) from error
    require_all(found)
    return model


def require_all(found: Mapping[str, Any]) -> None:
    """Check that a model's files had all of its weights: transformers makes others up.

    Args:
        found: what `from_pretrained` says of them.

    Raises:
        TrainingFailed: some are missing.
    """
    if missing := sorted(found["missing_keys"]):
        raise not_loadable(f"its files lack {len(missing)} of its weights, such as {missing[0]}.")


@contextmanager
def reading_weights() -> Iterator[None]:
    """What reads weights, also in TRL.

    Raises:
        TrainingFailed: their files are missing, cut off, or hold something else.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise not_loadable(error) from error


def room_of(model_path: str) -> int:
    """How many tokens a model can read.

    Raises:
        TrainingFailed: its configuration cannot be read.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            model_path, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, ImportError) as error:
        raise not_loadable(error) from error
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or 1 << 20)


def rows_at_once(tokens: int, vocabulary: int) -> int:
    """How many rows of so many tokens a device computes at once, by its whole memory; the same on each try.

    An eighth of the memory is for the numbers of the last layer, of which training keeps about four copies.
    """
    import torch

    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    return max(1, device_memory(device) // 8 // (tokens * vocabulary * 4 * 4))


def device_memory(device: Any) -> int:
    """The whole memory of a device, in bytes."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if sys.platform == "win32":
        raise TrainingFailed(
            "wrong_platform", "Models are not trained on Windows: use WSL 2, or a Linux container."
        )
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
