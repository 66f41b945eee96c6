"""What a folder of weights holds, from the headers of its safetensors: no weight is read."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""
_LENGTH = struct.Struct("<Q")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")


class UnusableFolder(Exception):
    """Raised when a folder holds no model that can be trained; the message is a sentence without paths."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The size of a model.

    Attributes:
        parameters: how many numbers it has.
        adapted: the rows and columns of all of its matrices but for the embeddings, added up: an adapter of
            rank r has r times as many parameters.
    """

    parameters: int
    adapted: int


def read_weights(folder: Path) -> Weights:
    """The size of the model in a folder.

    Raises:
        UnusableFolder: it holds no configuration, no tokenizer, or no weights that can be read.
    """
    _require_files(folder)
    parameters = adapted = 0
    for file in sorted(folder.glob("*.safetensors")):
        for name, shape in _tensors(file):
            parameters += math.prod(shape)
            if len(shape) == 2 and "embed" not in name and "lm_head" not in name:
                adapted += sum(shape)
    if not parameters:
        raise UnusableFolder("its .safetensors files hold no weights.")
    return Weights(parameters, adapted)


def _require_files(folder: Path) -> None:
    if not folder.is_dir():
        raise UnusableFolder("its folder does not exist.")
    if not (folder / "config.json").is_file():
        raise UnusableFolder("its folder has no config.json.")
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise UnusableFolder("its folder has no tokenizer.")
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt*"))
        other = (
            " Weights of the old form can run code when they are loaded: convert them."
            if pickled
            else ""
        )
        raise UnusableFolder(f"its folder has no .safetensors, and no other form is read.{other}")


def _tensors(file: Path) -> Iterator[tuple[str, list[int]]]:
    """(name, shape) of each tensor."""
    try:
        with file.open("rb") as stream:
            (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
            if length > MAX_HEADER_BYTES:
                raise ValueError
            header: dict[str, Any] = json.loads(stream.read(length))
        for name, tensor in header.items():
            if name != "__metadata__":
                yield name, [int(size) for size in tensor["shape"]]
    except OSError as error:
        raise UnusableFolder(f"{file.name} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error):
        raise UnusableFolder(f"{file.name} is no safetensors file, or is cut off.") from None
