"""One grade: the process that is forked for it, from its first instruction to its last.

How forged rewards are prevented. The process reports over a socket on which the kernel adds the
sender's process id to each packet, so that packets of a child, a grandchild or a fork that races its
parent are ignored. The reward's packet begins with a nonce of 16 random bytes that the engine made
for this grade alone. The nonce is read in the middle of one expression, whose later parts run the
user's code and whose end writes the packet: meanwhile it is on the interpreter's value stack and
nowhere else. It is in no variable, so that walking frames does not find it; `gc` does not track
bytes objects; and the functions that make the packet after the user's code has returned (convert,
pack, write) are built-in functions that are already on that stack too, so that patching modules,
builtins or our own functions has no effect. Numbers printed, frames written to descriptors and exit
codes do not count.

What an attacker in the same process can still do, to its own grade only: be the grader (change the
grader's functions and variables, and so what `grade` returns), or read and write raw memory through
ctypes or a native extension until it finds the nonce. Only another process prevents that: a grader
that runs model output in `subprocess` is out of its reach in the strong tier.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import math
import os
import sys
import traceback
from json.scanner import make_scanner
from types import CodeType, ModuleType, TracebackType

from graders_engine.sandbox.inside import reach, wire

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from typing import NoReturn

REPORT, ROWS = 3, 4  # the descriptors of a grade, after the standard three
_DETAILS = 8 << 10  # characters of a failure's text that are kept, from its end
_MAX_NAME = 200
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_SCAN = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # as `loads` calls it; typeshed errs
_NO_MEMORY = wire.FAILURE.pack(wire.FAILURE_TAG, wire.FAILURE_TYPES.index("memory"), 0)
_EMPTY = compile("", "<rehearsal>", "exec")
OURS = {__file__, wire.__file__}
"""The files whose frames a traceback does not begin with."""


class Unready(Exception):
    """Raised for a source that defines no function `grade`."""


class Prepared:
    """The compiled source, or the compiler's exception; what it imports, and how far it reaches."""

    def __init__(self, name: str, filename: str, seed: int | None) -> None:
        self.name = name
        self.filename = filename
        self.seed = seed
        self.code: CodeType | None = None
        self.fault: BaseException | None = None
        self.imported: list[str] = []
        self.reach = reach.Reach()


def main(prepared: Prepared) -> NoReturn:
    """Grade one row and exit. The process is confined already; REPORT and ROWS are open."""
    # looked up now: what the expression calls after user code must be on the value stack by then
    send, read, scale, pack, leave = os.write, os.read, math.ldexp, wire.REWARD.pack, os._exit
    is_instance, text = isinstance, str
    value: object = None
    try:
        # one expression, on purpose: see the module's docstring
        send(
            REPORT,
            pack(
                wire.REWARD_TAG,
                read(ROWS, wire.NONCE_BYTES),
                scale((value := _run(prepared)), 0),  # x * 2**0: the float that x stands for
                is_instance(value, text),
                _flush(),
            ),
        )
    except BaseException as error:  # noqa: BLE001 - whatever user code raises is its result
        _fail(error, value)
    leave(0)


def _run(prepared: Prepared) -> float:
    """What `grade` returns, of whatever type."""
    sample_json, item_json = wire.receive_row(ROWS)
    os.close(ROWS)
    return run(prepared, sample_json, item_json)


def run(prepared: Prepared, sample_json: bytes, item_json: bytes) -> float:
    """What `grade` of a fresh module returns for a row, of whatever type."""
    if prepared.code is None:
        raise (prepared.fault or Unready()).with_traceback(None)
    sample, item = _load(sample_json), _load(item_json)
    del sample_json, item_json
    module = ModuleType(prepared.name)
    module.__file__ = prepared.filename
    sys.modules[prepared.name] = module
    exec(prepared.code, module.__dict__)  # noqa: S102 - this is what the sandbox is for
    grade = module.__dict__.get("grade")
    if grade is None:
        raise Unready("the source defines no function named grade")
    return grade(sample, item)  # type: ignore[no-any-return]  # the caller converts it


