"""Reads a python source in a process of its own, with limits on time and memory.

The time and the memory that Python's parser takes grow with the square of some sources, and a long source
may be hostile. This file is also that process's program; it runs without site packages, so the reader that
it calls imports the standard library and modules of this package that do the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

SHORT = 8 << 10
"""Characters up to which a source is read in this process: the worst takes some 50 ms and 30 MB."""
_LIMIT_S = 10
_LIMIT_BYTES = 2 << 30


class SourceUnread(Exception):
    """Raised if a source was not read; the message is a clause that says why."""


class NoProcess(Exception):
    """Raised if this system refuses another process."""


def read_apart(module: str, source: str) -> dict[str, Any]:
    """What `read_json(source)` of a module gives in a process of its own.

    Raises:
        NoProcess: there is no such process to be had.
        SourceUnread: it needed more time or memory than it has.
    """
    try:
        done = subprocess.run(  # noqa: S603 - this file, by the Python that runs it now
            [sys.executable, "-S", "-P", "-s", __file__, module],
            input=source.encode("utf-8", "surrogatepass"),
            capture_output=True,
            timeout=_LIMIT_S,
            check=True,
        )
    except OSError as error:
        raise NoProcess(str(error)) from None
    except subprocess.TimeoutExpired:
        raise SourceUnread(f"within {_LIMIT_S} s") from None
    except subprocess.CalledProcessError as error:
        raise SourceUnread(f"its process ended with {error.returncode}") from None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _main() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_LIMIT_S, _LIMIT_S))
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (_LIMIT_BYTES, _LIMIT_BYTES))
    source = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
    sys.path.append(str(Path(__file__).parents[2]))
    sys.stdout.write(json.dumps(import_module(sys.argv[1]).read_json(source)))


if __name__ == "__main__":
    _main()
