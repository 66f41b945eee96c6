"""The flags that set an engine, shared by the commands that make one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from graders_engine.blocking import Engine, Settings
from graders_engine.errors import InvalidRequest


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the engine's flags; it is called with an `Engine` that is not open yet."""

    @click.option(
        "--variant",
        "variants",
        metavar="METRIC=NAME",
        multiple=True,
        help="Another tool's number for a metric: bleu=nltk_method4, rouge_l=stem, rouge_1=unicode.",
    )
    @click.option(
        "--embeddings", metavar="WHAT", help="For cosine: openai:MODEL, model2vec:FOLDER, lexical."
    )
    @click.option(
        "--max-text-chars", metavar="N", type=click.IntRange(1), help="Longest text to compare."
    )
    @functools.wraps(command)
    def with_engine(
        variants: tuple[str, ...], embeddings: str | None, max_text_chars: int | None, **rest: Any
    ) -> None:
        settings: Settings = {
            "metric_variants": dict(_pair(variant) for variant in variants),
            "embeddings": embeddings,
        }
        if max_text_chars is not None:
            settings["max_text_chars"] = max_text_chars
        try:
            engine = Engine(**settings)
        except ValueError as error:  # an unknown metric or variant; the message lists what there is
            raise InvalidRequest(f"--variant: {error}.") from None
        command(engine=engine, **rest)

    return with_engine


def _pair(variant: str) -> tuple[str, str]:
    metric, equals, name = variant.partition("=")
    if not equals:
        raise InvalidRequest(f"--variant {variant}: write METRIC=NAME, such as bleu=nltk_method4.")
    return metric, name
