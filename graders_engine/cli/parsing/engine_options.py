"""The flags for the settings of an engine, shared by the commands that use one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection
from typing import Any

import click
from click.core import ParameterSource

from graders_engine.blocking import Engine
from graders_engine.cli.parsing.flags import Decorator, flag, pairs, with_flags
from graders_engine.cli.parsing.judge_options import JUDGE_FLAGS, judge_settings
from graders_engine.cli.terminal.failing import caution
from graders_engine.errors import InvalidRequest
from graders_engine.sandbox.base import Limits
from graders_engine.settings import EngineSettings

_ENGINE_FLAGS: dict[str, Decorator] = {
    "metric_variants": flag(
        EngineSettings, "metric_variants", "--variant", metavar="METRIC=NAME", multiple=True,
        help="Compute a variant of a metric: bleu=nltk_method4, rouge_l=stem, rouge_1=unicode.",
    ),
    "embeddings": flag(
        EngineSettings, "embeddings", metavar="WHAT",
        help="Source of vectors for cosine: openai:MODEL, model2vec:FOLDER or lexical.",
    ),
    "max_text_chars": flag(
        EngineSettings, "max_text_chars", metavar="N", type=click.IntRange(1),
        help="Longest text that a metric compares, in characters.",
    ),
    "templates": flag(
        EngineSettings, "templates", type=click.Choice(["strict", "as_served"]),
        help="Templates that cannot be read: refuse them, or run them as the hosted evals did.",
    ),
    "sandbox": flag(
        EngineSettings, "sandbox", type=click.Choice(["auto", "namespaces", "landlock", "none"]),
        help="Sandbox for python graders; `none` disables isolation.",
    ),
    "python_isolation": flag(
        EngineSettings, "python_isolation", type=click.Choice(["call", "worker"]),
        help="What rows of a python grader have for themselves: a process (call), or their turn in one "
        "(worker: much faster; not for graders that execute what a model wrote, which is hostile).",
    ),
    "trust_source": flag(
        EngineSettings, "trust_source", "--trust-grader", is_flag=True,
        help="With --python-isolation worker, run a source that names exec, eval and the like.",
    ),
    "limits": flag(
        EngineSettings, "limits", "--limit", metavar="NAME=VALUE", multiple=True,
        help="Limit on each python grader call: wall_s=120, memory_bytes=2147483648, disk_bytes, cpus, …",
    ),
}  # fmt: skip


def engine_options(*, use_cache: bool = False, useful: Collection[str] | None = None) -> Decorator:
    """Add the engine's flags to a command, which is called with an `engine` that is not open yet.

    Args:
        use_cache: whether judges' replies are cached on disk by default.
        useful: the flags that change what the command does, by the names of their parameters; the others
            are accepted, but not in its help. None for all.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @engine_settings(use_cache=use_cache, useful=useful)
        @functools.wraps(command)
        def with_engine(settings: EngineSettings, **rest: Any) -> None:
            command(engine=Engine.from_settings(settings), **rest)

        return with_engine

    return decorate


def engine_settings(*, use_cache: bool = False, useful: Collection[str] | None = None) -> Decorator:
    """Add the engine's flags to a command, which is called with the `settings` that they make."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_settings(**given: Any) -> None:
            flags = {name: given.pop(name) for name in (*_ENGINE_FLAGS, *JUDGE_FLAGS)}
            command(settings=_settings_from_flags(flags, use_cache=use_cache), **given)

        flags = {**_ENGINE_FLAGS, **JUDGE_FLAGS}
        return with_flags(
            with_settings, flags, hidden=flags.keys() - (flags if useful is None else useful)
        )

    return decorate


_NO_MATTER = frozenset(
    {"concurrency", "requests_per_minute", "tokens_per_minute", "adaptive", "max_cost", "max_tokens",
     "record"}
)  # fmt: skip
"""Flags that change no reward of one answer."""


def flags_given() -> tuple[str, ...]:
    """The engine's flags of the running command's line that may change a reward, for another command."""
    context = click.get_current_context()
    names = {*_ENGINE_FLAGS, *JUDGE_FLAGS} - _NO_MATTER
    words: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        if (
            name not in names
            or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE
        ):
            continue
        value = context.params[name]
        if isinstance(option, click.Option) and option.is_flag:
            words.append(option.opts[0])
            continue
        for part in value if isinstance(value, tuple) else (value,):
            words += [option.opts[0], str(part)]
    return tuple(words)


def _settings_from_flags(flags: dict[str, Any], *, use_cache: bool) -> EngineSettings:
    names = {entry.name for entry in dataclasses.fields(EngineSettings)}
    settings = {name: value for name, value in flags.items() if name in names}
    settings["metric_variants"] = pairs("--variant", flags["metric_variants"])
    settings["limits"] = _limits(flags["limits"])
    settings["judges"] = judge_settings(flags, use_cache=use_cache)
    if flags["sandbox"] == "none":
        caution("warning: python graders run without a sandbox.")
    try:
        return EngineSettings(**settings)
    except ValueError as error:  # an unknown metric or variant; the message lists the known ones
        raise InvalidRequest(f"--variant: {error}.") from None


def _limits(given: tuple[str, ...]) -> Limits:
    known = dataclasses.asdict(Limits())
    limits: dict[str, Any] = {}
    for name, value in pairs("--limit", given).items():
        text = f"{name}={value}"
        if name not in known:
            raise InvalidRequest(f"--limit {text}: unknown limit; there are {', '.join(known)}.")
        try:
            limits[name] = type(known[name])(value)
        except ValueError:
            raise InvalidRequest(
                f"--limit {text}: '{value}' is not a number of this kind."
            ) from None
    try:
        return Limits(**limits)
    except ValueError as error:
        raise InvalidRequest(f"--limit: {error}.") from None