def _load(data: bytes) -> object:
    """Decode JSON without the extra steps of `json.loads`, each of which costs a fork some time."""
    text = data.decode("utf-8", "surrogatepass")
    try:
        value, end = _SCAN(text, 0)
    except StopIteration:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


def get_ready(seed: int | None) -> None:
    """Do all that can be done before the row arrives: seed the random numbers, and rehearse."""
    if seed is not None and "random" in sys.modules:
        sys.modules["random"].seed(seed)  # without a seed, Python does it after a fork
    seed_numpy(seed)
    rehearse()  # the pages that the grade writes to are copied now, before its call
    gc.enable()


def seed_numpy(seed: int | None) -> None:
    """Seed numpy's old generator, if it is there."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        # it takes 32 bits; having it collect entropy itself is three times slower
        word = int.from_bytes(os.urandom(4), "little") if seed is None else seed & 0xFFFFFFFF
        numpy_random.seed(word)


def rehearse() -> None:
    """Run the steps of a grade on nothing: in the template to warm them up, in a fork to copy pages."""
    _load(b'{"a": [1]}')
    module = ModuleType("rehearsal")
    exec(_EMPTY, module.__dict__)  # noqa: S102 - an empty module of our own
    wire.REWARD.pack(b"V", b"", math.ldexp(1.0, 0), isinstance(module, str), _flush())


def rehearse_descriptors() -> None:
    """The same for the steps that use descriptors; in the template only."""
    ours, theirs = os.pipe()
    spare = os.dup(theirs)
    os.dup2(theirs, spare, inheritable=False)
    os.closerange(spare, spare + 1)
    wire.send(theirs, bytes(wire.NONCE_BYTES + 8) + b"{}")
    os.read(ours, wire.NONCE_BYTES)
    wire.receive_row(ours)
    os.close(ours)
    os.close(theirs)


def _flush() -> bool:
    """Write out what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):  # user code may have replaced the stream
            stream.flush()
    return False


def _fail(error: BaseException, value: object) -> None:
    packet = failure(error, value)
    _flush()
    os.write(REPORT, packet)


def failure(error: BaseException, value: object) -> bytes:
    """The report of a grade that an exception ended."""
    try:
        return _failure(error, value)
    except MemoryError:
        return _NO_MEMORY


def _failure(error: BaseException, value: object) -> bytes:
    name = _type_name(error)
    try:
        type_, text = _describe(error, value)
    except BaseException:  # noqa: BLE001 - an exception whose own text raises
        type_ = "memory" if isinstance(error, MemoryError) else "exception"
        text = f"{name} (its text cannot be read)"
    encoded = name.encode("utf-8", "backslashreplace")
    head = wire.FAILURE.pack(wire.FAILURE_TAG, wire.FAILURE_TYPES.index(type_), len(encoded))
    return head + encoded + text[-_DETAILS:].encode("utf-8", "backslashreplace")


def _type_name(error: BaseException) -> str:
    try:
        return str(type(error).__name__)[:_MAX_NAME]
    except BaseException:  # noqa: BLE001 - a metaclass of the user's may do anything
        return "exception"


def _describe(error: BaseException, value: object) -> tuple[str, str]:
    trace = error.__traceback__
    if trace is not None and trace.tb_next is None and isinstance(error, TypeError | OverflowError):
        return "bad_return", f"grade returned {type(value).__name__}: {error}"
    if isinstance(error, MemoryError):
        traceback.clear_frames(trace)  # making the traceback needs the memory that they hold
    trace = _without_ours(trace)
    if isinstance(error, Unready):
        return "exception", str(error)
    text = "".join(traceback.format_exception(type(error), error, trace)).rstrip("\n")
    if isinstance(error, MemoryError):
        return "memory", text
    if isinstance(error, OSError) and error.errno in _FULL:
        return "disk", text
    return "exception", text


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename in OURS:
        trace = trace.tb_next
    return trace
