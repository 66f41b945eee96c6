"""The OpenAI cookbook's scripts for summaries and for responses, by their shapes, against this server.

Only addresses and data differ from a script for the hosted evals, and what it said of logs.
"""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pydantic
import pytest

from tests.evals.cookbook import (
    STRONG,
    Place,
    content,
    counts,
    items_of,
    message,
    poll_runs,
    scores,
    template,
)
from tests.evals.cookbook_models import JUDGE, WEAK, conversation

NOTIFICATIONS = [
    """
- Gate change: flight 12 leaves from B7 instead of A3, please be there by noon.
- Anna: see you at eight, at the usual place.
""",
    """
- Battery low: charge soon, 12 percent are left and a long day lies ahead.
- Parcel: it is here.
""",
    """
- New comment: "Great walk!"
- Rain: from four o'clock on, so take a coat.
- Bank: a statement is ready.
""",
]
DEVELOPER_PROMPT = "You summarize push notifications. Output only the final summary, nothing else."
LONG_PROMPT = "You summarize push notifications. Make the summary longer than it needs to be."


class PushNotifications(pydantic.BaseModel):
    notifications: str


CONFIG: dict[str, Any] = {
    "type": "custom",
    "item_schema": PushNotifications.model_json_schema(),
    "include_sample_schema": True,
}
GRADER: dict[str, Any] = {
    "name": "Push Notification Summary Grader",
    "type": "label_model",
    "model": JUDGE,
    "input": [
        {"role": "developer", "content": "Categorize the summary into one of the categories."},
        {
            "role": "user",
            "content": "\n<push_notifications>{{item.notifications}}</push_notifications>\n"
            "<summary>{{sample.output_text}}</summary>\n",
        },
    ],
    "passing_labels": ["concise-and-snappy"],
    "labels": ["concise-and-snappy", "drops-important-information", "verbose", "unclear", "other"],
}


def test_many_prompts_and_models_are_compared(place: Place) -> None:
    async def script() -> tuple[str, dict[str, str]]:
        client: Any = openai.AsyncOpenAI(base_url=f"{place.url}/v1", api_key="sk-any")
        made = await client.evals.create(
            name="Push Notification Bulk Experimentation Eval",
            metadata={"description": "It finds the best performing combination."},
            data_source_config=CONFIG,
            testing_criteria=[GRADER],
        )
        assert made.data_source_config.schema_["properties"]["item"] == CONFIG["item_schema"]
        runs = {}
        for prompt_name, prompt in (("basic", DEVELOPER_PROMPT), ("long", LONG_PROMPT)):
            for model in (STRONG, WEAK):
                user = "<push_notifications>{{item.notifications}}</push_notifications>"
                rows = [PushNotifications(notifications=one).model_dump() for one in NOTIFICATIONS]
                run = await client.evals.runs.create(
                    eval_id=made.id,
                    name=f"bulk_{prompt_name}_{model}",
                    data_source={
                        "type": "completions",
                        "input_messages": template(
                            {"role": "developer", "content": prompt},
                            {"role": "user", "content": user},
                        ),
                        "model": model,
                        "source": content(rows),
                    },
                )
                runs[run.name] = run.id
        await client.close()
        return made.id, runs

    eval_id, runs = asyncio.run(script())
    done = poll_runs(place.evals, eval_id, *runs.values())
    assert {run.name: counts(run) for run in done} == {
        "bulk_basic_gpt-4.1": ("completed", 3, 0, 0),
        "bulk_basic_gpt-4.1-mini": ("completed", 3, 0, 0),
        "bulk_long_gpt-4.1": ("completed", 0, 3, 0),
        "bulk_long_gpt-4.1-mini": ("completed", 0, 3, 0),
    }
    assert [run.model for run in done] == [STRONG, WEAK, STRONG, WEAK]
    first = items_of(place.evals, done[0])[0]
    assert first.sample.output[0].content == "Gate change, Anna"
    assert [one.role for one in first.sample.input] == ["developer", "user"]
    (result,) = first.results
    assert (result.type, result.score, result.passed) == ("label_model", 1, True)
    listed = place.evals.runs.list(eval_id, order="desc", limit=3)
    assert [run.id for run in listed] == list(runs.values())[::-1]


def summarize(place: Place, prompt: str, notifications: str) -> Any:
    """The integration that the script tests: it asks its model itself."""
    return place.chat.chat.completions.create(
        model=STRONG,
        messages=[
            {"role": "developer", "content": prompt},
            {"role": "user", "content": notifications},
        ],
    )


def as_completion(place: Place, prompt: str, notifications: str) -> dict[str, Any]:
    """The script's conversion of a response, which the hosted evals did not take."""
    response = place.chat.responses.create(
        model=STRONG,
        input=[
            {"role": "developer", "content": prompt},
            {"role": "user", "content": notifications},
        ],
    )
    said = {"role": "assistant", "content": response.output_text}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    return {"model": response.model, "choices": [choice]}


