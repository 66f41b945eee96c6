"""The flags that set an engine, shared by the commands that make one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import click

from graders_engine.blocking import Engine, Settings
from graders_engine.cli.judge_options import NAMES, judge_options, judging
from graders_engine.errors import InvalidRequest
from graders_engine.sandbox.base import Limits


def engine_options(
    *, keep_replies: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the engine's flags; it is called with an `Engine` that is not open yet.

    Args:
        keep_replies: whether judges' replies are kept on disk when no flag says so.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @engine_settings(keep_replies=keep_replies)
        @functools.wraps(command)
        def with_engine(settings: Settings, **rest: Any) -> None:
            try:
                engine = Engine(**settings)
            except (
                ValueError
            ) as error:  # an unknown metric or variant; the message lists what there is
                raise InvalidRequest(f"--variant: {error}.") from None
            command(engine=engine, **rest)

        return with_engine

    return decorate


def engine_settings(
    *, keep_replies: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the engine's flags; it is called with the `settings` that they stand for."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @_flags
        @judge_options
        @functools.wraps(command)
        def with_settings(
            variants: tuple[str, ...],
            embeddings: str | None,
            max_text_chars: int | None,
            sandbox: str,
            limits: tuple[str, ...],
            **rest: Any,
        ) -> None:
            asked = {name: rest.pop(name) for name in NAMES}
            settings: Settings = {
                "metric_variants": dict(_pair("--variant", given) for given in variants),
                "embeddings": embeddings,
                "sandbox": sandbox,
                "limits": _limits(limits),
                "concurrency": asked["concurrency"],
                "judges": judging(asked, keep_replies=keep_replies),
            }
            if sandbox == "none":
                click.secho("warning: python graders run without a sandbox.", err=True, fg="yellow")
            if max_text_chars is not None:
                settings["max_text_chars"] = max_text_chars
            command(settings=settings, **rest)

        return with_settings

    return decorate


def _flags(command: Callable[..., None]) -> Callable[..., None]:
    flags = (
        click.option(
            "--variant",
            "variants",
            metavar="METRIC=NAME",
            multiple=True,
            help="Another tool's number for a metric: bleu=nltk_method4, rouge_l=stem, rouge_1=unicode.",
        ),
        click.option(
            "--embeddings",
            metavar="WHAT",
            help="For cosine: openai:MODEL, model2vec:FOLDER, lexical.",
        ),
        click.option(
            "--max-text-chars", metavar="N", type=click.IntRange(1), help="Longest text to compare."
        ),
        click.option(
            "--sandbox",
            type=click.Choice(["auto", "namespaces", "landlock", "none"]),
            default="auto",
            help="Where python graders run; none is no walls at all.",
        ),
        click.option(
            "--limit",
            "limits",
            metavar="NAME=VALUE",
            multiple=True,
            help="Of a python grader's call: wall_s=120, memory_bytes=2147483648, disk_bytes, cpus, …",
        ),
    )
    for flag in reversed(flags):
        command = flag(command)
    return command


def _pair(flag: str, given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise InvalidRequest(f"{flag} {given}: write NAME=VALUE.")
    return name, value


def _limits(given: tuple[str, ...]) -> Limits:
    known = dataclasses.asdict(Limits())
    limits: dict[str, Any] = {}
    for pair in given:
        name, value = _pair("--limit", pair)
        if name not in known:
            raise InvalidRequest(f"--limit {pair}: there are {', '.join(known)}.")
        try:
            limits[name] = type(known[name])(value)
        except ValueError:
            raise InvalidRequest(f"--limit {pair}: '{value}' is no such number.") from None
    try:
        return Limits(**limits)
    except ValueError as error:
        raise InvalidRequest(f"--limit: {error}.") from None
