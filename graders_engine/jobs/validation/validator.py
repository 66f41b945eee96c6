"""Checks one new job, in a process of its own: `python -m graders_engine.jobs.validation.validator DIR ID`.

Files may be large, and a model may have to be downloaded: the server answers meanwhile. What has started
the check holds a pipe to its standard input, and the check ends with it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from graders_engine.errors import GradersError
from graders_engine.jobs.place import is_full
from graders_engine.jobs.validation.trainer_check import CheckDied
from graders_engine.jobs.validation.validating import validate
from graders_engine.models.config import Config, read_config
from graders_engine.processes import end_own_group
from graders_engine.storage.store import Store

FULL_DISK = 74
"""Exit code of a check that could not be done for want of room: that is no fault of its job."""


def main(folder: str, job_id: str, config: str = "") -> None:
    """Check a job.

    Args:
        folder: of the store.
        job_id: of the job.
        config: path of graders.toml; empty without one.
    """
    read = read_config(Path(config)) if config else Config()
    try:
        with Store(Path(folder)) as store:
            validate(store, job_id, read)
    except CheckDied as error:
        sys.exit(str(error))
    except (GradersError, OSError) as error:
        if not is_full(error):
            raise
        sys.exit(FULL_DISK)


def end_with_server() -> None:
    """End this process, and all that it has started, when nobody holds the other end of its standard input.

    Else nobody could end a check that hangs, and the next server would start another one beside it.
    """

    def wait() -> None:
        while os.read(
            0, 1
        ):  # not by `sys.stdin`, whose lock the end of this process would wait for
            pass
        end_own_group()

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with_server()
    main(*sys.argv[1:])
