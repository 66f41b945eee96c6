"""Take the weights of a job out of its store: a folder that other programs load."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from graders_engine.errors import InvalidRequest
from graders_engine.jobs.place import MODEL
from graders_engine.storage.job_records import StoredCheckpoint
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store

_ADAPTER = "adapter_config.json"
_MERGE = """
import sys
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer
source, target = sys.argv[1:3]
model = AutoPeftModelForCausalLM.from_pretrained(source, torch_dtype="auto")
model.merge_and_unload().save_pretrained(target)
AutoTokenizer.from_pretrained(source).save_pretrained(target)
"""


def checkpoint_of(store: Store, job: StoredJob, step: int | None) -> StoredCheckpoint:
    """A checkpoint of a job.

    Args:
        store: where the job is.
        job: the job.
        step: of the checkpoint; None for the newest.

    Raises:
        InvalidRequest: there is none; the message names those that there are.
    """
    kept = store.jobs.all_checkpoints(job.id)
    if not kept:
        raise InvalidRequest(f"The job {job.id} is {job.status} and has no checkpoint.")
    if step is None and job.status == "succeeded" and not kept[-1].final:
        steps = ", ".join(str(one.step) for one in kept)
        raise InvalidRequest(
            f"The model of the job {job.id} was deleted. --step N exports an earlier checkpoint: {steps}."
        )
    if step is None:
        return kept[-1]
    for one in kept:
        if one.step == step:
            return one
    steps = ", ".join(str(one.step) for one in kept)
    raise InvalidRequest(f"The job {job.id} has no checkpoint of step {step}; there are {steps}.")


def export_model(
    store: Store, kept: StoredCheckpoint, target: Path, *, python: str = "", merge: bool = True
) -> bool:
    """Write the weights of a checkpoint into a new folder; whether adapters were merged into the model.

    Args:
        store: where the checkpoint is.
        kept: the checkpoint.
        target: the folder, which must not exist or be empty.
        python: that has the packages of training; empty for this one.
        merge: whether adapters become a model of their own.

    Raises:
        InvalidRequest: the folder has something in it, there are no adapters, or they cannot be merged.
        OSError: the weights cannot be read or written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidRequest(f"{target} exists already: name a new folder.")
    source = store.job_folder(kept.job_id) / kept.folder / MODEL
    if not merge and not (source / _ADAPTER).exists():
        raise InvalidRequest(
            f"The job {kept.job_id} has no adapters: all weights were trained. Leave --adapters out."
        )
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    merged = merge and (source / _ADAPTER).exists()
    try:
        if merged:
            _merge(source, part, python or sys.executable)
        else:
            shutil.copytree(source, part)
        if target.exists():
            target.rmdir()
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return merged


def _merge(source: Path, target: Path, python: str) -> None:
    """Load adapters with their base model, and write the sum of both.

    Raises:
        InvalidRequest: that cannot be done.
    """
    try:
        done = subprocess.run(  # noqa: S603 - graders.toml has the path
            [python, "-c", _MERGE, str(source), str(target)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise InvalidRequest(f"{python} cannot be started: {error.strerror}.") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason is given"])[-1]
        raise InvalidRequest(
            f"The adapters cannot be merged into their base model: {reason}. --adapters writes them as they "
            "are."
        )
