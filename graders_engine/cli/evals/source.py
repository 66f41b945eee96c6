"""The data source of `graders evals run`, from its flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graders_engine.blocking import Engine
from graders_engine.body_fields import InvalidBody
from graders_engine.cli.request import read_flag
from graders_engine.errors import InvalidRequest, UnavailableGrader
from graders_engine.evals.requests.local_model import local_mistakes
from graders_engine.evals.requests.run_body import new_run
from graders_engine.evals.runnable import probes
from graders_engine.evals.wire import data_source_of
from graders_engine.inference.judging import Projects
from graders_engine.settings import EngineSettings
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store


def data_source(store: Store, owner: StoredEval, **asked: str | None) -> dict[str, Any]:
    """The data source of the run, but for its rows.

    Raises:
        InvalidRequest: the flags do not fit each other.
    """
    model, messages = asked["model"], asked["messages"]
    if model is None:
        for flag in ("messages", "sampling_params"):
            if asked[flag] is not None:
                raise InvalidRequest(
                    f"--{flag.replace('_', '-')} needs --model NAME: without a model, the rows have the "
                    "outputs."
                )
        return {"type": "jsonl"}
    before = _newest_sampled(store, owner)
    source: dict[str, Any] = {"type": before.get("type", "completions"), "model": model}
    if messages is not None:
        source["input_messages"] = _input_messages(messages)
    elif before.get("input_messages"):
        source["input_messages"] = before["input_messages"]
    else:
        raise InvalidRequest(
            "--model needs --messages, as no earlier run of this eval says what a model is asked: pass "
            "--messages '[{role: user, content: \"{{item.NAME}}\"}]', or item.PATH where the items have "
            "messages."
        )
    if asked["sampling_params"] is not None:
        source["sampling_params"] = read_flag("sampling_params", asked["sampling_params"])
    elif messages is None and before.get("sampling_params"):
        source["sampling_params"] = before["sampling_params"]
    return source


def _input_messages(text: str) -> dict[str, Any]:
    if text.startswith("item."):
        return {"type": "item_reference", "item_reference": text}
    given = read_flag("messages", text)
    if isinstance(given, dict) and given.get("type") in ("template", "item_reference"):
        return given
    return {"type": "template", "template": given if isinstance(given, list) else [given]}


def _newest_sampled(store: Store, owner: StoredEval) -> dict[str, Any]:
    """The data source of the eval's newest run that asked a model; empty without one."""
    page = Page(None, 50, "desc")
    while True:
        some = store.runs.page(owner.project, owner.id, page)
        for one in some.data:
            source = data_source_of(one)
            if source.get("type") in ("completions", "responses") and source.get("input_messages"):
                return source
        if not some.has_more:
            return {}
        page = Page(some.data[-1].id, 50, "desc")


def require_runnable(
    store: Store, settings: EngineSettings, owner: StoredEval, source: Mapping[str, Any]
) -> None:
    """Refuse a run of which no row could be graded, or no answer sampled.

    Raises:
        UnavailableGrader: the settings have no means for it.
        InvalidRequest: the model cannot honour what it is asked.
    """
    judges = settings.judge_settings()
    local = Projects(store, judges).of(owner.project)
    given = replace(settings, judges=replace(judges, local=local))
    model = source.get("model")
    with Engine.from_settings(given) as engine:
        for _, what, grader in probes(owner.body.get("testing_criteria") or [], source):
            try:
                engine.compile(grader).require_runnable()
            except UnavailableGrader as error:
                reason = str(error)
                if model:  # what engines know of models they know of judges
                    reason = reason.replace(f"The judge '{model}'", f"The model '{model}'")
                raise UnavailableGrader(f"{what}{reason}") from None
    if found := local_mistakes(source, local):
        raise InvalidRequest(_with_flags("\n\n".join(map(str, found))))


_FLAGS = (
    ("data_source.input_messages.template", "--messages"),
    ("data_source.input_messages", "--messages"),
    ("data_source.sampling_params", "--sampling-params"),
    ("data_source.model", "--model"),
)
"""Where the parts of a run's request come from here."""


def check(source: Mapping[str, Any], name: str | None) -> None:
    """Check what is known of a run before its rows are read.

    Raises:
        InvalidRequest: with all mistakes in the flags.
    """
    source = {**source, "source": {"type": "file_id", "id": "-"}}
    try:
        new_run({"data_source": source, "name": name})
    except InvalidBody as error:
        raise InvalidRequest(_with_flags(str(error))) from None


def _with_flags(text: str) -> str:
    for part, flag in _FLAGS:
        text = text.replace(f"'{part}", f"'{flag}")
    return text
