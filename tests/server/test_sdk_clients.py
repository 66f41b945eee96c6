"""The unmodified `openai` package against the server: only `base_url` differs."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.models.endpoint import Reply, endpoint
from tests.server.serving import BATCH, CHECK, SLEEPER, Server, eventually, python, serving

SIMILAR = {
    "type": "text_similarity",
    "name": "s",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "evaluation_metric": "fuzzy_match",
}
ASK = [{"role": "user", "content": "Is {{sample.output_text}} a {{item.label}}?"}]
SCORE = {"type": "score_model", "name": "j", "model": "judge", "input": ASK, "range": [0, 10]}
LABEL = {
    "type": "label_model",
    "name": "l",
    "model": "judge",
    "input": ASK,
    "labels": ["good", "bad"],
    "passing_labels": ["good"],
}
MULTI = {
    "type": "multi",
    "name": "m",
    "graders": {"check": CHECK, "similar": SIMILAR},
    "calculate_output": "(check + similar) / 4",
}
TYPES: dict[str, tuple[dict[str, Any], float]] = {
    "string_check": (CHECK, 1.0),
    "text_similarity": (SIMILAR, 1.0),
    "python": (python("return len(item['label']) + len(sample['output_text'])"), 6.0),
    "score_model": (SCORE, 7.0),
    "label_model": (LABEL, 1.0),
    "multi": (MULTI, 0.5),
}
"""By type: a grader, and its reward for the sample "cat" where the label is "cat"."""


def judged(body: dict[str, Any]) -> Reply:
    """What a sound judge answers: 7, or the first label."""
    schema = json.dumps(body["response_format"])
    result = "good" if "good" in schema else 7
    content = json.dumps({"steps": [], "result": result})
    answer = {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "judge-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content},
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15},
    }
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


@pytest.fixture(scope="module")
def judged_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with endpoint() as judge:
        judge.reply = judged
        folder = tmp_path_factory.mktemp("judged")
        with serving(
            folder, "--base-url", judge.url, "--no-cache", OPENAI_API_KEY="sk-j"
        ) as running:
            yield running


def client_of(server: Server, **settings: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", **settings)


def graders_of(client: openai.OpenAI | openai.AsyncOpenAI) -> Any:
    """The package's verbs, untyped: it wants typed dicts, and types a multi otherwise than the service."""
    return client.fine_tuning.alpha.graders


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_is_run(judged_server: Server, type_: str) -> None:
    grader, reward = TYPES[type_]
    with client_of(judged_server) as client:
        answer = graders_of(client).run(
            grader=grader,
            model_sample="cat",
            item={"label": "cat"},
        )
    assert answer.reward == reward
    assert answer.metadata.type == type_
    assert answer.metadata.name == grader["name"]
    assert answer.metadata.errors.other_error is False
    used = answer.api_model_grader_token_usage_per_model
    assert ("judge-1" in used) == ("model" in grader)
    assert answer.metadata.token_usage == (15 if "model" in grader else None)
    asked = judged_server.metric('graders_judge_requests_total{model="judge",outcome="replied"}')
    tokens = judged_server.metric('graders_judge_tokens_total{kind="completion",model="judge-1"}')
    assert tokens == 4 * asked
    assert asked > 0 or "model" not in grader


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the package's own, of a multi
def test_every_type_is_validated_and_comes_back_as_it_was(
    judged_server: Server, type_: str
) -> None:
    grader, _ = TYPES[type_]
    with client_of(judged_server) as client:
        answer = graders_of(client).validate(grader=grader)
    assert answer.grader is not None
    assert answer.grader.to_dict() == grader


def test_the_async_client_runs_and_validates(judged_server: Server) -> None:
    async def both() -> list[float]:
        async with openai.AsyncOpenAI(base_url=f"{judged_server.url}/v1", api_key="x") as client:
            graders = graders_of(client)
            echo = await graders.validate(grader=CHECK)
            assert echo.grader is not None
            answers = await asyncio.gather(
                *(
                    graders.run(grader=grader, model_sample="cat", item={"label": "cat"})
                    for grader, _ in TYPES.values()
                )
            )
            return [answer.reward for answer in answers]

    assert asyncio.run(both()) == [reward for _, reward in TYPES.values()]


