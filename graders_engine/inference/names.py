"""Names of models: which weights one stands for, and who may ask them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from graders_engine.errors import GradersError
from graders_engine.inference.served import ServedModel
from graders_engine.models.tables.training import BaseModel
from graders_engine.storage.blobs import our_errors
from graders_engine.storage.errors import StoreError
from graders_engine.storage.store import Store
from graders_engine.storage.tuned_models import TunedModel

WEIGHTS = "model"
"""The folder in a checkpoint that has the weights."""
SYSTEM, ORGANIZATION = "system", "local"
"""Whose base models are, and all others."""
_ADAPTERS, _BASE = "adapter_config.json", "base_model_name_or_path"
_CONFIG, _WEIGHT_FILES = "config.json", "*.safetensors"
_MAX_COMPLETION_TOKENS = BaseModel().max_completion_tokens


class NotDownloaded(GradersError):
    """Raised when a base model of the Hugging Face Hub was never downloaded; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in a list.

    Attributes:
        name: as one asks for it.
        created: seconds since 1970.
        owned_by: `system` for base models, else `local`.
    """

    name: str
    created: int
    owned_by: str


def find_served(
    store: Store, base_models: Mapping[str, BaseModel], project: str, name: str
) -> ServedModel | None:
    """The model of a name, if a project may ask it; to be called in a thread.

    All projects may ask base models; tuned ones and checkpoints, the project of their job, and projects with
    a permission for exactly this name.

    Args:
        store: with the jobs and permissions.
        base_models: of graders.toml.
        project: that asks.
        name: of the model.

    Returns:
        None for any other name, and also where the weights are gone.

    Raises:
        NotDownloaded: it is a base model that is not on this machine yet.
        StoreError: the store, or the folder of the model, cannot be read.
    """
    base = base_models.get(name)
    if base is not None:
        folder = _base_folder(name, base)
        if folder is None:
            return None
        return ServedModel(name, folder, base.max_completion_tokens, _stamp(folder))
    tuned = store.models.find(project, name)
    if tuned is None:
        return None
    folder = weights_of(store, tuned)
    if not _is_there(folder):
        return None
    longest = tuned.max_completion_tokens or _MAX_COMPLETION_TOKENS
    return ServedModel(name, folder, longest, _identity(tuned, folder))


def listed_models(
    store: Store, base_models: Mapping[str, BaseModel], project: str
) -> list[ModelRow]:
    """The models that a project may ask: base models, then its own and those that are shared with it."""
    rows = []
    for name, base in base_models.items():
        folder = Path(base.path) if base.path else _downloaded(base)
        if folder is None or _is_there(folder):
            rows.append(ModelRow(name, _changed_at(folder), SYSTEM))
    names = {row.name for row in rows}
    for tuned in store.models.available(project):
        if tuned.name not in names and has_weights(store, tuned):
            rows.append(ModelRow(tuned.name, tuned.created_at, ORGANIZATION))
            names.add(tuned.name)
    return rows


def has_weights(store: Store, tuned: TunedModel) -> bool:
    """Whether the weights of a model are there.

    Raises:
        StoreError: their folder cannot be read.
    """
    return _is_there(weights_of(store, tuned))


def weights_of(store: Store, tuned: TunedModel) -> Path:
    """The folder that has the weights of a model."""
    # Whole: the process that answers works in a folder of its own.
    return store.job_folder(tuned.job_id).absolute() / tuned.folder / WEIGHTS


def _is_there(folder: Path) -> bool:
    """Whether there is anything in a folder.

    Raises:
        StoreError: it cannot be read.
    """
    with our_errors("The model", folder, cannot="be read"):
        try:
            with os.scandir(folder) as entries:
                return next(entries, None) is not None
        except (FileNotFoundError, NotADirectoryError):
            return False


def _base_folder(name: str, base: BaseModel) -> Path | None:
    """The folder of a base model; None if it is gone.

    Raises:
        NotDownloaded: it is one of the Hub that was never downloaded.
    """
    folder = Path(base.path) if base.path else _downloaded(base)
    if folder is None:
        revision = f" --revision {base.revision}" if base.revision else ""
        raise NotDownloaded(
            f"The model '{name}' is not on this machine yet: the first job that trains it downloads it, or "
            f"`hf download {base.hub}{revision}`."
        )
    return folder if _is_there(folder) else None


def _downloaded(base: BaseModel) -> Path | None:
    """Where the Hub's package keeps a model; None if it has none with weights."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path("~", ".cache")
    home = os.environ.get("HF_HOME") or Path(folder, "huggingface")
    cache = os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")
    # Without a home folder the `~` stays, as in the package itself.
    kept = Path(os.path.expanduser(cache)) / f"models--{base.hub.replace('/', '--')}"
    commit = base.revision or "main"
    with suppress(OSError, ValueError):  # else it is the commit itself, or there is none
        commit = (kept / "refs" / commit).read_text(encoding="ascii").strip()
    folder = kept / "snapshots" / commit
    whole = (folder / _CONFIG).is_file() and any(folder.glob(_WEIGHT_FILES))
    return folder if whole else None


def _identity(tuned: TunedModel, folder: Path) -> str:
    """Changes with the weights of a checkpoint, and with those that its adapters belong to."""
    try:
        base = json.loads((folder / _ADAPTERS).read_text(encoding="utf-8"))[_BASE]
        return f"{tuned.digest}-{_stamp(Path(base))}"
    except (OSError, StoreError, ValueError, TypeError, KeyError):
        return (
            tuned.digest
        )  # all weights are in the checkpoint, or its base model cannot be loaded either


def _stamp(folder: Path) -> str:
    """Changes when a file in a folder is written; no content is read."""
    found = hashlib.sha256(os.fsencode(folder))
    for line in sorted(_files(folder)):
        found.update(line)
    return found.hexdigest()


def _files(folder: Path) -> Iterator[bytes]:
    with our_errors("The model", folder, cannot="be read"), os.scandir(folder) as entries:
        for entry in entries:
            found = entry.stat()
            yield b"%b %d %d\n" % (os.fsencode(entry.name), found.st_size, found.st_mtime_ns)


def _changed_at(folder: Path | None) -> int:
    try:
        return 0 if folder is None else int(folder.stat().st_mtime)
    except OSError:
        return 0
