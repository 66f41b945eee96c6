"""What is put back after each row, where rows share a process.

A row may have changed anything in its process. What most graders could trip over is put back: streams,
files, processes, the working folder, the environment, signals and timers, replaced functions of
modules, planted modules, the import path, random numbers. What cannot be put back (a thread that still
runs, a lowered limit, a stream's descriptor that was replaced) makes the process worn: it takes no more
rows, and the next one begins where this one began. What the source cannot reach (`reach`) is left as it is.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # under `signal`, whose enums take long to import
import _thread
import builtins
import gc
import os
import resource
import sys
import time
import warnings

from graders_engine.sandbox.inside import child, wire
from graders_engine.sandbox.inside.plan import ROWS_A_PROCESS

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

_GROWTH = 16  # part of the memory that a row may use
_LEFT_OPEN = 32  # descriptors
_STANDARD = (0, 1, 2, child.REPORT, child.ROWS)
_FIRST_FREE = child.ROWS + 1
_END_S, _WAIT_S = 0.02, 0.001  # a thread that is about to end may take so long
_SIGKILL = 9
_SIGNALS = range(1, 65)
_TIMERS = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)
_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
_WATCHED = ("os", "posix", "sys", "json", "math", "random", "re", "time", "warnings", "string")


class Surroundings:
    """What one process had before its first row.

    Args:
        places: the folders that rows may write to.
        prepared: the source, which says how far it reaches.
        owns_all: whether this is process 1 of a namespace, so that it may end every other process.
        memory_bytes: what a row may use.
    """

    def __init__(
        self,
        places: list[str],
        prepared: child.Prepared,
        *,
        owns_all: bool,
        memory_bytes: int,
    ) -> None:
        self._places, self._owns_all, self._seed = places, owns_all, prepared.seed
        self._name, self._reach, self._rows = prepared.name, prepared.reach, 0
        self._modules = dict(sys.modules)
        watched = {*_WATCHED, *prepared.imported} & self._modules.keys()
        self._functions = [Functions(builtins), *(Functions(sys.modules[n]) for n in watched)]
        self._files = [self._file(number) for number in _STANDARD]
        self._clean = self._times()
        self._home = os.getcwd()
        self._umask = os.umask(0o22)
        os.umask(self._umask)
        self._environ = os.environ
        self._variables = dict(os.environ._data)  # type: ignore[attr-defined]  # quicker than items
        self._handlers = self._handlers_now()
        self._limits = self._limits_now()
        self._lists = [(each, list(each)) for each in self._import_lists()]
        self._finders = sys.path_importer_cache.keys() | set()
        self._filters = list(warnings.filters)
        self._depth, self._digits = sys.getrecursionlimit(), sys.get_int_max_str_digits()
        self._stdin = sys.stdin
        self._zone = self._zone_now()
        self._growth, self._most = memory_bytes // _GROWTH, _most_bytes()

    def restore(self) -> bool:
        """Put back what can be put back; whether the process takes another row.

        Raises:
            OSError: something is broken that rows need.
        """
        sound = self._restore_process() if self._reach.process else self._restore_module()
        self.reseed()
        self._rows += 1
        return sound and self._rows < ROWS_A_PROCESS and not self._has_grown()

    def _restore_process(self) -> bool:
        """Put back everything; whether the process is sound."""
        self._restore_functions()
        self._end_processes()
        sound = self._is_alone() and self._is_sound()
        self._restore_imports()
        self._restore_variables()
        self._restore_signals()
        self._restore_interpreter()
        self._clear_places()
        return sound

    def _restore_module(self) -> bool:
        """As `_restore_process`, for a source that reaches no more than its own module, and perhaps files."""
        modules = sys.modules
        modules[self._name] = self._modules[self._name]
        if len(modules) != len(self._modules):
            self._restore_imports()
        if not self._reach.files:
            return True
        self._clear_places()
        return self._is_free()

    def reseed(self) -> None:
        """Random numbers as at the start of a process of the row's own."""
        if not self._reach.draws:
            return
        modules = sys.modules
        if "random" in modules:
            seed = int.from_bytes(os.urandom(8), "little") if self._seed is None else self._seed
            modules["random"].seed(seed)
        child.seed_numpy(self._seed)

    def _end_processes(self) -> None:
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return  # none: what has lost its parent is a child of process 1
        if self._owns_all:
            os.kill(-1, _SIGKILL)
            try:
                while True:
                    os.waitpid(-1, 0)
            except ChildProcessError:
                return
        os._exit(0)  # the template ends what is left, and the row is graded again

    def _restore_functions(self) -> None:
        for functions in self._functions:
            functions.restore()

    def _is_alone(self) -> bool:
        """Whether no thread runs, or those that do end at once; what they did until then is put back."""
        if not _thread._count():
            return True
        deadline = time.monotonic() + _END_S
        while _thread._count():
            if time.monotonic() > deadline:
                return False
            time.sleep(_WAIT_S)
        self._restore_functions()
        return True

    def _is_sound(self) -> bool:
        """Whether limits, descriptors, standard input and time zone are as at the beginning."""
        sys.stdin = self._stdin
        if self._stdin.closed or self._zone_now() != self._zone:
            return False
        if [self._file(number) for number in _STANDARD] != self._files:
            return False
        return self._is_free() and self._limits_now() == self._limits

    def _is_free(self) -> bool:
        """Whether few descriptors are open, and no standard one is closed."""
        free = os.dup(0)
        os.close(free)
        return _FIRST_FREE <= free < _LEFT_OPEN

    def _has_grown(self) -> bool:
        """Whether this row, or all of them, have used much memory: part of it is lost to the next rows.

        Looked at after each row: one that finds too little left could take it for its own fault.
        """
        return _most_bytes() - self._most > self._growth

    def _restore_imports(self) -> None:
        modules, known = sys.modules, self._modules
        if modules != known:
            for name in modules.keys() - known.keys():
                module = modules.pop(name)
                if self._is_of_the_library(module):
                    known[name] = module
            modules.update(known)
        for current, saved in zip(self._import_lists(), self._lists, strict=True):
            if current is not saved[0] or current != saved[1]:
                sys.path, sys.meta_path, sys.path_hooks = (each for each, _ in self._lists)
                for each, content in self._lists:
                    each[:] = content
                break
        for place in sys.path_importer_cache.keys() - self._finders:
            del sys.path_importer_cache[place]  # it remembers what is in a folder that is emptied

    def _import_lists(self) -> tuple[list[Any], list[Any], list[Any]]:
        return sys.path, sys.meta_path, sys.path_hooks

    def _is_of_the_library(self, module: ModuleType) -> bool:
        """Whether a module that a row imported is the same for every row."""
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None)
        if origin in ("built-in", "frozen"):
            return True
        return isinstance(origin, str) and any(
            origin.startswith(folder + "/") for folder in self._lists[0][1] if folder
        )

    def _restore_variables(self) -> None:
        os.chdir(self._home)
        os.umask(self._umask)
        os.environ = self._environ  # noqa: B003 - the object that was there
        if self._environ._data != self._variables:  # type: ignore[attr-defined]
            for name in list(self._environ):
                del self._environ[name]
            for name, value in self._variables.items():
                self._environ[os.fsdecode(name)] = os.fsdecode(value)

    def _restore_signals(self) -> None:
        for timer in _TIMERS:
            _signal.setitimer(timer, 0)
        if self._handlers_now() != self._handlers:
            for number, handler in zip(_SIGNALS, self._handlers, strict=True):
                if _signal.getsignal(number) != handler:
                    _signal.signal(number, handler)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())

    def _restore_interpreter(self) -> None:
        for number in (child.REPORT, child.ROWS):
            os.set_blocking(number, True)
        sys.settrace(None)
        sys.setprofile(None)
        sys.setrecursionlimit(self._depth)
        sys.set_int_max_str_digits(self._digits)
        if warnings.filters != self._filters:
            warnings.resetwarnings()
            warnings.filters[:] = self._filters  # type: ignore[index]
        if not gc.isenabled():
            gc.enable()

    def _clear_places(self) -> None:
        """Have the template empty what is not as it was; it ends with too much to clear."""
        if self._times() == self._clean:
            return
        os.write(child.REPORT, wire.CLEAR)
        if os.read(child.REPORT, 1) != wire.CLEARED:
            os._exit(0)
        self._clean = self._times()

    def _times(self) -> list[int]:
        return [os.stat(place).st_ctime_ns for place in self._places]

    def _file(self, number: int) -> tuple[int, int]:
        status = os.fstat(number)
        return status.st_dev, status.st_ino

    def _zone_now(self) -> tuple[Any, ...]:
        """The time zone: the variable, and what the module has of it. The C library keeps it, too."""
        return os.environ.get("TZ"), time.tzname, time.timezone

    def _handlers_now(self) -> list[Any]:
        return [_signal.getsignal(number) for number in _SIGNALS]

    def _limits_now(self) -> list[tuple[int, int]]:
        return [resource.getrlimit(limit) for limit in _LIMITS]


def _most_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


class Functions:
    """The functions and classes of one module."""

    def __init__(self, module: ModuleType) -> None:
        self._names: dict[str, Any] = module.__dict__
        self._seen = dict(self._names)
        self._originals: dict[str, Callable[..., Any]] = {
            name: value for name, value in self._seen.items() if callable(value)
        }

    def restore(self) -> None:
        """Put back those that were replaced or removed."""
        names = self._names
        try:
            if names == self._seen:
                return
        except Exception:  # noqa: BLE001, S110 - values that cannot be compared have changed
            pass
        for name, value in self._originals.items():
            if names.get(name) is not value:
                names[name] = value
        self._seen = dict(names)
