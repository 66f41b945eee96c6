"""Images are built, found, used and removed; what is missing is reported."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from graders_engine.sandbox import images, interpreter
from graders_engine.sandbox.base import GradeResult, Program, SandboxUnavailable
from graders_engine.sandbox.images import Definition, ImageError
from graders_engine.sandbox.pool import Pool

CUSTOM = {"bare": Definition(packages=())}
BROKEN = {"bare": Definition(packages=("./there_is_none-1-py3-none-any.whl",))}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADERS_DATA", str(tmp_path))
    return tmp_path / "images"


def test_an_image_is_built_found_listed_and_removed(data: Path) -> None:
    steps: list[str] = []
    image = images.build("bare", CUSTOM, steps.append)
    assert Path(image.interpreter).is_relative_to(data)
    assert images.find("bare") == image
    assert images.built() == [image]
    assert any("environment for Python" in line for line in steps)
    images.remove("bare")
    assert images.find("bare") is None
    assert images.built() == []


def test_a_grader_runs_in_its_image(data: Path) -> None:
    image = images.build("bare", CUSTOM)
    packages = Path(image.folder, "lib", f"python{image.python}", "site-packages")
    (packages / "only_here.py").write_text("VALUE = 0.75\n")
    source = (
        "import sys, only_here\ndef grade(s, i):\n    print(sys.prefix)\n    return only_here.VALUE"
    )

    async def run() -> GradeResult:
        pool = Pool(concurrency=1)
        try:
            return await pool.grade(Program(source, interpreter=image.interpreter), b"1", b"1")
        finally:
            await pool.close()

    try:
        result = asyncio.run(run())
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    assert (result.reward, result.stdout.strip()) == (0.75, image.folder)


def test_imports_that_an_image_lacks_are_found_without_running_it(data: Path) -> None:
    image = images.build("bare", CUSTOM)
    wanted = ["json", "numpy.linalg", "os.path", "no_such_package"]
    assert interpreter.missing(image.interpreter, wanted) == ["numpy", "no_such_package"]


def test_a_build_that_fails_leaves_nothing_and_gives_the_reason(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str], **_: object) -> None:
        os.makedirs(data / "broken")
        raise subprocess.CalledProcessError(1, command, "", "no matching distribution\n")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(ImageError, match="no matching distribution"):
        images.build("broken", {"broken": Definition(packages=("nothing==1",))})
    assert not (data / "broken").exists()


def test_a_build_that_fails_leaves_the_image_that_was_there(data: Path) -> None:
    image = images.build("bare", CUSTOM)
    with pytest.raises(ImageError, match="failed"):
        images.build("bare", BROKEN)
    assert images.find("bare") == image
    assert images.built() == [image]
    assert subprocess.run([image.interpreter, "-c", "pass"], check=False).returncode == 0
    assert images.build("bare", CUSTOM) == image
    assert {path.name for path in data.iterdir()} == {"bare", ".bare.lock"}


def test_a_build_that_fails_after_a_killed_one_leaves_what_was_there_before_both(
    data: Path,
) -> None:
    image = images.build("bare", CUSTOM)
    (data / "bare").rename(data / ".bare.before")
    (data / "bare").mkdir()  # as far as the build came
    assert images.built() == []
    with pytest.raises(ImageError, match="failed"):
        images.build("bare", BROKEN)
    assert images.built() == [image]


def test_nltk_data_that_cannot_be_downloaded_is_recorded(data: Path) -> None:
    steps: list[str] = []
    image = images.build(
        "bare", {"bare": Definition((), nltk_data=("no-such-data",))}, steps.append
    )
    assert image.missing_data == ("no-such-data",)
    found = images.find("bare")
    assert found is not None
    assert found.missing_data == ("no-such-data",)
    assert any("no-such-data" in line for line in steps)


def test_the_documented_image_has_an_alias() -> None:
    assert images.definition("alpha") is images.definition("2025-05-08")
    assert len(images.definition("alpha").packages) == 16


def test_an_image_is_found_and_removed_by_its_alias(data: Path) -> None:
    image = images.build("alpha", {"2025-05-08": Definition(packages=())})
    assert image.tag == "2025-05-08"
    assert images.find("alpha") == images.find("2025-05-08") == image
    assert images.built() == [image]
    images.remove("alpha")
    assert images.find("alpha") is None


def test_a_custom_definition_comes_first() -> None:
    mine = Definition(("numpy",))
    assert images.definition("2025-05-08", {"2025-05-08": mine}) is mine


@pytest.mark.parametrize("tag", ["nothing", "../escape", ""])
def test_an_unknown_image_is_refused_with_the_known_ones(data: Path, tag: str) -> None:
    with pytest.raises(ImageError, match="2025-05-08"):
        images.build(tag)
    with pytest.raises(ImageError, match="built"):
        images.remove(tag)


def test_an_image_without_a_fitting_python_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ImageError, match=r"needs Python 3\.4"):
        images.build("old", {"old": Definition(("x",), pythons=("3.4",))})
