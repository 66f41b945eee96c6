"""Models of the Hugging Face Hub: downloaded when a job names one for the first time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""What a model is loaded from; weights in other forms stay where they are."""
_DOWNLOAD = f"""
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1], revision=sys.argv[2] or None, allow_patterns={list(_FILES)!r}))
"""


class NotDownloaded(Exception):
    """Raised when a model cannot be had; the message is a sentence."""


def downloaded(hub: str, revision: str, python: str) -> Path:
    """The folder of a model of the Hub; nothing is downloaded that is there already.

    Args:
        hub: its name.
        revision: which version; empty for the newest.
        python: that has the packages of training; empty for this one.

    Raises:
        NotDownloaded: there is no such model, no network, or no package for it.
    """
    command = [python or sys.executable, "-c", _DOWNLOAD, hub, revision]
    try:
        done = subprocess.run(  # noqa: S603 - graders.toml has the name
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise NotDownloaded(
            f"{Path(command[0]).name} cannot be started: {error.strerror}."
        ) from None
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode or not lines:
        raise NotDownloaded(
            f"it cannot be downloaded: {lines[-1] if lines else 'no reason is given'}"
        )
    return Path(lines[-1])
