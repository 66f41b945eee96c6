"""What the folder of the process that answers has in it, and how it is read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "inference"
"""The folder, in that of a store."""
LOCK = "lock"
"""Held by the process that answers while it lives; its text is the process's number."""
GPU_LOCK = "gpu.lock"
"""Held by the process that answers while its model is on the GPU, and by jobs, together, while they train."""
ENGINE_LOCK = "engine.lock"
"""Held by the server of vLLM while it lives; its text is the number of its group."""
LOG = "worker.log"
_ADDRESS = "address.json"
ANSWERS, LEAVES = "/chat/completions", "/leave"
"""The paths that the process serves."""
SERVED, BODY = "served", "body"
"""The keys of what it is sent."""
LEAVING = 410
"""Its status when it is about to end: the next process takes the request."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a process answers.

    Attributes:
        id: of the process; no other one has it.
        socket: path of its socket.
    """

    id: str
    socket: str


def address_in(folder: Path) -> Address | None:
    """Where a process answers, or one that was killed did; None where the last one has ended by itself."""
    try:
        found = json.loads((folder / _ADDRESS).read_text(encoding="utf-8"))
        return Address(**found)
    except (OSError, ValueError, TypeError):
        return None


def publish(folder: Path, address: Address) -> None:
    """Let others find a process."""
    part = folder / f"{_ADDRESS}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(address), file)
    part.replace(folder / _ADDRESS)


def withdraw(folder: Path) -> None:
    """Let others find it no more."""
    (folder / _ADDRESS).unlink(missing_ok=True)


def is_published(folder: Path, address: Address) -> bool:
    """Whether others find this process."""
    return address_in(folder) == address
