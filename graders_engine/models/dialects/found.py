"""The dialects of one endpoint, by model: discovered by the first request, and remembered.

Requests are sent in full at first. What an error names as unsupported is left out; what worked once is never
left out again. While the first request with a part that no answer has confirmed is out, the others wait for
it for a moment (`turns`); what one is refused, the others leave out at once.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from graders_engine.errors import BackendFailure
from graders_engine.models.base import ModelRequest
from graders_engine.models.dialects.complaint import Asked, refused_parts
from graders_engine.models.dialects.dialect import Dialect, described, named, option_in
from graders_engine.models.dialects.turns import Turns

_log = logging.getLogger("graders_engine")

MAX_REASON_CHARS = 200
"""Of an endpoint's message, in the warning."""
_NUMBER = re.compile(r"[0-9a-f-]*\d[0-9a-f-]*")
"""What differs between two errors of one kind, such as the number of a request."""


_LIMIT_MISSING = re.compile(r"(?i)max_tokens: (?:\w+ )?field required")
_TWO_LIMITS = re.compile(r"max_tokens\b.{0,9}\bmax_completion_tokens\b.{0,9}\bat the same time")
_NO_THINKING = re.compile(r"enable_thinking\W{1,3}must be set to false")
"""Errors about options that a setting adds or changes."""


@dataclass
class _Known:
    """What is known of one model.

    Attributes:
        dialect: what worked, without what was clearly refused.
        proven: parts that were sent and answered.
        shared: parts that requests in flight were clearly refused, and how many of them.
        doubted: parts that one request was refused in words that do not say clearly why.
        in_vain: errors that stayed the same without what they named.
        reasons: why parts were left out, in the endpoint's words.
        warned: the parts of which it was said that they are left out, for one request or for all.
        turns: who asks first.
    """

    dialect: Dialect
    proven: set[str]
    shared: Counter[str] = field(default_factory=Counter)
    doubted: dict[str, ModelRequest] = field(default_factory=dict)
    in_vain: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)
    warned: set[tuple[str, bool]] = field(default_factory=set)
    turns: Turns = field(default_factory=Turns)


