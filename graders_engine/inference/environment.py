"""The environment of the process that answers: it asks nobody, so it has no key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_PASSED = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|XDG_\w+|PYTHON(?:PATH|HOME|UTF8)|LD_LIBRARY_PATH"
    r"|OMP_NUM_THREADS|(?:CUDA|NVIDIA|NCCL|TORCH|PYTORCH|ROCR|HIP|TRITON|TORCHINDUCTOR|VLLM)_\w+"
)
_KEYS = re.compile(r"\w*(?:KEY|TOKEN|SECRET|PASSWORD)\w*", re.IGNORECASE)


def is_passed(name: str) -> bool:
    """Whether the process that answers gets this variable: so must who may start it."""
    return bool(_PASSED.fullmatch(name)) and not _KEYS.fullmatch(name)


def environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of this process that the one that answers gets, and that it loads nothing from a hub."""
    passed = {name: value for name, value in given.items() if is_passed(name)}
    # In its log, what it has printed stands before the reason of its death.
    return {**passed, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
