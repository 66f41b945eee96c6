"""Folders that look like models: real headers of safetensors, with no weights behind them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

SHAPES = {
    "model.embed_tokens.weight": [64, 16],
    "model.layers.0.self_attn.q_proj.weight": [16, 16],
    "model.layers.0.mlp.up_proj.weight": [32, 16],
    "model.norm.weight": [16],
}
PARAMETERS = 64 * 16 + 16 * 16 + 32 * 16 + 16
ADAPTED = (16 + 16) + (32 + 16)


def header(shapes: dict[str, list[int]]) -> bytes:
    """A safetensors file that ends after its header, which is all that is read before training."""
    tensors = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
        for name, shape in shapes.items()
    }
    text = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    return struct.pack("<Q", len(text)) + text


def make_model(folder: Path, shapes: dict[str, list[int]] | None = None) -> Path:
    """A model's folder; of these shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(header(SHAPES if shapes is None else shapes))
    return folder
