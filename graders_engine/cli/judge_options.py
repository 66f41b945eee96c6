"""The flags that say where judges are asked, and how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from graders_engine.errors import InvalidRequest
from graders_engine.models.judges import DEFAULT, DEFAULT_CONCURRENCY, JudgeSettings
from graders_engine.models.retry import RetryPolicy

CONFIG = Path("graders.toml")
"""Read when it is in the working folder, unless --config names another."""

_FLAGS = (
    click.option("--base-url", metavar="URL", help="Where judges answer: any OpenAI-compatible endpoint."),
    click.option("--judge-model", metavar="NAME", help="Ask this model, whatever the grader names."),
    click.option(
        "--map", "mapped", metavar="OLD=NEW", multiple=True,
        help="Ask NEW for graders that name OLD; NEW@ENDPOINT at an endpoint of graders.toml.",
    ),
    click.option(
        "--config", metavar="FILE", type=click.Path(path_type=Path),
        help="Endpoints, models and prices; graders.toml in the working folder when left out.",
    ),
    click.option(
        "--concurrency", metavar="N", type=click.IntRange(1), default=DEFAULT_CONCURRENCY,
        show_default=True, help="Rows, and requests to an endpoint, in flight at once.",
    ),
    click.option("--requests-per-minute", metavar="N", type=click.FloatRange(0, min_open=True),
                 help="To one endpoint, at most."),
    click.option("--tokens-per-minute", metavar="N", type=click.FloatRange(0, min_open=True),
                 help="To and from one endpoint, at most."),
    click.option(
        "--adaptive/--no-adaptive", default=True,
        help="Let an endpoint's refusals (429, 503) set the pace; on by default.",
    ),
    click.option("--judge-timeout", metavar="S", type=click.FloatRange(0, min_open=True), default=120.0,
                 show_default=True, help="Seconds for one try."),
    click.option("--judge-attempts", metavar="N", type=click.IntRange(1), default=6, show_default=True,
                 help="Tries of one request, the first included."),
    click.option("--judge-repeats", metavar="K", type=click.IntRange(1), default=1,
                 help="Ask K times a row: the median, or the majority's label, counts."),
    click.option("--cache", metavar="FILE", type=click.Path(path_type=Path), help="Where replies are kept."),
    click.option("--no-cache", is_flag=True, help="Keep no replies, and use none that were kept."),
    click.option("--record", metavar="DIR", type=click.Path(path_type=Path),
                 help="Write each request and its reply there."),
    click.option("--replay", metavar="DIR", type=click.Path(path_type=Path),
                 help="Take the replies from there, and from nowhere else."),
    click.option("--max-cost", metavar="MONEY", type=click.FloatRange(0, min_open=True),
                 help="Stop before judges cost more; prices stand in graders.toml."),
    click.option("--max-tokens", metavar="N", type=click.IntRange(1), help="Stop before they take more."),
)  # fmt: skip
NAMES = (
    "base_url", "judge_model", "mapped", "config", "concurrency", "requests_per_minute",
    "tokens_per_minute", "adaptive", "judge_timeout", "judge_attempts", "judge_repeats", "cache",
    "no_cache", "record", "replay", "max_cost", "max_tokens",
)  # fmt: skip
"""The parameters that the flags give to a command."""


def judge_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def judging(given: dict[str, Any], *, keep_replies: bool) -> JudgeSettings:
    """What the flags say.

    Args:
        given: by the names in `NAMES`.
        keep_replies: whether replies are kept when no flag says so.

    Raises:
        InvalidRequest: a flag cannot be used.
    """
    models = dict(_pair(pair) for pair in given["mapped"])
    if given["judge_model"]:
        models["*"] = given["judge_model"]
    config = given["config"] or (CONFIG if CONFIG.exists() else None)
    attempts, timeout = given["judge_attempts"], given["judge_timeout"]
    return JudgeSettings(
        endpoints={DEFAULT: given["base_url"]} if given["base_url"] else {},
        models=models,
        config=config,
        concurrency=given["concurrency"],
        requests_per_minute=given["requests_per_minute"],
        tokens_per_minute=given["tokens_per_minute"],
        adaptive=given["adaptive"],
        retry=RetryPolicy(attempts=attempts, attempt_s=timeout, total_s=max(300.0, 3 * timeout)),
        cache=_cache(given["cache"], off=given["no_cache"], keep_replies=keep_replies),
        record=given["record"],
        replay=given["replay"],
        max_cost=given["max_cost"],
        max_tokens=given["max_tokens"],
        repeats=given["judge_repeats"],
    )


def _cache(path: Path | None, *, off: bool, keep_replies: bool) -> Path | None:
    if off and path:
        raise InvalidRequest("--cache and --no-cache say the opposite of each other.")
    if off or (path is None and not keep_replies):
        return None
    if path is not None:
        return path
    from graders_engine.models.cache import default_path

    return default_path()


def _pair(given: str) -> tuple[str, str]:
    old, equals, new = given.partition("=")
    if not (old and equals and new):
        raise InvalidRequest(f"--map {given}: write OLD=NEW, or OLD=NEW@ENDPOINT.")
    return old, new
