"""One process that grades row after row, from its first instruction to its last.

Each row runs the module from its start, in a module object of its own, and the process is put back
after it (`surroundings`). The engine sends rows ahead; each is read only when the one before has been
answered. The replies are frames on the same socket. The nonce of a row is kept as `child` keeps it, so
that nothing outside of this process can give a reward: not what is printed, not another process, not a
fork of this one, which ends without an answer as soon as it comes back here. Code inside of this
process can do what the grader can do, to its own row and to those that follow: rows that must not trust
each other need a process each.
"""

from __future__ import annotations

import math
import os
import sys
from contextvars import copy_context

from graders_engine.sandbox.inside import child, wire
from graders_engine.sandbox.inside.captured import Printed
from graders_engine.sandbox.inside.surroundings import Surroundings

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from typing import NoReturn

    from graders_engine.sandbox.inside.child import Prepared

child.OURS.add(__file__)
_received = -1  # the number of the row that was read last


class Printers:
    """Both streams of the rows."""

    def __init__(self, most: int) -> None:
        self._out, self._err = Printed("stdout", 1, most), Printed("stderr", 2, most)
        self.renew()

    def renew(self) -> None:
        """Make them the interpreter's."""
        sys.stdout, sys.stderr = self._out.stream, self._err.stream
        sys.__dict__.update(__stdout__=sys.stdout, __stderr__=sys.stderr)

    def take(self) -> tuple[int, bytes, int, bytes]:
        """What the row printed, and fresh streams for the next."""
        out_total, out = self._out.take()
        err_total, err = self._err.take()
        self.renew()
        return out_total, out, err_total, err


def serve(prepared: Prepared, surroundings: Surroundings, printers: Printers) -> NoReturn:
    """Grade rows until the engine or the process is done. It is confined already."""
    # looked up now: what the expression calls after user code must be on the value stack by then
    exactly, scale, pack, leave = wire.exactly, math.ldexp, wire.REWARD.pack, os._exit
    is_instance, text, getpid, rows, put = isinstance, str, os.getpid, child.ROWS, wire.send
    run, next_row = (_run if sys.version_info >= (3, 12) else child.run), _next_row
    own, number, more = getpid(), 0, True
    while more:
        value: object = None
        try:
            # one expression, on purpose: see the docstring of `child`
            report = pack(
                wire.REWARD_TAG,
                exactly(rows, wire.NONCE_BYTES),
                scale((value := copy_context().run(run, prepared, *next_row(number))), 0),
                is_instance(value, text),
                False,
            )
        except wire.Closed:
            leave(0)
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is its result
            if getpid() != own or _received != number:
                leave(0)  # a fork that the row made; or the row before has left the socket unusable
            report = child.failure(error, value)
        if getpid() != own:  # a fork that the row made
            leave(0)
        del value
        out_total, out, err_total, err = printers.take()
        more = surroundings.restore()
        body = wire.REPLY.pack(number, not more, len(report), out_total, err_total)
        size = len(body) + len(report) + len(out) + len(err)
        put(rows, b"".join((wire.LENGTH.pack(size), body, report, out, err)))
        number += 1
    leave(0)


def _run(prepared: Prepared, sample_json: bytes, item_json: bytes) -> float:
    """`child.run`, one call deeper: from Python 3.12 on, a context's call does not count as one.

    A recursion then gets as deep as in a process of the row's own.
    """
    return child.run(prepared, sample_json, item_json)


def _next_row(number: int) -> tuple[bytes, bytes]:
    """Sample and item of the next row.

    It has returned when `grade` is called: a recursion gets as deep as in a process of the row's own.
    """
    global _received
    got, sample_json, item_json = wire.receive_shared_row(child.ROWS)
    if got != number:
        os._exit(0)  # the row before has read from the socket; what is there cannot be used
    _received = number
    return sample_json, item_json
