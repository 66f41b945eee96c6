"""The worker's program: run as a file by the interpreter of the image, in an empty environment.

    python -S -P -s worker.py ROWS CONTROL

It talks to the engine over two inherited sockets (see `wire`). It imports the standard library and
the files of its own folder, and not the package around them: the image's interpreter may lack the
package's requirements.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # under `signal`, whose enums take long to import
import io
import os
import sys
import time
from types import ModuleType

if __name__ == "__main__":
    _HERE = os.path.dirname(os.path.abspath(__file__))
    for _name, _folder in (
        ("graders_engine", os.path.dirname(os.path.dirname(_HERE))),
        ("graders_engine.sandbox", os.path.dirname(_HERE)),
        ("graders_engine.sandbox.inside", _HERE),
    ):
        _package = ModuleType(_name)
        _package.__path__ = [_folder]
        sys.modules[_name] = _package

from graders_engine.sandbox.inside import libc, limits, scratch, wire
from graders_engine.sandbox.inside.confine import Confinement, Unconfined
from graders_engine.sandbox.inside.plan import NONE, Plan
from graders_engine.sandbox.inside.template import TemplateProcess

_WAITS, _WAIT_S = 200, 0.01  # a killed process that is big, on a busy machine, takes long to end


def main(rows: int, control: int) -> None:
    """Confine this process, fork the template from it, and wait for that to end."""
    sys.dont_write_bytecode = True
    _forget_signals()
    try:
        plan = Plan(**wire.receive(control))
        template = _template_of(plan)
        _have_descriptors()
        confinement = Confinement(plan)
        confinement.enter()
        if plan.tier != NONE:
            _continue_in_child(plan.folder)
        _forget_engine(plan)
        wire.send(control, wire.frame({"confined": True}))
        template(plan, confinement, rows, control).run()
    except wire.Closed:
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - reported to the engine, which decides
        import traceback

        text = "".join(traceback.format_exception(error))
        unconfined = isinstance(error, Unconfined)
        reason = str(error) if unconfined else f"{type(error).__name__}: {error}"
        report = {"failed": reason, "unconfined": unconfined, "text": text[-4096:]}
        wire.send(control, wire.frame(report))
        os._exit(1)


def _template_of(plan: Plan) -> type[TemplateProcess]:
    """The template's class; imported while the engine's files can be seen."""
    if not plan.shared:
        return TemplateProcess
    from graders_engine.sandbox.inside.serving_template import ServingTemplate

    return ServingTemplate


def _forget_signals() -> None:
    """Undo what the engine's process, or who started it, ignores or blocks: all of it is inherited.

    With SIGCHLD ignored, no process can wait for another. Two signals stay ignored in every Python.
    """
    for number in _signal.valid_signals() - {_signal.SIGPIPE, _signal.SIGXFSZ}:
        if _signal.getsignal(number) == _signal.SIG_IGN:
            interrupt = number == _signal.SIGINT
            _signal.signal(number, _signal.default_int_handler if interrupt else _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _have_descriptors() -> None:
    try:
        limits.allow_descriptors()
    except OSError as error:
        raise Unconfined(str(error.strerror)) from None


def _continue_in_child(folder: str) -> None:
    """Continue in a child, process 1 of the new namespace if there is one.

    The parent waits for its end. If the engine has been killed by then, nobody else removes its folder of
    scratch folders, which it held locked.
    """
    engine = os.getppid()
    pid = os.fork()
    if not pid:
        libc.prctl(libc.PR_SET_PDEATHSIG, 9)
        return
    os.closerange(3, 1 << 16)
    os.waitpid(pid, 0)
    if folder and _has_died(engine):
        scratch.remove_unlocked(os.path.dirname(folder))
    os._exit(0)


def _has_died(engine: int) -> bool:
    """Whether the parent is gone, or goes within a while.

    One that is killed closes its descriptors, which ends the child, before it gives its children away. One
    that lives kills this process as soon as the child has ended.
    """
    for _ in range(_WAITS):
        if os.getppid() != engine:
            return True
        time.sleep(_WAIT_S)
    return False


def _forget_engine(plan: Plan) -> None:
    """Leave graders the interpreter and its packages to see, and nothing of what runs them."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "graders_engine"]:
        del sys.modules[name]
    sys.path[:] = plan.module_path
    sys.prefix = sys.exec_prefix = plan.prefix
    sys.argv[:] = [""]
    folder = os.getcwd()
    os.environ["HOME"] = os.environ["TMPDIR"] = folder
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = _stream(name, number)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(name: str, number: int) -> io.TextIOWrapper:
    """A standard stream as grades are to have it.

    It is made while its descriptor is a pipe, as it is in each grade: a stream keeps whether it can be
    positioned, and what was made for a file fails where its encoding is set.
    """
    reading, writing = os.pipe()
    kept = os.dup(number)
    os.dup2(writing, number)
    raw = io.FileIO(number, "w", closefd=False)
    raw.name = f"<{name}>"
    stream = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    stream.mode = "w"  # type: ignore[misc]
    os.dup2(kept, number)
    for descriptor in (reading, writing, kept):
        os.close(descriptor)
    return stream


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
