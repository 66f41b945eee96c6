"""A dialect: which parts of a request an endpoint does not take for a model."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

from graders_engine.models.base import ModelRequest, Sampling

_log = logging.getLogger("graders_engine")

Binding = Literal["json_schema", "json_object", "text"]
"""How the form of the answer is requested, from the strictest way to none."""
BINDINGS: tuple[Binding, ...] = ("json_schema", "json_object", "text")
_WITHOUT = {
    "max_completion_tokens": "with `max_tokens` instead of `max_completion_tokens`",
    "developer": "with `developer` messages as `system` messages",
    "system": "with `system` messages as part of the `user` message",
    "turns": "with messages of one role in a row as one message",
}
"""How requests are sent without a part that is no option, and not the form of the answer."""
OPTIONS = ("max_tokens", "reasoning_effort", "seed", "store", "stream", "temperature", "top_p")
"""Options that can be left out; `store` and `stream` are the responses form's."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is left out of requests.

    Attributes:
        left_out: options, by their names in `OPTIONS` or with a value as `part_of` writes it; "json_schema"
            and "json_object", ways to request the form of the answer; "max_completion_tokens", this name for
            `max_tokens`; "developer", a role that is sent as "system" then; "system", a role whose text
            stands in a user message then; "turns", several messages of one role in a row.
    """

    left_out: frozenset[str] = frozenset()

    @property
    def binding(self) -> Binding:
        """How the form of the answer is requested."""
        for way in BINDINGS:
            if way not in self.left_out:
                return way
        return "text"

    @property
    def limit_name(self) -> str:
        """The name of the limit on an answer's tokens, in chat completions."""
        renamed = "max_completion_tokens" in self.left_out
        return "max_tokens" if renamed else "max_completion_tokens"

    def options(self, sampling: Sampling) -> dict[str, Any]:
        """What is sent of how a request samples, by names in `OPTIONS`."""
        left_out = self.left_out
        given = (
            ("max_tokens", sampling.max_tokens),
            ("reasoning_effort", sampling.reasoning_effort),
            ("seed", sampling.seed),
            ("temperature", sampling.temperature),
            ("top_p", sampling.top_p),
        )
        return {
            name: value
            for name, value in given
            if value is not None
            and not (left_out and (name in left_out or part_of(name, value) in left_out))
        }

    def parts(self, request: ModelRequest, api: str) -> frozenset[str]:
        """What a request sends of all that can be left out.

        Args:
            request: what is asked.
            api: the request form, "chat" or "responses".
        """
        roles = tuple([message.role for message in request.messages])
        return _parts(self, request.sampling, roles, api)


@lru_cache(maxsize=256)
def _parts(
    dialect: Dialect, sampling: Sampling, roles: tuple[str, ...], api: str
) -> frozenset[str]:
    # Kept: it is needed twice for each request, and the requests of a grader send the same.
    return frozenset(_sent(dialect, sampling, roles, api))


def _sent(dialect: Dialect, sampling: Sampling, roles: tuple[str, ...], api: str) -> Iterator[str]:
    binding, left_out = dialect.binding, dialect.left_out
    if binding != "text":
        yield binding
    for name, value in dialect.options(sampling).items():
        if api == "chat" or name != "seed":
            yield part_of(name, value)
        if api == "chat" and name == "max_tokens" and dialect.limit_name != name:
            yield dialect.limit_name
    if api == "responses":
        yield from (name for name in ("store", "stream") if name not in left_out)
    if "system" not in left_out:
        if "developer" in roles and "developer" not in left_out:
            yield "developer"
        if binding != "json_schema" or "system" in roles or "developer" in roles:
            yield "system"
        if "turns" not in left_out and any(one == next_one for one, next_one in pairwise(roles)):
            yield "turns"


def part_of(name: str, value: Any) -> str:
    """An option with its value, as far as models differ: many take the default alone, or some efforts."""
    if name == "reasoning_effort":
        return f"{name}={value}"
    if name in ("temperature", "top_p"):
        return f"{name}={'1' if value == 1 else 'other'}"
    return name


def option_in(part: str) -> str | None:
    """The option that a part is, without its value; None if it is none."""
    name = part.partition("=")[0]
    return name if name in OPTIONS else None


def named(part: str, dialect: Dialect) -> str:
    """How a part is called that a dialect leaves out: the form of the answer as its setting."""
    return f'structured = "{dialect.binding}"' if part.startswith("json_") else part


def described(name: str) -> str:
    """How requests are sent without a part, by its name from `named`."""
    if name.startswith("structured"):
        return f"with `{name}`"
    return _WITHOUT.get(name) or f"without `{option_in(name) or name}`"


class KeptReplies:
    """Says once how kept replies were asked for, where a part was refused; fresh ones said so."""

    def __init__(self) -> None:
        self._warned: set[tuple[str, str]] = set()

    def see(self, model: str, left_out: Iterable[str], *, kept: bool) -> None:
        """Take note of a reply of a model.

        Args:
            model: its name.
            left_out: what the reply says of that.
            kept: whether it was kept from an earlier request.
        """
        for part in left_out:
            if (model, part) not in self._warned and kept:
                refused = "which it refuses" if option_in(part) else "since it refused more"
                _log.warning(
                    "kept replies of %s were asked for %s, %s", model, described(part), refused
                )
            self._warned.add((model, part))
