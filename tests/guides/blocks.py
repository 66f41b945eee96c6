"""The blocks of a guide, and what they do in a shell.

    ```sh            pasted, must succeed; a ```text block right below it is its whole output
    ```console       `$ command` lines are pasted, the lines between them are what they print; they may fail
    ```python        a program; `print(...)  # 0.5` is a line of its output
    ```json a.json   the content of that file, in any language
    ```yaml          other languages only show something, which must be valid

`…` in an output stands for any text within its line, and on a line of its own for any lines. The ports 8801
to 8809 are replaced by free ones. A language with `needs NAME` behind it is left out where neither a module
nor a command of this name is installed; warnings are errors in Python, but not there: they may be that
package's own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from graders_engine.documents.load import load

_BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"\b880[1-9]\b")
_END = "----- end of a block -----"


@dataclass(frozen=True)
class Block:
    """A block of a guide: ("json", "grader.json", '{"type": …}')."""

    language: str
    more: str
    text: str

    @property
    def file(self) -> str:
        """The file that it is the content of, or nothing."""
        return "" if self.more.startswith("needs ") else self.more

    @property
    def runs(self) -> bool:
        needed = self.more.removeprefix("needs ") if self.more.startswith("needs ") else ""
        missing = needed and not find_spec(needed) and not shutil.which(needed)
        return not missing and (self.language in ("sh", "console", "python") or bool(self.file))


def blocks_of(guide: str) -> list[Block]:
    return [Block(*(part or "" for part in found)) for found in _BLOCK.findall(guide)]


def pasted(block: Block) -> str:
    """What a block is for a shell."""
    if block.file:
        folder = f"mkdir -p {Path(block.file).parent}\n"
        return f"{folder}cat > {block.file} << 'END_OF_FILE'\n{block.text}END_OF_FILE\n"
    if block.language == "python":
        strict = "" if block.more else "-W error "
        return f"python {strict}- << 'END_OF_PYTHON'\n{block.text}END_OF_PYTHON\n"
    if block.language == "console":
        return "".join(f"{{ {command}\n}} || true\n" for command in _commands(block))
    return block.text


def _commands(block: Block) -> list[str]:
    found: list[str] = []
    continued = False
    for line in block.text.splitlines():
        if continued:
            found[-1] += f"\n{line}"
        elif line.startswith("$ "):
            found.append(line.removeprefix("$ "))
        continued = line.endswith("\\") and (continued or line.startswith("$ "))
    return found


def _shown(block: Block, after: Block | None) -> str | None:
    """What the block prints, as far as the guide shows it; None if it does not."""
    if block.file:
        return None
    if block.language == "console":
        kept, continued = [], False
        for line in block.text.splitlines():
            typed = continued or line.startswith("$ ")
            continued = typed and line.endswith("\\")
            if not typed:
                kept.append(line)
        return "\n".join(kept)
    if block.language == "python":
        found = re.findall(r"print\(.*\)  # (.*)$", block.text, re.MULTILINE)
        return "\n".join(found) if found else None
    return after.text if after and after.language == "text" and not after.more else None


def agrees(shown: str, printed: str) -> bool:
    """Whether an output is what the guide shows; blanks at the ends of lines do not count."""
    lines = [line.rstrip() for line in shown.strip().splitlines()]
    pattern = "\n".join(
        "(?:.*)" if line == "…" else re.escape(line).replace("…", "[^\n]*") for line in lines
    )
    output = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(pattern, output, re.DOTALL) is not None


def require_valid(block: Block) -> None:
    """Data that a guide shows can be read.

    Raises:
        ValueError: it cannot.
    """
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        load(block.text, "a block", name="block.yaml")
    elif block.language == "toml":
        tomllib.loads(block.text)


def with_free_ports(text: str) -> str:
    free: dict[str, str] = {}
    for port in sorted(set(_PORT.findall(text))):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free[port] = str(probe.getsockname()[1])
    return _PORT.sub(lambda found: free[found[0]], text)


def run_blocks(guide: str, folder: Path, environment: Mapping[str, str] = {}) -> None:
    """Paste the blocks of a guide into one shell, in an empty folder, and compare what they print.

    Raises:
        AssertionError: a block fails, or prints what the guide does not show.
    """
    blocks = blocks_of(with_free_ports(guide))
    run = [block for block in blocks if block.runs]
    script = "set -eo pipefail\n" + "".join(
        f"{pasted(block)}\nprintf '%s\\n' '{_END}'\n" for block in run
    )
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=folder, env={**_environment(folder), **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = shell.communicate()
    finally:  # a shell that is killed does not end the servers that it has started
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    printed = output.split(f"{_END}\n")
    last = run[min(len(printed), len(run)) - 1].text if run else ""
    assert shell.returncode == 0, f"{last}\nprinted:\n{printed[-1]}"
    for block, output in zip(run, printed, strict=False):
        at = blocks.index(block)
        shown = _shown(block, blocks[at + 1] if at + 1 < len(blocks) else None)
        assert shown is None or agrees(shown, output), f"{block.text}\nprinted:\n{output}"


def _environment(home: Path) -> dict[str, str]:
    """That of a user who has activated the environment and has no settings of their own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GRADERS_", "OPENAI_", "COLUMNS", "LINES"))
    }
    commands = str(Path(sys.executable).parent)
    return kept | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home / ".home"),
    }
