"""The reward route: what each client sends, and what it gets."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.server.serving import RUN, Server, command, eventually, serving

PARTS: dict[str, Any] = {
    "same": {
        "type": "string_check",
        "name": "same",
        "input": "{{sample.output_text}}",
        "reference": "{{item.label}}",
        "operation": "eq",
    },
    "score": {
        "type": "string_check",
        "name": "score",
        "input": "{{sample.output_json.n}}",
        "reference": "{{item.label}}",
        "operation": "eq",
    },
}
MULTI = {"type": "multi", "name": "mix", "graders": PARTS, "calculate_output": "same + score / 2"}
SAME = PARTS["same"]


def start(folder: Path, grader: dict[str, Any]) -> tuple[str, str]:
    path = folder / "grader.json"
    path.write_text(json.dumps(grader))
    return ("--grader", f"@{path}")


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mix")
    with serving(folder, *start(folder, MULTI)) as running:
        yield running


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("lenient")
    with serving(
        folder, *start(folder, {**MULTI, "pass_threshold": 0.3, "invalid_grade": -1})
    ) as running:
        yield running


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("same")
    with serving(folder, *start(folder, SAME)) as running:
        yield running


def rlhf(*rows: tuple[str, str, Any]) -> dict[str, Any]:
    query, prompts, labels = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    return {"query": query, "prompts": prompts, "labels": labels}


def logs(same: list[float], score: list[float], *, invalid: list[float]) -> dict[str, Any]:
    scored = [1.0 - flag for flag in invalid]
    failed = [0.0] * len(invalid)
    shares = {"scored": scored, "invalid": invalid, "failed": failed}
    return {**shares, "same": same, "part_score": score}


def slime(response: str, label: Any = "4") -> dict[str, Any]:
    return {"prompt": "2+2?", "response": response, "label": label}


def azure(sample: Any) -> dict[str, Any]:
    return {"sample": sample, "item": {"label": "4"}, "trace_id": "trace_1"}


def promptfoo(output: Any) -> dict[str, Any]:
    return {"output": output, "context": {"prompt": "2+2?", "vars": {"label": "4"}}}


CHOICES = {"choices": [{"message": {"role": "assistant", "content": '{"n": "4"}'}}]}
ANSWERS: list[tuple[str, dict[str, Any], Any]] = [
    (
        "OpenRLHF sends one row of a template with special tokens",
        rlhf(('<s>2+2?<s>{"n": "4"}<|im_end|>\n', "<s>2+2?<s>", "4")),
        {"rewards": [0.5], "scores": [0.5], "extra_logs": logs([0.0], [1.0], invalid=[0.0])},
    ),
    (
        "OpenRLHF sends several, one of which is not JSON",
        rlhf(("2+2?4</s>", "2+2?", "4"), ('x?{"n": "5"}', "x?", "5"), ('y?{"n": 1}', "y?", None)),
        {
            "rewards": [1.0, 0.5, 0.0],
            "scores": [1.0, 0.5, 0.0],
            "extra_logs": logs([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], invalid=[1.0, 0.0, 0.0]),
        },
    ),
    ("OpenRLHF sends none", rlhf(), {"rewards": [], "scores": [], "extra_logs": logs([], [], invalid=[])}),
    ("slime takes the body for the reward", slime('{"n": "4"}'), 0.5),
    ("slime leaves special tokens", slime("4<|im_end|>"), 1.0),
    ("blanks at the end are the model's where no token follows", slime("4\n"), 0.0),
    ("slime's prompt may be messages", {**slime("4"), "prompt": [{"role": "user"}]}, 1.0),
    ("keys of no form are not read", {**slime("4"), "metadata": {"a": 1}}, 1.0),
    ("Azure sends chat completions", azure(CHOICES), {"score": 0.5}),
    ("Azure sends the texts of a sample", azure({"output_text": "4"}), {"score": 1.0}),
    ("Azure sends no trace", {"sample": {"output_text": "4"}, "item": {"label": "4"}}, {"score": 1.0}),
    (
        "promptfoo sends text",
        promptfoo("4"),
        {
            "pass": True,
            "score": 1.0,
            "reason": "reward 1 (same 1, score none), passes from 1; invalid_variable_error: score: "
            "`sample.output_json.n`: `output_json` is an integer and has nothing inside",
        },
    ),
    (
        "promptfoo sends the JSON that it has parsed",
        promptfoo({"n": "4"}),
        {"pass": False, "score": 0.5, "reason": "reward 0.5 (same 0, score 1), passes from 1"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("path", ["/reward", "/v1/reward", "/"])
@pytest.mark.parametrize(
    ("body", "due"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_each_client_gets_its_own_form(
    mix: Server, path: str, body: dict[str, Any], due: Any
) -> None:
    answer = mix.post(path, body)
    assert (answer.status, answer.json) == (200, due)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("address", "passes"),
    [("/reward", False), ("/reward?threshold=0.5", True), ("/?threshold=0.51", False)],
)
def test_promptfoo_passes_from_what_the_address_says(
    mix: Server, address: str, passes: bool
) -> None:
    answer = mix.post(address, promptfoo({"n": "4"})).json
    assert (answer["pass"], answer["score"]) == (passes, 0.5)


@pytest.mark.parametrize(("address", "passes"), [("/", True), ("/?threshold=0.9", False)])
def test_promptfoo_passes_from_the_graders_threshold_where_the_address_says_nothing(
    lenient: Server, address: str, passes: bool
) -> None:
    answer = lenient.post(address, promptfoo({"n": "4"})).json
    assert (answer["pass"], answer["score"]) == (passes, 0.5)


@pytest.mark.parametrize("text", ["", "high", "nan", "inf"])
def test_a_threshold_that_is_no_number_is_refused(same: Server, text: str) -> None:
    answer = same.post(f"/reward?threshold={text}", promptfoo("4"))
    assert (answer.status, answer.error["param"]) == (400, "threshold")


def test_promptfoos_tool_calls_are_the_samples(tmp_path: Path) -> None:
    grader = {**SAME, "input": "{{sample.output_tools[0].function.arguments.n}}"}
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"n": "4"}'}}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    with serving(tmp_path, *start(tmp_path, grader)) as server:
        for output in (calls, message):
            assert server.post("/", promptfoo(output)).json["score"] == 1.0
        answer = server.post("/", promptfoo("no call")).json
        assert (answer["pass"], answer["score"]) == (False, 0.0)


def test_an_output_that_is_at_fault_is_served_as_the_hosted_api_serves_it(lenient: Server) -> None:
    assert lenient.post("/reward", slime("not JSON")).json == -1.0
    assert lenient.post("/reward", azure({"output_text": "x"})).json == {"score": -1.0}
    assert lenient.post("/reward", promptfoo("x")).json["score"] == -1.0
    assert lenient.post("/reward", rlhf(("?x", "?", "4"))).json["rewards"] == [-1.0]


def test_a_key_may_stand_in_the_address_of_a_client_without_headers(tmp_path: Path) -> None:
    def basic(text: str) -> str:
        return "Basic " + base64.b64encode(text.encode()).decode()

    right = (basic("any:sk-key"), basic(":sk-key"), "Bearer sk-key")
    wrong = (
        basic("sk-key"),
        basic("any:sk"),
        basic("sk-key:"),
        "Basic sk-key",
        "Basic %",
        "sk-key",
    )
    with serving(tmp_path, *start(tmp_path, SAME), "--api-key", "sk-key") as server:
        for path in ("/reward", "/"):
            assert [server.post(path, slime("4"), authorization=one).status for one in right] == [
                200
            ] * 3
            assert {server.post(path, slime("4"), authorization=one).status for one in wrong} == {
                401
            }
            assert server.post(path, slime("4")).status == 401


def test_a_trainers_client_sends_the_key_of_the_address(tmp_path: Path) -> None:
    async def ask(address: str) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.post(address, json=slime("4<|im_end|>")) as response,
        ):
            response.raise_for_status()
            return await response.json()

    with serving(tmp_path, *start(tmp_path, SAME), "--api-key", "sk-key") as server:
        assert asyncio.run(ask(server.url.replace("//", "//any:sk-key@"))) == 1.0
        with pytest.raises(aiohttp.ClientResponseError):
            asyncio.run(ask(server.url))


def test_requests_are_logged_and_counted_without_what_was_sent(tmp_path: Path) -> None:
    with serving(tmp_path, *start(tmp_path, SAME)) as server:
        server.post("/reward", rlhf(("?4", "?", "4"), ("?5", "?", "4")))
        server.post("/", slime("secret"))
        server.post("/", {**slime("4"), "label": {}})
        server.post("/", rlhf(("no", "?", "4"), ("?4", "?", "4")))
        assert eventually(lambda: len(server.log) == 4)
        rows = [
            {
                key: value
                for key, value in line.items()
                if key not in ("time", "request_id", "seconds")
            }
            for line in server.log
        ]
        post = {"method": "POST", "grader_type": "string_check"}
        counts = {"scored": 2, "invalid": 0, "failed": 0}
        one = {"path": "/", "client": "slime", "rows": 1, "reward": 0.0, "status": 200}
        assert rows[:3] == [
            {**post, "path": "/reward", "status": 200, "client": "OpenRLHF", "rows": 2, **counts},
            {**post, **one},
            {**post, **one},
        ]
        assert (rows[3]["status"], rows[3]["error"]) == (400, "invalid_row")
        assert rows[3]["blame"] == {"row": 1}
        assert "secret" not in server.log_file.read_text()
        scored = 'graders_rows_total{blame="none",grader_type="string_check",status="scored"}'
        assert server.metric(scored) == 5
        reward = 'graders_requests_total{route="/reward",status="200"}'
        assert server.metric(reward) == 1


def test_the_start_says_where_rewards_are_and_the_other_routes_stay(same: Server) -> None:
    assert same.process.stdout is not None
    assert same.process.stdout.readline() == f"Rewards of the grader: POST {same.url}/reward\n"
    assert same.is_well()
    page = same.ask("GET", "/", headers={"accept": "text/html"})
    assert (page.status, page.headers["location"]) == (307, "docs")


def test_a_server_without_a_grader_has_no_such_route(server: Server) -> None:
    assert server.post("/reward", slime("4")).status == 404
    assert server.post("/", slime("4")).status == 405
    assert "/reward" not in server.ask("GET", "/openapi.json").json["paths"]


@pytest.mark.parametrize(
    ("grader", "says"),
    [
        ({**SAME, "operation": "equals"}, "equals"),
        ({"type": "endpoint", "name": "e", "url": "http://127.0.0.1:9/x"}, "endpoint graders are not run"),
        ({"type": "python", "name": "p", "source": "def grade(:"}, "source"),
    ],
)  # fmt: skip
def test_a_grader_that_cannot_be_used_ends_the_start(
    tmp_path: Path, grader: dict[str, Any], says: str
) -> None:
    done = subprocess.run(
        command(*start(tmp_path, grader)), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_grader_may_be_yaml_with_its_source_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("def grade(sample, item):\n    return item['label'] / 2\n")
    (tmp_path / "g.yaml").write_text("type: python\nname: p\nsource: '@code.py'\n")
    with serving(tmp_path, "g.yaml") as server:
        assert server.post("/reward", slime("x", 3)).json == 1.5
        rows = rlhf(("?x", "?", 1), ("?x", "?", 2))
        assert server.post("/reward", rows).json["rewards"] == [0.5, 1.0]
        failing = server.post("/reward", slime("x", "no number"))
        assert (failing.status, failing.json) == (200, 0.0)  # the grader's fault, as served


def test_a_body_of_the_run_route_is_sent_there(same: Server) -> None:
    answer = same.post("/reward", {"grader": SAME, "model_sample": "4"})
    assert answer.status == 400
    assert RUN.removeprefix("/v1") in answer.error["message"]
