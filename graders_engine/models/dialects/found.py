"""The dialects of one endpoint, by model: discovered by the first request, and remembered.

Requests are sent in full at first. What an error names as unsupported is left out; what worked once is never
left out again. While the first request with a part that no answer has confirmed is out, the others wait for
it for a moment: so a refusal costs one request, not one for each that is in flight.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from graders_engine.errors import BackendFailure
from graders_engine.models.base import ModelRequest
from graders_engine.models.dialects.complaint import Asked, refused_parts
from graders_engine.models.dialects.dialect import Dialect, option_in

_log = logging.getLogger("graders_engine")

WAIT_S = 0.1
MAX_WAITS = 20
"""Longest wait for the first answer: a request is refused within a round trip, a verdict takes longer.

It is counted in short waits: while an import or a long row keeps the event loop, no time passes for it.
"""
MAX_REASON_CHARS = 200
"""Of an endpoint's message, in the warning."""


@dataclass
class _Known:
    """What is known of one model.

    Attributes:
        dialect: what to send.
        proven: parts that were sent and answered.
        reasons: why parts were left out, in the endpoint's words.
        warned: parts of which it was said that they are left out.
        trial: done when the request that tries unproven parts has ended; None while none is out.
        overdue: whether the others have stopped waiting for it.
    """

    dialect: Dialect
    proven: set[str]
    reasons: dict[str, str] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)
    trial: asyncio.Future[None] | None = None
    overdue: bool = False


class Dialects:
    """The dialects of one endpoint. Use it from one event loop.

    Args:
        address: the endpoint's, as messages show it.
        name: the endpoint's in graders.toml.
        api: the request form.
        structured: how the form of the answer is requested; "auto" discovers it.
        drop: options that are left out from the start.
        fixed: keys of a body that are set for all requests: leaving an option out would change nothing.
    """

    def __init__(
        self,
        address: str,
        *,
        name: str = "default",
        api: str = "chat",
        structured: str = "auto",
        drop: Iterable[str] = (),
        fixed: Iterable[str] = (),
    ) -> None:
        self._address, self._name, self._api = address, name, api
        left_out, self._proven = set(drop), set[str]()
        if structured != "auto":
            ways = ("json_schema", "json_object")
            left_out |= set(ways) - {structured}
            self._proven |= {structured} & set(ways)
        self._full = Dialect(frozenset(left_out))
        self._fixed = frozenset(fixed)
        self._known: dict[str, _Known] = {}

    def _of(self, model: str) -> _Known:
        if model not in self._known:
            self._known[model] = _Known(self._full, set(self._proven))
        return self._known[model]

    def of(self, model: str) -> Dialect:
        """The fullest form that is not known to fail."""
        return self._of(model).dialect

    def left_out(self, request: ModelRequest, dialect: Dialect) -> tuple[str, ...]:
        """The options of a request that a dialect leaves out, besides those that the settings drop."""
        if dialect.left_out == self._full.left_out:
            return ()
        wanted, sent = self._full.options(request), dialect.options(request)
        return tuple(name for name in wanted if name not in sent)

    async def begin(self, request: ModelRequest) -> asyncio.Future[None] | None:
        """Wait while another request tries the same model; gives what `end` takes.

        None comes back where nothing is to be discovered, or the wait took too long.
        """
        known = self._of(request.model)
        waits = 0
        while not known.dialect.parts(request, self._api) <= known.proven:
            if known.trial is None:
                known.trial, known.overdue = asyncio.get_running_loop().create_future(), False
                return known.trial
            if known.overdue:
                break
            await asyncio.wait((known.trial,), timeout=WAIT_S)
            waits += 1
            known.overdue = known.trial is not None and waits >= MAX_WAITS
        return None

    def end(self, request: ModelRequest, trial: asyncio.Future[None] | None) -> None:
        """The request has ended, whatever came of it: the next one may try what is still unproven."""
        if trial is not None:
            self._of(request.model).trial = None
            trial.set_result(None)

    def worked(self, request: ModelRequest, dialect: Dialect) -> None:
        """Remember what was sent and answered, and what was left out for it; tell of options once."""
        known = self._of(request.model)
        parts = dialect.parts(request, self._api)
        if dialect == known.dialect and parts <= known.proven:
            return
        known.proven |= parts
        learnt = known.dialect.left_out | dialect.left_out
        confirmed = known.proven | {part.partition("=")[0] for part in known.proven}
        known.dialect = Dialect(frozenset(learnt - confirmed))
        for part in sorted(dialect.left_out & known.reasons.keys() - known.warned):
            known.warned.add(part)
            if part in known.dialect.left_out and option_in(part):
                self._tell(request.model, part, known.reasons[part])

    def _tell(self, model: str, part: str, reason: str) -> None:
        option, _, value = part.partition("=")
        which = f"`{option}` {value}" if option == "reasoning_effort" and value else f"`{option}`"
        _log.warning(
            "%s is left out for %s at %s, which refuses it: %s; %s leaves it out from the start",
            which, model, self._address, reason.rstrip("."), self._setting([option]),
        )  # fmt: skip

    def simpler(self, dialect: Dialect, asked: Asked, error: BackendFailure) -> Dialect | None:
        """The dialect without what the endpoint says that it does not support.

        None if the endpoint complains of something else, if all of it has worked for this model, or if it is
        sent in any case.
        """
        known = self._of(asked.request.model)
        refused = self._droppable(refused_parts(asked, error))
        if not refused:
            return None
        kept = known.proven | self._proven
        gone = {self._narrowed(part, asked.parts, kept) for part in refused} - kept
        left_out = (dialect.left_out | known.dialect.left_out | gone) - kept
        if left_out == dialect.left_out:
            return None
        reason = (error.message or str(error))[:MAX_REASON_CHARS]
        known.reasons |= dict.fromkeys(gone, reason)
        return replace(dialect, left_out=left_out)

    def advice(self, asked: Asked, error: BackendFailure) -> str:
        """What to do about an option that is refused although it worked, or is sent in any case."""
        parts = refused_parts(asked, error)
        options = sorted({option for part in parts if (option := option_in(part))})
        if not options:
            return ""
        if self._droppable(parts) != parts:
            return (
                f"`extra_body` under [endpoints.{self._name}] in graders.toml sends {options[0]}."
            )
        return f"{self._setting(options)} leaves it out."

    def _setting(self, options: Iterable[str]) -> str:
        names = ", ".join(f'"{option}"' for option in options)
        return f"`drop = [{names}]` under [endpoints.{self._name}] in graders.toml"

    def _droppable(self, parts: frozenset[str]) -> frozenset[str]:
        """The parts that leaving out takes out of the body."""
        by_key = {
            "reasoning": "reasoning_effort", "max_completion_tokens": "max_tokens",
            "max_output_tokens": "max_tokens", "response_format": "json", "text": "json",
        }  # fmt: skip
        fixed = {by_key.get(key, key) for key in self._fixed}
        return frozenset(
            part
            for part in parts
            if (option_in(part) or part.partition("_")[0]) not in fixed
            and not (part == "max_completion_tokens" and "max_tokens" in fixed)
        )

    def _narrowed(self, part: str, sent: frozenset[str], proven: set[str]) -> str:
        """An option with the value that was sent, where it has worked with another value."""
        if any(name.startswith(f"{part}=") for name in proven):
            return next((name for name in sent if name.startswith(f"{part}=")), part)
        return part
