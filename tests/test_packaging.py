"""What the build puts into a wheel, with and without a compiler; `.ci/packaging` installs them, too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CHECKOUT = Path(__file__).parents[1]
CORE = "graders_engine/metrics/_core.abi3.so"
NATIVE = "graders_engine/metrics/native/"
PURE_TAG = "py3-none-any"
HATCHLING = ("-m", "hatchling", "build", "-t", "wheel", "-d")
PIP = (
    *("-m", "pip", "--isolated", "wheel", "--quiet", "--disable-pip-version-check", "--no-index"),
    *("--no-deps", "--no-build-isolation", ".", "-w"),
)
EDITABLE = (
    "-c",
    "import sys; from hatchling.build import build_editable as build; build(sys.argv[1])",
)
needs_compiler = pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ compiler")


class Built(NamedTuple):
    """What a build printed, and its wheel: the tag of its name, and the files in it."""

    output: str
    tag: str
    files: set[str]
    wheel: Path


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution of the checkout: no test builds in that itself, whose core others use."""
    folder = tmp_path_factory.mktemp("sdist")
    ended = run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder], CHECKOUT)
    assert ended.returncode == 0, ended.stdout
    (archive,) = folder.glob("*.tar.gz")
    # Python 3.11.2, which is Debian's, has no filters; later ones warn without.
    safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    shutil.unpack_archive(archive, folder, **safe)
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A compiler that makes each file once, and later copies it: the sources stay the same."""
    folder = tmp_path_factory.mktemp("compiler")
    script = 'for last; do :; done; made=$0.$(basename "$last"); [ -f "$made" ] || c++ "$@" || exit'
    return compiler(folder, f'{script}; [ -f "$made" ] || cp "$last" "$made"; cp "$made" "$last"')


@pytest.fixture
def tree(unpacked: Path, tmp_path: Path) -> Path:
    """A copy with a core that an earlier build left; the compiler is asked to be quick."""
    copy = tmp_path / "tree"
    shutil.copytree(unpacked, copy, ignore=shutil.ignore_patterns("tests", "benchmarks"))
    (copy / CORE).write_bytes(b"of an earlier build")
    edit(copy, '"-O3"', '"-O0"')
    return copy


def edit(tree: Path, old: str, new: str) -> None:
    hook = tree / NATIVE / "hatch_build.py"
    text = hook.read_text(encoding="utf-8")
    assert old in text
    hook.write_text(text.replace(old, new), encoding="utf-8")


def run(
    command: list[str | Path], folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def wheel(tree: Path, *command: str, **environment: str) -> Built:
    """Build a wheel, by default as `pip` does, and check that it is the only one."""
    out = tree.with_name("out")
    ended = run([sys.executable, *(command or HATCHLING), str(out)], tree, **environment)
    assert ended.returncode == 0, ended.stdout
    (built,) = out.iterdir()
    with zipfile.ZipFile(built) as archive:
        (about,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        tag = built.stem.split("-", 2)[2]
        assert f"\nTag: {tag}\n" in archive.read(about).decode()
        return Built(ended.stdout, tag, set(archive.namelist()), built)


def compiler(folder: Path, script: str) -> str:
    """A command for `CXX`."""
    command = folder / "compiler"
    command.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    command.chmod(0o755)
    return str(command)


def active(folder: Path) -> str:
    """Which core the package in a folder uses, as a sentence."""
    code = "from graders_engine.metrics import core; print(core.ACTIVE, core.REASON)"
    ended = run([sys.executable, "-c", code], folder, PYTHONPATH=str(folder))
    assert ended.returncode == 0, ended.stdout
    return ended.stdout.strip()


@needs_compiler
def test_the_wheel_of_a_source_distribution_has_the_core_and_names_its_platform(
    tree: Path, tmp_path: Path, once: str
) -> None:
    built = wheel(tree, *PIP, CXX=once)
    assert built.output == ""
    assert built.tag.startswith("cp311-abi3-")
    assert not built.tag.endswith("-any")
    assert CORE in built.files
    assert not [name for name in built.files if name.startswith(NATIVE)]
    shutil.unpack_archive(built.wheel, tmp_path / "installed", "zip")
    assert active(tmp_path / "installed") == "compiled None"
    assert active(tree) == "compiled None"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo it is out of order; exit 1", "failed: it is out of order"),
        ("exit 1", "failed: it printed nothing"),
        ('for last; do :; done; echo no code > "$last"', "failed: ImportError: "),
    ],
)
def test_with_a_compiler_that_fails_the_wheel_is_pure(
    tree: Path, tmp_path: Path, script: str, reason: str
) -> None:
    built = wheel(tree, CXX=compiler(tmp_path, script))
    assert reason in built.output
    assert_pure(built, tree)


@needs_compiler
def test_without_the_headers_of_python_the_wheel_is_pure(tree: Path, tmp_path: Path) -> None:
    without = 'for one; do case $one in -I*) ;; *) set -- "$@" "$one" ;; esac; shift; done'
    built = wheel(tree, CXX=compiler(tmp_path, f'{without}; exec c++ "$@"'))
    assert "Python.h" in built.output
    assert_pure(built, tree)


def test_without_a_compiler_the_wheel_is_pure_and_the_installer_prints_nothing(
    tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    built = wheel(tree, *PIP, PATH=str(tmp_path / "empty"))
    assert built.output == ""
    assert_pure(built, tree)


def test_a_compiler_that_hangs_is_ended_with_all_that_it_started(
    tree: Path, tmp_path: Path
) -> None:
    edit(tree, "COMPILER_S = 180.0", "COMPILER_S = 1.0")
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as pipe:
        built = wheel(
            tree, CXX=compiler(tmp_path, f"exec 9> {held}; echo started >&9; sleep 1000 & wait")
        )
        assert set(pipe.read().split()) == {b"started"}  # it ends when no process holds the pipe
    assert "did not end within 1 s" in built.output
    assert_pure(built, tree)


def test_nothing_is_compiled_where_the_environment_asks_for_the_pure_metrics(tree: Path) -> None:
    built = wheel(tree, GRADERS_PURE="1")
    assert "GRADERS_PURE is set" in built.output
    assert_pure(built, tree)


def test_every_example_and_guide_is_in_the_wheel(tree: Path) -> None:
    shipped = {
        path.relative_to(CHECKOUT).as_posix()
        for room in ("examples", "guides")
        for path in (CHECKOUT / "graders_engine" / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"graders_engine/examples/code/grade.py", "graders_engine/guides/guides.md"} <= shipped
    assert shipped <= wheel(tree, GRADERS_PURE="1").files


def test_a_wheel_has_each_licence_once_among_its_metadata(tree: Path) -> None:
    files = [name for name in wheel(tree, GRADERS_PURE="1").files if "licen" in name.lower()]
    assert sorted(name.partition(".dist-info/")[2] for name in files) == [
        "licenses/LICENSE",
        "licenses/graders_engine/licenses/WORDNET_LICENSE.txt",
    ]


def test_a_required_core_that_cannot_be_built_is_an_error(tree: Path) -> None:
    out = tree.with_name("out")
    ended = run([sys.executable, *HATCHLING, out], tree, GRADERS_CORE="required", CXX="nowhere")
    assert ended.returncode == 1
    assert "GRADERS_CORE is `required`" in ended.stdout
    assert "there is no C++ compiler" in ended.stdout
    assert "Traceback" not in ended.stdout
    assert not list(out.glob("*"))


@needs_compiler
def test_an_editable_install_has_the_core_in_the_source_tree(tree: Path, once: str) -> None:
    built = wheel(tree, *EDITABLE, CXX=once)
    assert built.tag == PURE_TAG
    assert CORE not in built.files
    assert active(tree) == "compiled None"


@needs_compiler
def test_a_tree_that_cannot_be_written_to_is_installed_all_the_same(tree: Path, once: str) -> None:
    (tree / CORE).unlink()
    (tree / CORE).mkdir()  # root may write to any folder, but nobody can replace one by a file
    built = wheel(tree, CXX=once)
    assert built.tag.startswith("cp311-abi3-")
    assert CORE in built.files
    shutil.rmtree(built.wheel.parent)
    editable = wheel(tree, *EDITABLE, CXX=once)
    assert "cannot be written: Is a directory" in editable.output
    assert editable.tag == PURE_TAG


def assert_pure(built: Built, tree: Path) -> None:
    assert built.tag == PURE_TAG
    assert not [name for name in built.files if name.endswith(".so") or name.startswith(NATIVE)]
    assert "graders_engine/metrics/meteor.py" in built.files
    assert not (tree / CORE).exists()


def test_the_pythons_that_the_package_is_said_to_be_for_are_those_that_are_tried() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    tried = re.findall(r"\bpython(3\.\d+)\b", (CHECKOUT / ".ci/pythons").read_text())
    assert said == tried[: len(said)]
    assert project["requires-python"] == f">={said[0]}"
