"""Files as they are on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from graders_engine.errors import Mistake
from graders_engine.server.responses import Refused
from graders_engine.storage.files import StoredFile
from graders_engine.storage.pages import Found

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
"""What a file can be uploaded for."""
OUTPUT_PURPOSES = ("assistants_output", "batch_output", "fine-tune-results")
"""What other files are for."""


def file_object(file: StoredFile) -> dict[str, Any]:
    """A file as it is answered; one that can be asked for is always processed."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def list_object(objects: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page of a list as it is answered."""
    return {
        "object": "list",
        "data": objects,
        "first_id": objects[0]["id"] if objects else None,
        "last_id": objects[-1]["id"] if objects else None,
        "has_more": has_more,
    }


def file_list(found: Found[StoredFile]) -> dict[str, Any]:
    """A page of files as it is answered."""
    return list_object([file_object(file) for file in found.data], has_more=found.has_more)


def deleted_file(id: str) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The answer to a file's deletion."""
    return {"id": id, "object": "file", "deleted": True}


def no_file(id: str) -> Refused:  # noqa: A002 - the wire's word
    """The answer where there is no such file, or another project has it."""
    return Refused(404, Mistake(f"No such File object: {id[:100]}", "id", "not_found"))


def disposition(name: str) -> str:
    """The header that gives a download its name, whatever characters that has."""
    plain = "".join(char if char.isascii() and char.isprintable() else "_" for char in name)
    plain = plain.replace("\\", "_").replace('"', "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