def test_a_regression_of_a_prompt_is_seen(place: Place) -> None:
    made = place.evals.create(
        name="Push Notification Summary Workflow",
        metadata={"description": "This eval checks if the push notification summary is correct."},
        data_source_config=CONFIG,
        testing_criteria=[GRADER],
    )
    samples = {
        "baseline-run": [
            summarize(place, DEVELOPER_PROMPT, one).model_dump() for one in NOTIFICATIONS
        ],
        "regression-run": [
            summarize(place, LONG_PROMPT, one).model_dump() for one in NOTIFICATIONS
        ],
        "responses-run": [as_completion(place, DEVELOPER_PROMPT, one) for one in NOTIFICATIONS],
    }
    runs = []
    for name, answers in samples.items():
        rows = [
            {"item": PushNotifications(notifications=one).model_dump(), "sample": answer}
            for one, answer in zip(NOTIFICATIONS, answers, strict=True)
        ]
        source = {"type": "jsonl", "source": {"type": "file_content", "content": rows}}
        run = place.evals.runs.create(eval_id=made.id, name=name, data_source=source)
        assert run.report_url.startswith(place.url)
        runs.append(run.id)
    done = poll_runs(place.evals, made.id, *runs)
    assert {run.name: counts(run) for run in done} == {
        "baseline-run": ("completed", 3, 0, 0),
        "regression-run": ("completed", 0, 3, 0),
        "responses-run": ("completed", 3, 0, 0),
    }
    for run in (done[0], done[2]):
        assert [item.sample.output[0].content for item in items_of(place.evals, run)] == [
            "Gate change, Anna",
            "Battery low, Parcel",
            "New comment, Rain, Bank",
        ]
    assert [item.results[0].passed for item in items_of(place.evals, done[1])] == [False] * 3


UNIVERSAL = [
    {"role": "system", "content": "Assign a score between 1.0 (poor) and 7.0 in `result`."},
    {
        "role": "user",
        "content": "**User input**\n\n{{item.input}}\n\n**Response to evaluate**\n\n{{sample.output_text}\n",
    },
]


def responses_eval(place: Place, config: dict[str, Any], user: str) -> Any:
    """The script's eval; its template lacks a bracket, which the hosted evals let through."""
    return place.evals.create(
        name="Code QA Eval",
        data_source_config=config,
        testing_criteria=[
            {
                "type": "score_model",
                "name": "General Evaluator",
                "model": JUDGE,
                "input": [UNIVERSAL[0], {"role": "user", "content": user}],
                "pass_threshold": 0.5,
            }
        ],
    )


def test_a_new_model_is_asked_what_was_asked_before(place: Place) -> None:
    with pytest.raises(openai.BadRequestError, match="file_content") as refused:
        responses_eval(place, {"type": "logs"}, UNIVERSAL[1]["content"])
    assert (refused.value.code, refused.value.param) == (
        "source_not_kept",
        "data_source_config.type",
    )
    config = {**CONFIG, "item_schema": {"type": "object", "required": ["input"]}}
    texts = ["What does this file do?", "- Rain: from four on.\n- Bank: a statement."]
    asked = [{"role": "user", "content": [{"type": "input_text", "text": one} for one in texts]}]
    wanted = {"type": "responses", "source": content([{"input": asked}, {"input": asked}])}
    told = {
        **wanted,
        "input_messages": {"type": "item_reference", "item_reference": "item.input"},
        "model": WEAK,
    }
    for user, score, passed in (
        (UNIVERSAL[1]["content"], 0.25, 0),
        (UNIVERSAL[1]["content"].replace("output_text}", "output_text}}"), 0.75, 2),
    ):
        place.models.asked.clear()
        made = responses_eval(place, config, user)
        run = place.evals.runs.create(eval_id=made.id, data_source=told)
        (done,) = poll_runs(place.evals, made.id, run.id)
        assert counts(done) == ("completed", passed, 2 - passed, 0)
        items = items_of(place.evals, done)
        assert scores(items) == [score, score]
        assert [item.sample.output[0].content for item in items] == ["Rain, Bank"] * 2
        sent = place.asked(WEAK)
        assert [one.path for one in sent] == ["/v1/responses"] * 2
        assert conversation(sent[0].body) == [("user", "\n".join(texts))]
    with pytest.raises(openai.BadRequestError) as refused:
        place.evals.runs.create(
            eval_id=made.id, data_source={"type": "responses", "source": {"type": "responses"}}
        )
    assert (refused.value.code, refused.value.param) == (
        "source_not_kept",
        "data_source.source.type",
    )


@pytest.mark.parametrize("tool", ["web_search_preview", "mcp"])
def test_a_tool_of_the_hosted_service_is_refused_by_name(place: Place, tool: str) -> None:
    used = {
        "type": "python",
        "name": "Assert MCP was used",
        "image_tag": "2025-05-08",
        "pass_threshold": 1.0,
        "source": "\ndef grade(sample: dict, item: dict) -> float:\n"
        "    return 1.0 if len(sample.get('output_tools', [])) > 0 else 0.0\n",
    }
    config = {**CONFIG, "item_schema": {"type": "object"}}
    made = place.evals.create(name="MCP", data_source_config=config, testing_criteria=[used])
    source = {
        "type": "responses",
        "source": content([{"query": "What is new?"}]),
        "input_messages": template(message("user", "Search for {{item.query}}")),
        "model": WEAK,
        "sampling_params": {"tools": [{"type": tool}]},
    }
    with pytest.raises(openai.BadRequestError, match=f"'{tool}'") as refused:
        place.evals.runs.create(eval_id=made.id, data_source=source)
    assert refused.value.code == "tool_not_available"
    run = place.evals.runs.create(
        eval_id=made.id, data_source={**source, "sampling_params": {"seed": 42}}
    )
    (done,) = poll_runs(place.evals, made.id, run.id)
    assert counts(done) == ("completed", 0, 1, 0)
    (item,) = items_of(place.evals, done)
    assert (item.results[0].score, item.results[0].passed) == (0, False)
