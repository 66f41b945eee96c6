"""WordNet 3.0's dict files, which nltk needs and from which this project's table is made.

They are those of Debian's `wordnet-base`: installed, or downloaded and unpacked without root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

INSTALLED = Path("/usr/share/wordnet")

# WordNet's lexicographer files in order, from its manual page lexnames(5WN); Debian leaves the file
# out, nltk wants it: number, name and part of speech on each of 45 lines.
_LEXNAMES = {
    1: "Tops act animal artifact attribute body cognition communication event feeling food group "
    "location motive object person phenomenon plant possession process quantity relation shape "
    "state substance time",
    2: "body change cognition communication competition consumption contact creation emotion "
    "motion perception possession social stative weather",
}


class NoWordNet(Exception):
    """The files are not installed and could not be downloaded."""


def dictionary(folder: Path) -> Path:
    """The folder with WordNet's dict files; downloads them to `folder` if they are not installed.

    Raises:
        NoWordNet: with the reason.
    """
    downloaded = folder / "dict"
    for place in (INSTALLED, downloaded):
        if (place / "data.noun").exists():
            return place
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        try:
            _run(work, "apt-get", "download", "wordnet-base")
        except NoWordNet:
            # A fresh machine has no package lists yet; without root this fails with a message.
            _run(work, "apt-get", "update")
            _run(work, "apt-get", "download", "wordnet-base")
        (package,) = Path(work).glob("wordnet-base_*.deb")
        _run(work, "dpkg-deb", "-x", str(package), "unpacked")
        try:
            os.replace(Path(work) / "unpacked/usr/share/wordnet", downloaded)
        except OSError:
            if not (downloaded / "data.noun").exists():  # another process may have been faster
                raise
    return downloaded


def nltk_data(folder: Path) -> Path:
    """A folder for `nltk.data.path` that has WordNet.

    Raises:
        NoWordNet: with the reason.
    """
    source = dictionary(folder)
    corpus = folder / "nltk_data/corpora/wordnet"
    if not (corpus / "lexnames").exists():
        corpus.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=corpus.parent) as work:
            made = Path(work) / "wordnet"
            shutil.copytree(source, made)
            (made / "lexnames").write_text(_lexnames())
            # Needed only to translate between versions of WordNet, but nltk opens it regardless.
            (made / "index.sense").touch()
            try:
                os.replace(made, corpus)
            except OSError:
                if not (corpus / "lexnames").exists():
                    raise
    return folder / "nltk_data"


def _lexnames() -> str:
    lines = [("adj.all", 3), ("adj.pert", 3), ("adv.all", 4)]
    lines += [(f"noun.{name}", 1) for name in _LEXNAMES[1].split()]
    lines += [(f"verb.{name}", 2) for name in _LEXNAMES[2].split()]
    lines += [("adj.ppl", 3)]
    return "".join(f"{number:02}\t{name}\t{part}\n" for number, (name, part) in enumerate(lines))


def _run(folder: str, *command: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=180, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NoWordNet(f"{' '.join(command)}: {problem}") from problem
    if done.returncode:
        raise NoWordNet(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
