"""Checks one new job, in a process of its own: `python -m graders_engine.jobs.validation.validator DIR ID`.

Files may be large, and a model may have to be downloaded: the server answers meanwhile.
"""

from __future__ import annotations

import sys
from pathlib import Path

from graders_engine.jobs.validation.validating import validate
from graders_engine.models.config import Config, read_config
from graders_engine.storage.store import Store


def main(folder: str, job_id: str, config: str = "") -> None:
    """Check a job.

    Args:
        folder: of the store.
        job_id: of the job.
        config: path of graders.toml; empty without one.
    """
    read = read_config(Path(config)) if config else Config()
    with Store(Path(folder)) as store:
        validate(store, job_id, read)


if __name__ == "__main__":
    main(*sys.argv[1:])
