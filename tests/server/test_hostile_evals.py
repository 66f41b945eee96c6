"""Evals and runs that would hold up a server: they are refused, or it answers others meanwhile."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.evals_of import CONFIG, MATCH, eval_body, jsonl, new_eval
from tests.server.serving import Answer, Server, serving


def doubled(steps: int) -> dict[str, Any]:
    """A schema whose references double at each step: why an item does not fit takes 2 ** steps to say."""
    twice = {f"d{at}": {"anyOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(steps)}
    return {"$ref": "#/$defs/d0", "$defs": {**twice, f"d{steps}": {"type": "string"}}}


TREE: dict[str, Any] = {
    "properties": {"a": {"anyOf": [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}]}},
    "type": "object",
}
"""The same for an item that nests."""


def nested(levels: int) -> dict[str, Any]:
    item: Any = 1
    for _ in range(levels):
        item = {"a": item}
    return {"item": item, "sample": {"output_text": "x"}}


def made_with(server: Server, schema: dict[str, Any]) -> str:
    body = eval_body(MATCH) | {"data_source_config": {**CONFIG, "item_schema": schema}}
    made: str = server.post("/v1/evals", body).json["id"]
    return made


def test_a_schema_that_doubles_without_end_makes_no_eval(evals_server: Server) -> None:
    body = eval_body(MATCH) | {"data_source_config": {**CONFIG, "item_schema": doubled(30)}}
    answer = evals_server.post("/v1/evals", body)
    assert (answer.status, answer.error["param"]) == (400, "data_source_config.item_schema")


def test_checks_that_take_long_end_and_hold_up_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store") as server:
        answers: list[Answer] = []

        def check(schema: dict[str, Any], rows: list[dict[str, Any]]) -> None:
            path = f"/v1/evals/{made_with(server, schema)}/runs"
            answers.append(server.post(path, {"data_source": jsonl(rows)}))

        slow = [
            threading.Thread(target=check, args=(doubled(14), [nested(1)] * 4)),
            threading.Thread(target=check, args=(TREE, [nested(40)])),
        ]
        for thread in slow:
            thread.start()
        while any(thread.is_alive() for thread in slow):
            began = time.monotonic()
            assert server.is_well()
            assert time.monotonic() - began < 2
        for thread in slow:
            thread.join()
        assert [answer.status for answer in answers] == [400, 400]
        assert any("simplify the eval's `item_schema`" in one.error["message"] for one in answers)
        assert any("anyOf" in one.error["message"] for one in answers)


SIZES = {
    "bytes": json.dumps({"name": "x" * (5 << 20)}).encode(),
    "values": b'{"data_source_config": {"item_schema": {"enum": [' + b"1," * 300_000 + b"1]}}}",
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("update", [False, True])
def test_an_eval_of_too_many_bytes_or_values_is_refused(
    evals_server: Server, name: str, update: bool
) -> None:
    path = f"/v1/evals/{new_eval(evals_server)}" if update else "/v1/evals"
    answer = evals_server.ask("POST", path, SIZES[name])
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")


def test_a_run_of_too_many_values_is_refused_before_they_are_split(evals_server: Server) -> None:
    content = b"1," * 4_300_000 + b"1"
    body = (
        b'{"data_source": {"type": "jsonl", "source": {"type": "file_content", "content": [%b]}}}'
    )
    answer = evals_server.ask("POST", f"/v1/evals/{new_eval(evals_server)}/runs", body % content)
    assert (answer.status, answer.error["code"]) == (413, "too_many_rows")
