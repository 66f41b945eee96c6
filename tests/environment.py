"""The environment for commands whose signals and files a test looks at."""

from __future__ import annotations

import os


def unmeasured() -> dict[str, str]:
    """This process's environment, without what makes coverage measure processes that it starts.

    Coverage handles SIGTERM, and writes files of its own.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


DISK = "disk-of-a-test"
"""By this name tests that look at what is mounted know a disk that another test mounts meanwhile."""
