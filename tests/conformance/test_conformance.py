"""`graders conformance` names what a server does otherwise; that ours passes, the guide shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from graders_engine.conformance.cases import Case, all_cases
from graders_engine.conformance.comparing import Answer, differences
from tests.conformance.deviating import PLANTED, deviating
from tests.server.serving import Server, serving


def conformance(*args: str) -> Result:
    return CliRunner().invoke(graders, ["conformance", *args])


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def reported(ours: Server) -> dict[str, Any]:
    with deviating(ours.url) as url:
        done = conformance("--base-url", url, "--json")
    assert done.exit_code == 1
    report: dict[str, Any] = json.loads(done.output)
    return report


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_each_planted_difference_is_named(reported: dict[str, Any], planted: Any) -> None:
    found = [
        difference
        for case in reported["differing"]
        if case["topic"] == planted.topic
        for difference in case["differences"]
    ]
    assert any(difference.startswith(planted.difference) for difference in found), found
    counts = reported["topics"][planted.topic]
    assert counts["as_expected"] < counts["cases"]


@pytest.mark.parametrize(
    ("expected", "status", "body", "found"),
    [
        ({"reward": 0.1}, 200, {"reward": 0.1 + 1e-12}, []),
        ({"reward": 1.0}, 200, {"reward": 1}, []),
        ({"reward": 1.0}, 200, {"reward": True}, ["reward is true, not 1.0"]),
        ({"reward": 0.0}, 200, {"reward": None}, ["reward is null, not 0.0"]),
        ({"reward": 0.0}, 200, {}, ["reward is absent, not 0.0"]),
        ({"reward": 0.0}, 200, [], ["the body is no JSON object: []"]),
        ({"reward": 0.0}, 500, "a page", ['HTTP 500, not 200: "a page"']),
        (
            {"sub_rewards": {"a": 0.5}},
            200,
            {"sub_rewards": {"a": 0.6}},
            ["sub_rewards.a is 0.6, not 0.5"],
        ),
        (
            {"flags": []},
            200,
            {"metadata": {"errors": {"other_error": True}}},
            ["metadata.errors.other_error is true"],
        ),
        ({"flags": []}, 200, {}, ["metadata.errors is null, not an object"]),
        ({"flags_among_others": ["a"]}, 200, {"metadata": {"errors": {"a": True, "b": True}}}, []),
        (
            {"response": {"a": {"execution_time": 1.0}}},
            200,
            {"a": {"execution_time": 2}, "b": 1},
            ["b is not expected"],
        ),
        ({"response": {"a": "<details>"}}, 200, {"a": ""}, ['a is "", not a text']),
        ({"grader": {"a": [1]}}, 200, {"grader": {"a": [1, 2]}}, ["grader.a is [1, 2], not [1]"]),
        ({"error": [{"param": "a"}, {"param": "b"}]}, 400, {"error": {"param": "b"}}, []),
        (
            {"error": [{"param": "a"}, {"param": "b"}]},
            400,
            {"error": {"param": "c"}},
            ['error.param is "c", not "a" or "b"'],
        ),
        ({"error": [{"param": "a"}]}, 400, {"detail": "x"}, ["there is no error object, but null"]),
        (
            {"error": [{"param": "a"}]},
            200,
            {"grader": {}},
            ['HTTP 200, not 400: {"grader": {}}'],
        ),
    ],
)
def test_what_differs_is_said_by_its_path(
    expected: dict[str, Any], status: int, body: Any, found: list[str]
) -> None:
    case = Case("topic", "name", "run", {}, expected)
    assert differences(case, Answer(status, body)) == found


def test_mistakes_of_two_fields_are_not_mixed() -> None:
    wanted = [{"param": "a", "code": "x"}, {"param": "b", "code": "y"}]
    case = Case("topic", "name", "validate", {}, {"error": wanted})
    mixed = Answer(400, {"error": {"param": "a", "code": "y"}})
    assert differences(case, mixed) == [
        'error is of "a" with the code "y", not of "a" with "x" or "b" with "y"'
    ]


def test_the_cases_are_printed_for_those_who_ask_them_otherwise() -> None:
    done = conformance("--write", "--topic", "string_check")
    cases = [json.loads(line) for line in done.output.splitlines()]
    assert len(cases) == 101
    assert set(cases[0]) == {"topic", "name", "call", "request", "expected"}


def test_no_two_cases_of_a_topic_have_one_name() -> None:
    names = [(case.topic, case.name) for case in all_cases()]
    assert len(names) == len(set(names)) > 1200


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    done = conformance("--base-url", "http://127.0.0.1:9/v1")
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert "Does the server run?" in done.output


def test_an_address_of_another_path_is_no_conformant_server(ours: Server) -> None:
    done = conformance("--base-url", f"{ours.url}/v2", "--topic", "fuzzy_match")
    assert done.exit_code == 1
    assert "HTTP 404" in done.output
    assert "is /v1 missing" in done.output


def test_a_refused_key_is_said_and_not_repeated(tmp_path: Path) -> None:
    with serving(tmp_path, GRADERS_API_KEY="the-key-of-the-server-7") as server:
        done = conformance("--base-url", f"{server.url}/v1", "--key", "another-key-51fd2")
        assert done.exit_code == 1
        assert "refuses the key" in done.output
        assert "another-key-51fd2" not in done.output
        topic = ("--topic", "fuzzy_match")
        given = conformance(
            "--base-url", f"{server.url}/v1", "--key", "the-key-of-the-server-7", *topic
        )
        assert given.exit_code == 0


def test_without_an_address_the_command_says_what_it_can_do() -> None:
    done = conformance()
    assert done.exit_code == 2
    assert "--base-url" in done.output
    assert "--write" in done.output
