"""Ids of what is kept, in the hosted API's forms."""

from __future__ import annotations

import re
import secrets

DEFAULT_PROJECT = "default"
"""Whose everything is, unless a key says otherwise."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def new_file_id() -> str:
    """`file-` and 24 hexadecimal digits."""
    return f"file-{secrets.token_hex(12)}"


def new_eval_id() -> str:
    """`eval_` and 32 hexadecimal digits."""
    return f"eval_{secrets.token_hex(16)}"


def new_run_id() -> str:
    """`evalrun_` and 32 hexadecimal digits."""
    return f"evalrun_{secrets.token_hex(16)}"


def new_job_id() -> str:
    """`ftjob-` and 24 hexadecimal digits."""
    return f"ftjob-{secrets.token_hex(12)}"


def new_event_id() -> str:
    """`ftevent-` and 24 hexadecimal digits."""
    return f"ftevent-{secrets.token_hex(12)}"


def new_checkpoint_id() -> str:
    """`ftckpt_` and 24 hexadecimal digits."""
    return f"ftckpt_{secrets.token_hex(12)}"


def new_permission_id() -> str:
    """`cp_` and 24 hexadecimal digits."""
    return f"cp_{secrets.token_hex(12)}"


def is_name(id: str) -> bool:  # noqa: A002 - the wire's word
    """Whether an id can be the name of a file or folder."""
    return _ID.fullmatch(id) is not None


def as_name(id: str) -> str:  # noqa: A002 - the wire's word
    """An id as the name of a file or folder.

    Raises:
        ValueError: it could lead to another folder.
    """
    if not is_name(id):
        raise ValueError(f"{id[:40]!r} cannot be the name of a file")
    return id
