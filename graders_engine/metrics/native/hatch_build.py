"""Compiles the metrics' core while a wheel is built: the build hook that pyproject.toml names.

The core is an addition. Whatever is missing or fails here (a compiler, Python's headers), the wheel is
built without it, is tagged as one for every platform, and has the same metrics in Python.

Environment:
    CXX: the compiler, with options if it needs some; `c++` by default.
    GRADERS_PURE: if it is set, nothing is compiled.
    GRADERS_CORE: `required` makes a missing core an error: for releases and for tests.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilder, WheelBuilderConfig

NAME = "_core.abi3.so"
"""The same on every system but Windows, for which nothing is compiled."""
PLACE = Path("graders_engine", "metrics", NAME)
INTERPRETERS = "cp311-abi3"
"""The wheel's tag: CPython from 3.11 on, by the stable ABI of that version."""
COMPILER_S = 180.0
"""A compiler that takes longer than this is ended. It takes some seconds."""
OPTIONS = (
    "-std=c++17",
    "-O3",  # with -O2, older versions of GCC do not vectorise
    "-ffp-contract=off",  # a fused multiply-add would round in another way than Python
    "-fPIC",
    "-pthread",
    "-fvisibility=hidden",
)
LINK_OPTIONS = (
    "-shared",
    "-pthread",
    *(("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-s",)),
)
_LOADS = (
    "import sys; from importlib import machinery, util; "
    "loader = machinery.ExtensionFileLoader('_core', sys.argv[1]); "
    "spec = util.spec_from_loader('_core', loader); loader.exec_module(util.module_from_spec(spec))"
)


class NotBuilt(Exception):
    """Why there is no core, in a few words."""


class CoreBuildHook(BuildHookInterface[WheelBuilderConfig]):
    """Adds the compiled core to a wheel, and puts it into the source tree, where tests find it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the core, if that is possible.

        Args:
            version: "standard", or "editable" for a wheel that only points to the source tree.
            build_data: what hatchling is to put into the wheel, and the wheel's tag.
        """
        in_tree = Path(self.root, PLACE)
        try:
            # First, so that no older core is left where this one fails.
            _remove(in_tree)
            compiled = self._compile()
            if version == "editable":
                _put(compiled, in_tree)
            else:
                self._include(compiled, build_data)
                _put(compiled, in_tree, needed=False)
        except NotBuilt as reason:
            if os.environ.get("GRADERS_CORE") == "required":
                self.app.abort(
                    f"GRADERS_CORE is `required`, and there is no compiled core: {reason}"
                )
            self.app.display_warning(f"The metrics are installed without a compiled core: {reason}")

    def _compile(self) -> Path:
        """The shared object, in a folder of its own that goes when the build ends.

        Raises:
            NotBuilt: there is none.
        """
        if reason := unsupported():
            raise NotBuilt(reason)
        self._folder = tempfile.TemporaryDirectory(prefix="graders-core-")
        compiled = Path(self._folder.name, NAME)
        sources = Path(self.root, "graders_engine", "metrics", "native")
        compile_core(sources, compiled)
        return compiled

    def _include(self, compiled: Path, build_data: dict[str, Any]) -> None:
        builder = self.build_config.builder
        assert isinstance(builder, WheelBuilder)  # noqa: S101  # for the type checker: the hook is for wheels
        platform = builder.get_best_matching_tag().rpartition("-")[2]
        build_data["force_include"][str(compiled)] = PLACE.as_posix()
        build_data["pure_python"] = False
        build_data["tag"] = f"{INTERPRETERS}-{platform}"


def unsupported() -> str:
    """Why nothing can be compiled for this interpreter; empty if something can."""
    if os.environ.get("GRADERS_PURE"):
        return "GRADERS_PURE is set"
    if sys.platform == "win32":
        return "there is none for Windows"
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "there is one only for CPython with its global lock"
    return ""


def compile_core(sources: Path, target: Path) -> None:
    """Compile all C++ files of a folder into one shared object, and load it once.

    Raises:
        NotBuilt: there is no compiler, it failed or hung, or what it made cannot be loaded.
    """
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    names = sorted(path.name for path in sources.glob("*.cpp"))
    if not compiler or not shutil.which(compiler[0]):
        raise NotBuilt("there is no C++ compiler")
    if not names:
        raise NotBuilt("its source is not here")
    options = [*OPTIONS, f"-I{sysconfig.get_path('include')}", "-c"]
    objects = [str(target.with_name(f"{name}.o")) for name in names]
    commands = [
        [*compiler, *options, name, "-o", made] for name, made in zip(names, objects, strict=True)
    ]
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # at once: they take a second or more each
        list(threads.map(lambda command: _run(command, sources), commands))
    _run([*compiler, *LINK_OPTIONS, *objects, "-o", str(target)], sources)
    _run([sys.executable, "-I", "-c", _LOADS, str(target)], sources)


def _run(command: list[str], folder: Path) -> None:
    """Run a command that says nothing to the user.

    Raises:
        NotBuilt: it failed, or did not end in time; then all that it started is ended.
    """
    with tempfile.TemporaryFile() as output:  # no pipe: what it leaves running could hold that open
        try:
            process = subprocess.Popen(  # noqa: S603
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise NotBuilt(f"{command[0]} cannot be run: {error.strerror}") from None
        try:
            process.wait(COMPILER_S)
        except subprocess.TimeoutExpired:
            raise NotBuilt(f"{command[0]} did not end within {COMPILER_S:g} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            output.seek(0)
            text = output.read(100_000).decode(errors="replace")
            raise NotBuilt(f"{command[0]} failed: {_first_error(text)}")


def _first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it printed nothing"])[0][:300]


def _remove(file: Path) -> None:
    """Remove a file, unless the tree cannot be written to: a core of other sources is not imported."""
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


def _put(compiled: Path, target: Path, *, needed: bool = True) -> None:
    """Copy the core into the source tree, at once for processes that import it now.

    Raises:
        NotBuilt: the tree cannot be written to, and the core is needed there.
    """
    part = target.with_name(f"{NAME}.{os.getpid()}")
    try:
        shutil.copyfile(compiled, part)
        part.replace(target)
    except OSError as error:
        _remove(part)
        if needed:
            raise NotBuilt(f"{target} cannot be written: {error.strerror}") from None
