"""How `accelerate launch` is called for a job that several processes train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_ANY_PORT = "0"


def launcher_options(config: Path) -> list[str]:
    """The options of the launcher, before what it launches.

    On one machine the processes meet at a port that is free, so that two jobs may train at a time; several
    machines, and a file that names a port, have the one of the file.

    Args:
        config: a file of `accelerate config`.
    """
    options = ["--config_file", str(config)]
    found = _read(config)
    alone = found.get("num_machines", 1) == 1 and found.get("main_process_port") is None
    return [*options, "--main_process_port", _ANY_PORT] if alone else options


def _read(config: Path) -> dict[str, Any]:
    """What the file says; nothing where it cannot be read, which the launcher will say."""
    try:
        found = YAML(typ="safe", pure=True).load(config.read_bytes())
    except (OSError, YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
