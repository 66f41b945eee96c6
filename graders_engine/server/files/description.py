"""What the OpenAPI document says about the routes of files."""

from __future__ import annotations

from typing import Any

from graders_engine.server.files.form import (
    ANCHOR,
    FILE,
    LEAST_EXPIRY_S,
    MOST_EXPIRY_S,
    PURPOSE,
    SECONDS,
)
from graders_engine.server.files.wire import OUTPUT_PURPOSES, PURPOSES
from graders_engine.server.routes import Operation

_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_NO_FILE = {"404": "There is no such file, or another project has it."}


def _object(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def page_schema(name: str) -> dict[str, Any]:
    """The schema of a page of a list.

    Args:
        name: the schema of its objects.
    """
    return _object(
        {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}},
            "first_id": _TEXT_OR_NULL,
            "last_id": _TEXT_OR_NULL,
            "has_more": {"type": "boolean"},
        }
    )


SCHEMAS: dict[str, Any] = {
    "UploadRequest": _object(
        {
            FILE: {"type": "string", "format": "binary", "description": "With a file name."},
            PURPOSE: {"enum": [*PURPOSES]},
            ANCHOR: {"const": "created_at"},
            SECONDS: {
                "type": "integer",
                "minimum": LEAST_EXPIRY_S,
                "maximum": MOST_EXPIRY_S,
                "description": "The file is gone so long after its upload.",
            },
        },
        ANCHOR, SECONDS,
    ),
    "File": _object(
        {
            "id": _TEXT,
            "object": {"const": "file"},
            "bytes": _COUNT,
            "created_at": {**_COUNT, "description": "Seconds since 1970."},
            "expires_at": {"type": ["integer", "null"], "description": "Seconds since 1970."},
            "filename": _TEXT,
            "purpose": {"enum": [*PURPOSES, *OUTPUT_PURPOSES]},
            "status": {"const": "processed"},
            "status_details": {"type": "null"},
        }
    ),
    "FileList": page_schema("File"),
    "DeletedFile": _object(
        {"id": _TEXT, "object": {"const": "file"}, "deleted": {"const": True}}
    ),
    "Content": {"type": "string", "format": "binary"},
}  # fmt: skip

CREATE = Operation(
    "create_file",
    "Upload a file. It is stored as it is; what uses it checks what is in it.",
    "UploadRequest",
    "File",
    takes="multipart/form-data",
    errors={
        "400": "The form is wrong, or the files would take more room than they may.",
        "403": "A page of another site sent it, or the `Host` header has a name that is not this server's.",
        "413": "The file is too long.",
        "415": "The body is no form.",
        "500": "The disk is full, or an internal error.",
    },
)
LIST = Operation(
    "list_files",
    "List the files.",
    "",
    "FileList",
    query={
        "after": {"type": "string", "description": "The id of the last file of the page before."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 10000, "default": 10000},
        "order": {"enum": ["asc", "desc"], "default": "desc"},
        "purpose": {"enum": [*PURPOSES, *OUTPUT_PURPOSES]},
    },
    errors={"400": "A parameter is wrong."},
)
RETRIEVE = Operation("retrieve_file", "Show a file.", "", "File", errors=_NO_FILE)
DELETE = Operation(
    "delete_file",
    "Delete a file.",
    "",
    "DeletedFile",
    errors={**_NO_FILE, "400": "A fine-tuning job that has not ended has it."},
)
CONTENT = Operation(
    "download_file",
    "The content of a file.",
    "",
    "Content",
    gives="application/octet-stream",
    errors=_NO_FILE,
)
