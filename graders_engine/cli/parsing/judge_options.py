"""The flags for the settings of judges."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from graders_engine.cli.parsing.flags import Decorator, flag, named_path, pairs
from graders_engine.cli.terminal.failing import caution
from graders_engine.errors import InvalidRequest
from graders_engine.models.judges import DEFAULT, JudgeSettings
from graders_engine.models.retry import RetryPolicy

CONFIG = Path("graders.toml")
"""Read if it is in the working folder and --config names no other file."""

_PATH = click.Path(path_type=Path)
_ABOVE_ZERO = click.FloatRange(0, min_open=True)
_AT_LEAST_ONE = click.IntRange(1)

JUDGE_FLAGS: dict[str, Decorator] = {
    "base_url": click.option(
        "--base-url", metavar="URL",
        help="OpenAI-compatible endpoint for judges, in place of graders.toml's default one and of "
        "OPENAI_BASE_URL; refused for a model that graders.toml maps to another endpoint. HTTP_PROXY, "
        "HTTPS_PROXY, ALL_PROXY and NO_PROXY count; this machine is asked without a proxy.",
    ),
    "judge_model": click.option(
        "--judge-model", metavar="NAME", help="Ask this model, regardless of the model in the grader.",
    ),
    "models": flag(
        JudgeSettings, "models", "--map", metavar="OLD=NEW", multiple=True,
        help="Ask NEW in place of the grader's model OLD; NEW@ENDPOINT for an endpoint in graders.toml.",
    ),
    "config": flag(
        JudgeSettings, "config", metavar="FILE", type=_PATH,
        help="Endpoints, models and prices (default: graders.toml in the working folder). Keys of "
        "[endpoints.NAME]: base_url, api, api_key_env, auth, headers, query, structured, drop, extra_body, "
        "concurrency, requests_per_minute, tokens_per_minute. OPENAI_API_KEY goes to OpenAI, the host in "
        "OPENAI_BASE_URL and --base-url only; others need api_key_env.",
    ),
    "concurrency": flag(
        JudgeSettings, "concurrency", metavar="N", type=_AT_LEAST_ONE, show_default=True,
        help="Limit on rows in flight, and on concurrent requests to one endpoint.",
    ),
    "requests_per_minute": flag(
        JudgeSettings, "requests_per_minute", metavar="N", type=_ABOVE_ZERO,
        help="Limit on requests to one endpoint.",
    ),
    "tokens_per_minute": flag(
        JudgeSettings, "tokens_per_minute", metavar="N", type=_ABOVE_ZERO,
        help="Limit on tokens to and from one endpoint.",
    ),
    "adaptive": flag(
        JudgeSettings, "adaptive", "--adaptive/--no-adaptive",
        help="Slow down when an endpoint answers 429 or 503 (default: on).",
    ),
    "attempt_s": flag(
        RetryPolicy, "attempt_s", "--judge-timeout", metavar="S", type=_ABOVE_ZERO,
        show_default=True, help="Time limit for one attempt, in seconds.",
    ),
    "attempts": flag(
        RetryPolicy, "attempts", "--judge-attempts", metavar="N", type=_AT_LEAST_ONE,
        show_default=True, help="Attempts for one request, the first included.",
    ),
    "repeats": flag(
        JudgeSettings, "repeats", "--judge-repeats", metavar="K", type=_AT_LEAST_ONE,
        help="Ask K times per row; the result is the median, or the most frequent label.",
    ),
    "cache": flag(
        JudgeSettings, "cache", metavar="FILE", type=_PATH, callback=named_path,
        help="File of the cache of replies.",
    ),
    "no_cache": click.option(
        "--no-cache", is_flag=True, help="Do not use the cache of replies.",
    ),
    "record": flag(
        JudgeSettings, "record", metavar="DIR", type=_PATH, callback=named_path,
        help="Folder to write each request and its reply to.",
    ),
    "replay": flag(
        JudgeSettings, "replay", metavar="DIR", type=_PATH, callback=named_path,
        help="Folder to take all replies from, without network access.",
    ),
    "max_cost": flag(
        JudgeSettings, "max_cost", metavar="MONEY", type=_ABOVE_ZERO,
        help="Stop before judges cost more; prices come from graders.toml.",
    ),
    "max_tokens": flag(
        JudgeSettings, "max_tokens", metavar="N", type=_AT_LEAST_ONE,
        help="Stop before judges use more tokens.",
    ),
}  # fmt: skip
"""By the names of the command's parameters."""


_WHO_IS_ASKED = {"judge_model": "--judge-model", "models": "--map", "base_url": "--base-url"}


def judge_settings(given: dict[str, Any], *, use_cache: bool) -> JudgeSettings:
    """The settings that the flags make.

    Args:
        given: the flags' values, by the names in `JUDGE_FLAGS`.
        use_cache: whether replies are cached by default.

    Raises:
        InvalidRequest: a flag cannot be used.
    """
    names = {entry.name for entry in dataclasses.fields(JudgeSettings)}
    settings = {name: value for name, value in given.items() if name in names}
    settings["models"] = pairs("--map", given["models"], "OLD=NEW, or OLD=NEW@ENDPOINT")
    if given["judge_model"]:
        settings["models"]["*"] = given["judge_model"]
    if given["base_url"]:
        settings["endpoints"] = {DEFAULT: given["base_url"]}
    settings["config"] = given["config"] or (CONFIG if CONFIG.exists() else None)
    settings["cache"] = _cache(given["cache"], off=given["no_cache"], use_cache=use_cache)
    attempts, attempt_s = given["attempts"], given["attempt_s"]
    total_s = max(RetryPolicy().total_s, 3 * attempt_s)
    settings["retry"] = RetryPolicy(attempts=attempts, attempt_s=attempt_s, total_s=total_s)
    _say_unused(given)
    return JudgeSettings(**settings)


def _say_unused(given: dict[str, Any]) -> None:
    """Say which flags change nothing, for nobody is asked."""
    unused = [flag for name, flag in _WHO_IS_ASKED.items() if given[name]]
    if given["replay"] and unused:
        caution(
            f"note: with --replay nobody is asked: the replies are the recorded ones, whatever "
            f"{' and '.join(unused)} say{'' if len(unused) > 1 else 's'}"
        )


def _cache(path: Path | None, *, off: bool, use_cache: bool) -> Path | None:
    if off and path:
        raise InvalidRequest("--cache and --no-cache contradict each other: give one of them.")
    if off or (path is None and not use_cache):
        return None
    if path is not None:
        return path
    from graders_engine.models.cache import default_path

    return default_path()
