"""Calls of Python's library that matter: those of chance, and those of the world outside."""

from __future__ import annotations

import importlib
import re

CLOCK = "clock"
_CLOCKS = frozenset(
    {"time.time", "time.time_ns", "time.perf_counter", "time.perf_counter_ns", "time.monotonic",
     "time.monotonic_ns", "time.process_time", "time.process_time_ns", "time.localtime", "time.gmtime",
     "time.ctime", "time.strftime", "datetime.datetime.now", "datetime.datetime.utcnow",
     "datetime.datetime.today", "datetime.date.today"}
)  # fmt: skip
_OS = frozenset(
    {
        "os.urandom",
        "os.getpid",
        "uuid.uuid1",
        "uuid.uuid4",
        "random.SystemRandom",
        "tempfile.mktemp",
    }
)
PARTS_OF_TIME = frozenset(
    {"microsecond", "second", "minute", "hour", "day", "weekday", "isoweekday", "month",
     "tm_sec", "tm_min", "tm_hour", "tm_mday", "tm_wday"}
)  # fmt: skip
"""Attributes that look at a part of the time, and so do not ask how long something took."""
_EXPORTING = ("datetime", "random", "secrets", "time", "uuid")
SEEDS = frozenset({"random.seed", "numpy.random.seed"})
GENERATORS = frozenset(
    {"random.Random", "numpy.random.default_rng", "numpy.random.RandomState",
     "numpy.random.SeedSequence"}
)  # fmt: skip
"""Generators with a seed of their own: without an argument, the seed is another each time."""


def exported(module: str) -> list[str]:
    """The names that `from module import *` binds, of the modules of chance and time."""
    if module not in _EXPORTING:
        return []
    found = importlib.import_module(module)
    public = (name for name in vars(found) if not name.startswith("_"))
    return list(getattr(found, "__all__", public))


SHUFFLES = frozenset({"random.shuffle", "numpy.random.shuffle"})
"""Functions that change their argument."""
_NAMES = frozenset({"os.getpid", "tempfile.mktemp", "uuid.uuid1", "uuid.uuid4"})
_PLAIN = frozenset({"random.getstate", "random.setstate", "numpy.random.Generator"})


def gives_names(name: str) -> bool:
    """Whether a call of chance is used for names and marks, which are compared, and decide nothing else."""
    return name in _NAMES or name.startswith("secrets.token_")


def family(name: str) -> str:
    """The family of a call that gives another value each time; empty for all other calls.

    Families with a seed in common are called by their module.
    """
    if name in _CLOCKS:
        return CLOCK
    if name in _OS or name.startswith("secrets."):
        return name
    if name in SEEDS or name in _PLAIN:
        return ""
    if name in GENERATORS:
        return name
    return next((one for one in ("random", "numpy.random") if name.startswith(f"{one}.")), "")


OPENERS = frozenset(
    {"open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", "os.open", "os.listdir",
     "os.scandir", "os.walk", "glob.glob", "glob.iglob", "sqlite3.connect", "numpy.load",
     "numpy.loadtxt", "numpy.genfromtxt", "sys.path.append", "sys.path.insert", "os.chdir",
     "shutil.copy", "shutil.copyfile", "joblib.load", "os.path.expanduser", "zipfile.ZipFile"}
)  # fmt: skip
"""Functions that open the path that is one of their first two arguments."""
OPENING_METHODS = frozenset(
    {"open", "read_text", "read_bytes", "iterdir", "glob", "rglob", "write_text", "write_bytes"}
)
"""Methods of a path that open it."""
PATHS = frozenset(
    {"pathlib.Path", "pathlib.PosixPath", "os.path.join", "os.path.abspath", "str", "os.fspath"}
)
"""Functions whose value starts with their first argument."""
MAKING_METHODS = frozenset({"write_text", "write_bytes", "extractall", "to_csv", "to_json", "dump"})
_MAKERS = (
    "subprocess.", "multiprocessing.", "os.exec", "os.link", "os.makedirs", "os.mkdir", "os.open",
    "os.popen", "os.rename", "os.replace", "os.spawn", "os.symlink", "os.system", "os.write", "shutil.",
    "tarfile.", "tempfile.", "zipfile.",
)  # fmt: skip
_NETWORK = frozenset(
    {"apt", "apt-get", "conda", "curl", "git", "nc", "npm", "npx", "pip", "pip3", "ping", "scp", "ssh",
     "uv", "wget"}
)  # fmt: skip
"""Programs that are of no use without a network."""
_MAY_OPEN = (
    "/tmp",  # noqa: S108 - a name in a list
    "/dev/null", "/dev/std", "/dev/fd", "/dev/urandom", "/dev/zero", "/proc/self", "/usr/", "/bin/", "/lib",
)  # fmt: skip
"""Where a sandbox has files: its scratch folder, and the system's programs."""
_ABSOLUTE = re.compile(r"/|~|[A-Za-z]:[\\/]")


def opens(name: str) -> bool:
    """Whether a function opens the path that it is given."""
    return name in OPENERS or name.startswith("pandas.read_")


def makes_files(name: str) -> bool:
    """Whether a function makes a file, or starts a program, which may make some."""
    return name.startswith(_MAKERS)


def is_absolute(path: str) -> bool:
    """Whether a path starts at the root of a machine."""
    return _ABSOLUTE.match(path) is not None


def is_outside(path: str) -> bool:
    """Whether an absolute path names what no sandbox has."""
    return is_absolute(path) and not path.startswith(_MAY_OPEN)


def needs_network(words: list[str]) -> str:
    """The program of a command that is of no use without a network; empty for others."""
    command = [word.rpartition("/")[2] for text in words for word in text.split()][:4]
    if "pip" in command[1:] and command[0].startswith("python"):
        return "pip"
    return command[0] if command and command[0] in _NETWORK else ""