@dataclass
class Attempt:
    """One request on its way.

    Attributes:
        request: what is asked.
        goes_ahead: whether others wait for it.
        refused: parts that it was clearly refused.
        reason: the last error about parts, without numbers.
        ended: "worked", "rejected" where the answer was about this request alone, or nothing.
    """

    request: ModelRequest
    goes_ahead: bool = False
    refused: set[str] = field(default_factory=set)
    reason: str = ""
    ended: str = ""


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
        return self._dialect(self._of(model))

    @staticmethod
    def _dialect(known: _Known) -> Dialect:
        shared = known.shared and known.shared.keys() - known.proven
        return Dialect(known.dialect.left_out | shared) if shared else known.dialect

    def left_out(self, request: ModelRequest, dialect: Dialect) -> tuple[str, ...]:
        """The parts of a request that a dialect leaves out, besides those that the settings leave out."""
        if dialect.left_out == self._full.left_out:
            return ()
        wanted, sent = self._full.options(request.sampling), dialect.options(request.sampling)
        options = [name for name in wanted if name not in sent]
        parts = self._full.parts(request, self._api) & dialect.left_out
        others = {named(part, dialect) for part in parts if option_in(part) is None}
        return (*options, *sorted(others))

    async def begin(self, request: ModelRequest) -> Attempt:
        """Wait while another request tries the same model, but not for long; gives what `end` takes."""
        attempt = Attempt(request)
        if not self._is_proven(request):
            await self._wait(attempt)
        return attempt

    async def _wait(self, attempt: Attempt) -> None:
        turns = self._of(attempt.request.model).turns
        while not (attempt.goes_ahead or turns.is_over or self._is_proven(attempt.request)):
            attempt.goes_ahead = await turns.go_ahead()

    def _is_proven(self, request: ModelRequest) -> bool:
        known = self._of(request.model)
        return self._dialect(known).parts(request, self._api) <= known.proven

    def end(self, attempt: Attempt) -> None:
        """The request has ended, whatever came of it: the next one may try what is still unproven."""
        known = self._of(attempt.request.model)
        if attempt.refused:
            # Without a success it is not believed any longer.
            known.shared -= Counter(attempt.refused)
        if attempt.goes_ahead:
            if attempt.ended != "worked":
                known.turns.failed(was_rejected=attempt.ended == "rejected")
            known.turns.end()

    def worked(self, attempt: Attempt, dialect: Dialect) -> None:
        """Remember what was sent and answered, and what was left out for it; tell of it once."""
        attempt.ended = "worked"
        request = attempt.request
        known = self._of(request.model)
        parts = dialect.parts(request, self._api)
        if dialect == known.dialect and parts <= known.proven:
            return
        if not parts <= known.proven:
            known.turns.renew()
        known.proven |= parts
        learnt = known.dialect.left_out | (dialect.left_out - known.doubted.keys())
        confirmed = known.proven | {part.partition("=")[0] for part in known.proven}
        known.dialect = Dialect(frozenset(learnt - confirmed))
        reported = dialect.left_out & known.reasons.keys()
        for part in sorted(reported - ({"developer"} if "system" in reported else set())):
            is_learnt = part in known.dialect.left_out
            warning = (part if option_in(part) else named(part, dialect), is_learnt)
            if warning not in known.warned and (is_learnt or part in known.doubted):
                known.warned.add(warning)
                self._tell(request.model, part, known.reasons[part], dialect, is_learnt=is_learnt)

    def _tell(
        self, model: str, part: str, reason: str, dialect: Dialect, *, is_learnt: bool
    ) -> None:
        reason = reason.rstrip(".")
        if not is_learnt:
            _log.warning(
                "one request for %s at %s was sent %s, after this error: %s",
                model, self._address, described(named(part, dialect)), reason,
            )  # fmt: skip
            return
        if option := option_in(part):
            value = part.partition("=")[2]
            effort = option == "reasoning_effort" and value
            which = f"`{option}` {value}" if effort else f"`{option}`"
            _log.warning(
                "%s is left out for %s at %s, which refuses it: %s; %s leaves it out from the start",
                which, model, self._address, reason, self._setting([option]),
            )  # fmt: skip
            return
        name, remedy = named(part, dialect), ""
        if name != part:
            remedy = f"; this setting under [endpoints.{self._name}] in graders.toml does so from the start"
        _log.warning(
            "requests for %s at %s are sent %s, since it refuses them otherwise: %s%s",
            model, self._address, described(name), reason, remedy,
        )  # fmt: skip

    async def simpler(
        self,
        dialect: Dialect,
        asked: Asked,
        error: BackendFailure,
        attempt: Attempt,
        answer_s: float,
    ) -> Dialect | None:
        """The dialect without what the endpoint says that it does not support.

        Where it is not clear that it does not, this holds for this request alone, until another one is
        refused the same. None comes back if the endpoint complains of something else, if all of it has worked
        for this model, or if it is sent in any case.

        Args:
            dialect: what was sent.
            asked: the request as it was sent.
            error: the answer.
            attempt: what `begin` gave.
            answer_s: how long the answer took.
        """
        known = self._of(attempt.request.model)
        words = _NUMBER.sub("#", error.message or str(error))
        found = {} if words in known.in_vain else refused_parts(asked, error)
        if words == attempt.reason and not found:
            # What it named is left out, and it says the same: that was not the reason.
            known.in_vain.add(words)
        kept = known.proven | self._proven
        refused = self._droppable(frozenset(found))
        gone = {self._narrowed(part, asked.parts, kept): found[part] for part in refused}
        gone = {part: is_clear for part, is_clear in gone.items() if part not in kept}
        left_out = (dialect.left_out | self.of(attempt.request.model).left_out | set(gone)) - kept
        if not refused or left_out == dialect.left_out:
            return None
        attempt.reason = words
        known.reasons |= dict.fromkeys(gone, (error.message or str(error))[:MAX_REASON_CHARS])
        for part, is_clear in gone.items():
            if is_clear or known.doubted.get(part, attempt.request) != attempt.request:
                known.doubted.pop(part, None)
                attempt.refused.add(part)
            else:
                known.doubted[part] = attempt.request
        known.shared += Counter(gone.keys() & attempt.refused)
        known.turns.renew(answer_s)
        await self._wait(attempt)
        return Dialect(frozenset(left_out | self.of(attempt.request.model).left_out) - known.proven)

    def advice(self, asked: Asked, error: BackendFailure) -> str:
        """What to do about an option that is refused although it worked, is sent in any case, or lacks."""
        table = f"under [endpoints.{self._name}] in graders.toml"
        if _LIMIT_MISSING.search(error.details):
            return "Set max_completions_tokens in the grader's sampling_params."
        if _TWO_LIMITS.search(error.details) and "max_tokens" in self._fixed:
            return f"`extra_body` sets max_tokens beside the grader's: {self._setting(['max_tokens'])}."
        if _NO_THINKING.search(error.details):
            return f"Set extra_body = {{enable_thinking = false}} {table}."
        parts = frozenset(refused_parts(asked, error))
        options = sorted({option for part in parts if (option := option_in(part))})
        if not options:
            return ""
        if self._droppable(parts) != parts:
            return f"`extra_body` {table} sends {options[0]}."
        if any("=" in part for part in parts):
            # Another value may work: leaving the option out changes all requests.
            return (
                f"Give the grader another value of {options[0]}, or set {self._setting(options)}: that "
                "leaves it out of all requests."
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
