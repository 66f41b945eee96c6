"""The process that a command runs in: its standard streams, its signals, and how it ends when it fails."""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from graders_engine.cli.parsing.command import message_of, variable_notes

if TYPE_CHECKING:
    from graders_engine.errors import GradersError, Mistake

WRONG_REQUEST = 2
"""Exit code for a wrong request: a grader, a row or a flag that cannot be used."""
FAILED = 1
"""Exit code if the request is right, but a file, this system or the budget does not allow it."""
MISSED = 3
"""Exit code if everything was done, but a limit that the command was given is not kept."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells."""
_STREAMS = (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))
_STDOUT = "standard output"
_ENDING = ("SIGTERM", "SIGHUP", "SIGQUIT")


def prepare() -> None:
    """Make the standard streams usable, however the command was started, and ended children visible."""
    for number, (name, mode) in enumerate(_STREAMS):
        if not _is_open(number):
            # Or the next file that is opened would get this number, and with it what is printed. Standard
            # output is opened for reading: printing to it must fail, as printing to a closed one does.
            os.set_inheritable(os.open(os.devnull, mode), True)
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w" if number else "r", closefd=False)
            setattr(sys, name, stream)
    # A message that cannot be printed must not end a run. Characters that the encoding of the terminal does
    # not have are printed escaped.
    sys.stderr = _text(_Unfailing(2, "w", closefd=False), sys.stderr.encoding)
    sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout.encoding)
    if hasattr(signal, "SIGCHLD") and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(
            signal.SIGCHLD, signal.SIG_DFL
        )  # inherited: the exit codes of children are lost


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _text(file: io.FileIO, encoding: str) -> io.TextIOWrapper:
    buffered = io.BufferedWriter(file)
    return io.TextIOWrapper(buffered, encoding, "backslashreplace", line_buffering=True)


class _Output(io.FileIO):
    """Standard output; the exceptions of what cannot be written name it."""

    _is_read = True

    def write(self, data: Any) -> int:
        """Write, until it fails because nobody reads it any more.

        What could not be written is tried again when the stream is closed, and Python 3.13 tells of that.
        """
        if not self._is_read:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            error.filename = _STDOUT
            self._is_read = not isinstance(error, BrokenPipeError)
            raise


class _Unfailing(io.FileIO):
    """A file that drops what cannot be written."""

    def write(self, data: Any) -> int:
        """Write; if that fails, as if it had not."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def collect_again() -> None:
    """End the collector's rest, if it rests: a command is imported, and hardly anything of that is garbage.

    To look for it would take a tenth of the time that a command takes to start.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it, a signal that would kill the process ends the command in order; an ignored one stays so."""
    if not _in_main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    killing = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in killing:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in killing:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def delayed_interrupts() -> Iterator[None]:
    """Raise an interrupt at the end of the block: packages that are being imported make errors of it."""
    before = signal.getsignal(signal.SIGINT)
    interrupts: list[int] = []
    if before is not signal.default_int_handler or not _in_main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def fail(error: BaseException) -> NoReturn:
    """Say in a sentence what the system refused, and exit; anything else is a fault of ours and is raised."""
    if isinstance(error, MemoryError):
        text = "There is not enough memory for this command (see `ulimit -v`)."
    elif isinstance(error, OSError):
        text = _sentence(error)
    elif isinstance(error, RuntimeError) and "thread" in str(error):
        text = "This system refuses another thread (see `ulimit -u` and `ulimit -v`)."
    else:
        raise error
    sys.stderr.write(f"graders: {text}\n")
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    sys.exit(FAILED)


def _sentence(error: OSError) -> str:
    what = f"{error.filename}: " if error.filename else ""
    if error.filename == _STDOUT:
        # What is still to be written would be tried once more at the end of the interpreter, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    few = {errno.EMFILE: " (see `ulimit -n`)", errno.EFBIG: " (see `ulimit -f`)"}
    return f"{what}{error.strerror or error}{few.get(error.errno or 0, '')}."


def refuse_usage(error: click.UsageError) -> NoReturn:
    """Print how the command is used and what was wrong with the command line, and exit.

    Raises:
        UsageError: nothing was given where something must be, which prints the help.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        raise error
    if error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        click.echo(f"Try '{error.ctx.command_path} --help' for help.\n", err=True)
    message = message_of(error)
    complain(f"Error: {message}", *variable_notes(message))
    sys.exit(error.exit_code)


def report_and_exit(error: GradersError) -> NoReturn:
    """Print what is wrong on standard error, and exit with the code for it."""
    from graders_engine.errors import (
        BudgetSpent,
        DataSetError,
        InvalidGrader,
        OutOfResources,
        RunStopped,
    )
    from graders_engine.storage.errors import StoreError

    if isinstance(error, InvalidGrader):
        count = len(error.mistakes)
        complain(f"The grader has {count} mistakes:" if count > 1 else "The grader has a mistake:")
        for mistake in error.mistakes:
            show(mistake)
    else:
        complain(str(error), *variable_notes(str(error)))
    failed = (DataSetError, BudgetSpent, OutOfResources, RunStopped, StoreError)
    sys.exit(FAILED if isinstance(error, failed) else WRONG_REQUEST)


def complain(*lines: str) -> None:
    """Print on standard error what is wrong."""
    from graders_engine.report.terminal.screen import Problem

    _print(map(Problem, lines))


def caution(text: str) -> None:
    """Print on standard error what needs attention and does not stop the command."""
    from graders_engine.report.terminal.screen import Caution

    _print([Caution(text)])


def _print(lines: Iterable[str]) -> None:
    """Print lines on standard error; what that takes is imported now, for help prints no such line."""
    from graders_engine.cli.terminal.printing import print_lines

    print_lines(lines, err=True)


@contextmanager
def logged_warnings() -> Iterator[None]:
    """Within it, warnings that are logged and that nothing else takes are printed on standard error."""
    import logging

    from graders_engine.cli.terminal.printing import PrintedWarnings

    handler = PrintedWarnings(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def warn(mistake: Mistake) -> None:
    """Print a warning on standard error."""
    from graders_engine.report.terminal.screen import Caution

    first, *rest = str(mistake).split("\n")
    _print([Caution(f"warning: {first}"), *rest])


def show(mistake: Mistake) -> None:
    """Print one mistake: path, message, the line with a caret, and what to do."""
    from graders_engine.report.terminal.screen import Heading

    lines = ["", *([Heading(mistake.param)] if mistake.param else [])]
    _print([*lines, *(f"  {line}" for line in str(mistake).splitlines())])