def test_a_whole_sample_goes_in_as_an_extra_field(server: Server) -> None:
    grader = {**CHECK, "input": "{{sample.output_tools[0].function.name}}", "reference": "search"}
    call = {"id": "1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    with client_of(server) as client:
        answer = graders_of(client).run(
            grader=grader,
            model_sample=openai.omit,
            extra_body={"sample": {"output_tools": [call]}},
        )
    assert answer.reward == 1.0


def test_a_wrong_grader_is_the_packages_bad_request_with_its_fields(server: Server) -> None:
    with client_of(server) as client, pytest.raises(openai.BadRequestError) as raised:
        graders_of(client).run(grader={**CHECK, "operation": "bogus"}, model_sample="x")
    assert raised.value.code == "invalid_value"
    assert raised.value.param == "operation"
    assert raised.value.type == "invalid_request_error"
    assert raised.value.request_id is not None
    assert "Supported values are: 'eq', 'ne', 'like', and 'ilike'." in str(raised.value)


def test_a_grader_that_fails_on_the_row_is_an_answer_with_a_flag(server: Server) -> None:
    with client_of(server) as client:
        answer = graders_of(client).run(grader=CHECK, model_sample="cat")
        broken = graders_of(client).run(
            grader=python("return 1 / 0"),
            model_sample="cat",
        )
        wrong = graders_of(client).run(
            grader={"type": "python", "name": "w", "source": "def grade(:"},
            model_sample="",
        )
    assert answer.reward == broken.reward == wrong.reward == 0.0
    assert answer.metadata.errors.invalid_variable_error is True
    assert "ZeroDivisionError" in (broken.metadata.errors.python_grader_runtime_error_details or "")
    assert wrong.metadata.errors.python_grader_runtime_error is True


def test_a_wrong_key_is_the_packages_authentication_error(tmp_path: Path) -> None:
    with serving(tmp_path, GRADERS_API_KEY="sk-right") as server:
        with client_of(server) as client, pytest.raises(openai.AuthenticationError) as raised:
            graders_of(client).validate(grader=CHECK)
        assert raised.value.code == "invalid_api_key"
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-right") as client:
            assert graders_of(client).validate(grader=CHECK).grader
        assert "sk-right" not in server.log_file.read_text()


def test_an_unknown_route_is_the_packages_not_found(server: Server) -> None:
    with client_of(server) as client, pytest.raises(openai.NotFoundError):
        client.models.list()


def test_too_long_a_body_is_not_sent_again(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-body-bytes", "1000") as server:
        with client_of(server) as client, pytest.raises(openai.APIStatusError) as raised:
            graders_of(client).run(grader=CHECK, model_sample="x" * 2000)
        assert raised.value.status_code == 413
        assert eventually(lambda: server.log)
        assert [line["status"] for line in server.log] == [413]


def test_the_package_tries_again_what_a_busy_server_refused(tmp_path: Path) -> None:
    with serving(tmp_path, "--concurrency", "1", "--max-queue", "0") as server:

        def occupy() -> None:
            with client_of(server) as client:
                graders_of(client).run(
                    grader=SLEEPER,
                    model_sample="",
                    item={"seconds": 1.0},
                )

        first = threading.Thread(target=occupy)
        first.start()
        assert eventually(lambda: server.metric("graders_sandbox_calls_running") == 1)
        with (
            client_of(server, max_retries=0) as client,
            pytest.raises(openai.RateLimitError) as raised,
        ):
            graders_of(client).run(grader=python("return 1"), model_sample="")
        assert raised.value.response.headers["retry-after"] == "1"
        with client_of(server, max_retries=20) as client:
            answer = graders_of(client).run(
                grader=python("return 2"),
                model_sample="",
            )
        first.join()
        assert answer.reward == 2.0


def test_a_spent_budget_is_a_rate_limit_that_is_not_tried_again(tmp_path: Path) -> None:
    flags = ("--no-cache", "--max-tokens", "20", "--concurrency", "1")
    with endpoint() as judge:
        judge.reply = judged
        with serving(tmp_path, "--base-url", judge.url, *flags, OPENAI_API_KEY="sk-j") as server:
            rows = [{"model_sample": "cat", "item": {"label": f"{n}"}} for n in range(5)]
            results = server.post(BATCH, {"grader": SCORE, "rows": rows}).json["results"]
            assert results[0]["reward"] == 7.0
            assert results[-1]["error"]["code"] == "insufficient_quota"
            with client_of(server) as client, pytest.raises(openai.RateLimitError) as raised:
                graders_of(client).run(grader=SCORE, model_sample="cat", item={"label": "cat"})
            assert raised.value.code == "insufficient_quota"
            assert len(judge.asked) < 5
            assert eventually(lambda: len(server.log) > 1)
            assert [line["status"] for line in server.log] == [200, 429]


def test_a_client_that_times_out_frees_the_server(tmp_path: Path) -> None:
    with serving(tmp_path, "--concurrency", "1") as server:
        with (
            client_of(server, timeout=1.0, max_retries=0) as client,
            pytest.raises(openai.APITimeoutError),
        ):
            graders_of(client).run(
                grader=SLEEPER,
                model_sample="",
                item={"seconds": 60},
            )
        # There is one turn only: this one gets it, long before the minute is over.
        began = time.monotonic()
        with client_of(server) as client:
            answer = graders_of(client).run(grader=python("return 3"), model_sample="")
        assert answer.reward == 3.0
        assert time.monotonic() - began < 50
        assert eventually(lambda: 499 in [line["status"] for line in server.log])
