"""Where an import of hosted evals writes its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graders_engine.files import FilesInUse, require_regular, write_whole


class ImportOutputs:
    """Where files are written, after a check that each is a new file or that of an earlier import.

    Args:
        inputs: the export.
    """

    def __init__(self, inputs: Sequence[Path]) -> None:
        self._files = FilesInUse(dict.fromkeys(inputs, "a file of the export itself"))

    def check(self, path: Path) -> None:
        """Make the folder of a file that is about to be written.

        Raises:
            DataSetError: it is an input, or no regular file.
        """
        self._files.write({path: "a file of the import"})
        require_regular(path, "The import cannot be written")
        path.parent.mkdir(parents=True, exist_ok=True)

    def write_json(self, path: Path, value: Any) -> None:
        """Write a JSON file."""
        self.check(path)
        text = json.dumps(value, indent=2, ensure_ascii=False)
        write_whole(path, f"{text}\n".encode(errors="backslashreplace"))
