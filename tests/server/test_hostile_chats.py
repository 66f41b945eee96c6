"""Chats that cannot be written down, or followed: each is refused, and the next one is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.models_of import BASE, OWN, models_server
from tests.server.serving import Server

CHAT = "/v1/chat/completions"
KEY = {"authorization": f"Bearer {OWN}"}
TOOL = '"tools": [{"type": "function", "function": {"name": "f", "parameters": PARAMETERS}}]'
FORM = '"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}'


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with models_server(tmp_path_factory.mktemp("hostile")) as running:
        yield running


def asked(server: Server, field: str) -> tuple[int, Any]:
    """The status and the answer of a chat with a field as it is."""
    body = f'{{"model": "{BASE}", "messages": [{{"role": "user", "content": "-"}}], {field}}}'
    answer = server.ask("POST", CHAT, body.encode(), KEY)
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(
    "field",
    [
        r'"stop": "\ud800"',
        r'"stop": ["a", "\ud800"]',
        r'"metadata": {"a": "\ud800"}',
        r'"metadata": {"\ud800": "a"}',
        TOOL.replace("PARAMETERS", r'{"a": "\udc00"}'),
        FORM.replace("SCHEMA", r'{"enum": ["\ud800"]}'),
    ],
)
def test_half_of_a_character_is_refused_wherever_it_stands(shared: Server, field: str) -> None:
    status, answer = asked(shared, field)
    assert status == 400
    assert answer["error"]["param"] == field.split('"')[1]


@pytest.mark.parametrize("depth", [*range(960, 1000, 4)])
def test_what_nests_deeper_than_it_can_be_followed_is_refused(shared: Server, depth: int) -> None:
    parameters = '{"a":' * depth + "{}" + "}" * depth
    status, _ = asked(shared, TOOL.replace("PARAMETERS", parameters))
    assert status in (200, 400)
