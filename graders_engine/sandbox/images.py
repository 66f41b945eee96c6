"""Images: named environments that graders run in, built once and kept in the user's data folder.

An image is a virtual environment with exactly the packages that its definition names, and data for
NLTK. It is built with `uv` if that is installed, else with `venv` and `pip`. NLTK data that cannot be
downloaded is reported and recorded: graders that do not use it work without.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from graders_engine.home import user_folder
from graders_engine.sandbox.advice import refuse
from graders_engine.sandbox.base import SandboxError
from graders_engine.sandbox.inside.plan import NONE

_RECORD = "image.json"  # written last: a folder without it is an unfinished build
_BUILD_TIMEOUT_S = 3600
_NLTK_TIMEOUT_S = 60
_ANOTHER = "name a folder for them with GRADERS_DATA"
_DOWNLOAD = (
    "import nltk, sys; sys.exit(0 if nltk.download(sys.argv[1], download_dir=sys.argv[2], quiet=True)"
    " else 1)"
)


class ImageError(SandboxError):
    """Raised for an image that is unknown, not built, or cannot be built here."""

    type = "image_error"


@dataclass(frozen=True, slots=True)
class Definition:
    """What an image contains.

    Attributes:
        packages: requirements, as pip takes them.
        nltk_data: names of NLTK data packages.
        pythons: the versions with wheels of all packages, the preferred one first.
    """

    packages: tuple[str, ...]
    nltk_data: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ("3.11", "3.12", "3.13")


#: the documented images (API reference, "Python grader": the list of packages)
DOCUMENTED = {
    "2025-05-08": Definition(
        packages=(
            *("numpy==2.2.4", "scipy==1.15.2", "sympy==1.13.3", "pandas==2.2.3"),
            *("rapidfuzz==3.10.1", "scikit-learn==1.6.1", "rouge-score==0.1.2", "deepdiff==8.4.2"),
            *("jsonschema==4.23.0", "pydantic==2.10.6", "pyyaml==6.0.2", "nltk==3.9.1"),
            *("sqlparse==0.5.3", "rdkit==2024.9.6", "scikit-bio==0.6.3", "ast-grep-py==0.36.2"),
        ),
        nltk_data=("punkt", "stopwords", "wordnet", "omw-1.4", "names"),
    )
}
ALIASES = {"alpha": "2025-05-08"}


@dataclass(frozen=True, slots=True)
class Image:
    """An image that has been built.

    Attributes:
        tag: its name.
        folder: its path.
        interpreter: the path of its Python, for a `Program`.
        python: the version of that Python.
        missing_data: NLTK data that could not be downloaded when it was built.
    """

    tag: str
    folder: str
    interpreter: str
    python: str
    missing_data: tuple[str, ...] = ()


def home() -> Path:
    """The folder of all images: below GRADERS_DATA, else below the user's data folder.

    Raises:
        ImageError: there is no home folder.
    """
    base = os.environ.get("GRADERS_DATA")
    if base:
        return Path(base) / "images"
    data = user_folder("XDG_DATA_HOME")
    if data is None:
        raise ImageError(f"there is no home folder, where images are kept; {_ANOTHER}")
    return data / "graders-engine" / "images"


def definition(tag: str, custom: Mapping[str, Definition] | None = None) -> Definition:
    """The definition of a tag; the user's `custom` ones come first.

    Raises:
        ImageError: the tag is unknown.
    """
    tag = ALIASES.get(tag, tag)
    found = (custom or {}).get(tag) or DOCUMENTED.get(tag)
    if found is None:
        known = ", ".join(sorted({*DOCUMENTED, *ALIASES, *(custom or {})}))
        raise ImageError(f"no image is called {tag!r}; known images: {known}")
    return found


def find(tag: str) -> Image | None:
    """The image of that tag or alias; None when it has not been built."""
    try:
        folder = home() / ALIASES.get(tag, tag)
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, ImageError):
        return None
    python = str(folder / "bin" / "python")
    return Image(folder.name, str(folder), python, record["python"], tuple(record["missing_data"]))


def built() -> list[Image]:
    """All images that have been built, sorted by tag."""
    try:
        names = sorted(os.listdir(home()))
    except (OSError, ImageError):
        names = []
    images = (find(name) for name in names if not name.startswith("."))
    return [image for image in images if image is not None]


def remove(tag: str) -> None:
    """Delete an image.

    Raises:
        ImageError: no image of that tag has been built.
    """
    folder = home() / ALIASES.get(tag, tag)
    if not tag or not folder.is_dir() or folder.parent != home():
        raise ImageError(f"no image {tag!r} has been built")
    shutil.rmtree(folder)
    shutil.rmtree(_aside(folder), ignore_errors=True)


def build(
    tag: str,
    custom: Mapping[str, Definition] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Image:
    """Build an image from scratch, in place of one that is there, which stays if the build fails.

    Args:
        tag: its name or alias.
        custom: the user's definitions.
        on_step: called with a line of text for each step.

    Raises:
        ImageError: the tag is unknown, another process builds it, or this machine lacks a Python or
            a wheel for it.
    """
    wanted = definition(tag, custom)
    try:
        refuse(NONE)
    except SandboxError as error:  # no grader could use it
        raise ImageError(str(error)) from None
    folder = home() / ALIASES.get(tag, tag)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{error.filename}: {error.strerror}; {_ANOTHER}") from None
    with _lock(folder), _replacing(folder):
        python = _make(folder, wanted, on_step)
        missing = tuple(n for n in wanted.nltk_data if not _fetch(folder, n, on_step))
        record = {"python": python, "missing_data": missing, "packages": wanted.packages}
        (folder / _RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return Image(folder.name, str(folder), str(folder / "bin" / "python"), python, missing)


def _aside(folder: Path) -> Path:
    """Where an image is while another one is built in its place."""
    return folder.with_name(f".{folder.name}.before")


@contextlib.contextmanager
def _replacing(folder: Path) -> Iterator[None]:
    """Keep what is in a folder aside, and put it back if what is made in its place fails."""
    aside = _aside(folder)
    if aside.exists() and not (folder / _RECORD).exists():  # a build was killed before its end
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if aside.exists():
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    import fcntl

    with open(folder.with_name(f".{folder.name}.lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ImageError(f"another process is building the image {folder.name}") from None
        yield


def _make(folder: Path, wanted: Definition, on_step: Callable[[str], None]) -> str:
    """Make the environment and install the packages; the version of its Python."""
    uv = shutil.which("uv")
    python, version = _python_for(wanted, uv)
    on_step(f"Creating an environment for Python {version} in {folder}")
    if uv:
        _run([uv, "venv", "--quiet", "--python", python, str(folder)])
        install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
        install += ["--compile-bytecode"]
    else:
        _run([python, "-m", "venv", *([] if wanted.packages else ["--without-pip"]), str(folder)])
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        install += ["--disable-pip-version-check"]
    if wanted.packages:
        on_step(f"Installing {len(wanted.packages)} packages with {'uv' if uv else 'pip'}")
        _run([*install, *wanted.packages])
    return version


def _python_for(wanted: Definition, uv: str | None) -> tuple[str, str]:
    """A Python of a version that has wheels for all packages: its path or name, and the version."""
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    if mine in wanted.pythons:
        return os.path.realpath(sys.executable), mine
    for version in wanted.pythons:
        found = shutil.which(f"python{version}")
        if found:
            return found, version
    if uv:
        return wanted.pythons[0], wanted.pythons[0]  # uv downloads it
    raise ImageError(
        f"this image needs Python {' or '.join(wanted.pythons)}: its packages have no wheels for {mine}."
        " Install one of these versions, or uv, which downloads one"
    )


def _run(command: list[str]) -> None:
    try:
        subprocess.run(  # noqa: S603 - uv, pip or venv, with the definition's packages
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=_BUILD_TIMEOUT_S,
            umask=0o022,  # graded code runs as another user, and must be able to read it
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-5:]
        raise ImageError(f"{' '.join(command[:4])} ... failed:\n" + "\n".join(last)) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageError(f"{command[0]} could not be run: {error}") from None


def _fetch(folder: Path, name: str, on_step: Callable[[str], None]) -> bool:
    """Download one NLTK data package; whether that worked."""
    target = folder / "nltk_data"
    target.mkdir(exist_ok=True)
    command = [str(folder / "bin" / "python"), "-c", _DOWNLOAD, name, str(target)]
    try:
        done = subprocess.run(  # noqa: S603 - the image's own Python
            command, capture_output=True, timeout=_NLTK_TIMEOUT_S, umask=0o022, check=False
        )
        downloaded = done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        downloaded = False
    if not downloaded:
        on_step(f"Could not download the NLTK data {name!r}; graders that use it will fail")
    return downloaded
