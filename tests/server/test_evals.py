"""Evals over HTTP, with the unmodified `openai` package: only `base_url` differs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.server.evals_of import (
    CONFIG,
    MATCH,
    ROWS,
    SCHEMA,
    client_of,
    eval_body,
    evals_of,
    jsonl,
    new_eval,
)
from tests.server.serving import Server, eventually, serving


@pytest.fixture
def evals(evals_server: Server) -> Iterator[Any]:
    with client_of(evals_server) as client:
        yield evals_of(client)


def test_an_eval_is_answered_with_all_that_it_was_made_of(evals: Any) -> None:
    made = evals.create(**eval_body(name="Tickets", metadata={"team": "support"}))
    assert re.fullmatch(r"eval_[0-9a-f]{32}", made.id)
    assert (made.object, made.name, made.metadata) == ("eval", "Tickets", {"team": "support"})
    schema = made.data_source_config.to_dict()["schema"]
    assert schema["properties"]["item"] == SCHEMA
    assert schema["required"] == ["item", "sample"]
    (criterion,) = made.testing_criteria
    assert re.fullmatch(r"match-[0-9a-f-]{36}", criterion.id)
    assert {**criterion.to_dict(), "id": None} == {**MATCH, "id": None}
    assert evals.retrieve(made.id).to_dict() == made.to_dict()


def test_an_eval_without_a_name_has_its_id_for_one(evals: Any) -> None:
    made = evals.create(**eval_body())
    assert made.name == made.id
    assert made.metadata is None


def test_name_and_metadata_change_alone_and_together(evals: Any) -> None:
    made = evals.create(**eval_body(name="before", metadata={"a": "1"}))
    assert evals.update(made.id, name="after").metadata == {"a": "1"}
    assert evals.update(made.id, metadata={"b": "2"}).name == "after"
    changed = evals.update(made.id, name="last", metadata=None)
    assert (changed.name, changed.metadata) == ("last", None)
    for same in (evals.update(made.id), evals.retrieve(made.id)):
        assert same.to_dict() == changed.to_dict()
    assert changed.testing_criteria == made.testing_criteria


def test_a_deleted_eval_is_gone_with_its_runs(evals: Any) -> None:
    made = evals.create(**eval_body())
    run = evals.runs.create(made.id, data_source=jsonl(ROWS))
    gone = evals.delete(made.id)
    assert (gone.object, gone.deleted, gone.eval_id) == ("eval.deleted", True, made.id)
    asked: list[Callable[[], Any]] = [
        lambda: evals.retrieve(made.id),
        lambda: evals.delete(made.id),
        lambda: evals.runs.list(made.id),
        lambda: evals.runs.retrieve(run.id, eval_id=made.id),
    ]
    for ask in asked:
        with pytest.raises(openai.NotFoundError) as missing:
            ask()
        assert missing.value.code == "not_found"


def test_lists_are_paged_in_both_orders_while_others_are_made(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store") as server, client_of(server) as client:
        evals = evals_of(client)
        ids = [new_eval(server, name=str(number)) for number in range(7)]
        page = evals.list(limit=3)
        assert [one.id for one in page.data] == ids[:3]
        assert page.has_more
        ids.append(new_eval(server))
        assert [one.id for one in page.get_next_page().data] == ids[3:6]
        assert [one.id for one in evals.list(limit=2)] == ids
        assert [one.id for one in evals.list(limit=3, order="desc")] == ids[::-1]
        whole = server.ask("GET", "/v1/evals?limit=3&order=desc").json
        assert (whole["object"], whole["has_more"]) == ("list", True)
        assert (whole["first_id"], whole["last_id"]) == (ids[-1], ids[-3])
        evals.delete(ids[2])
        after = server.ask("GET", f"/v1/evals?after={ids[2]}&limit=1").json
        assert [one["id"] for one in after["data"]] == [ids[3]], "a cursor outlives its eval"
        empty = server.ask("GET", f"/v1/evals?after={ids[-1]}").json
        assert empty == {
            "object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False,
        }  # fmt: skip


def test_evals_are_listed_by_their_last_change(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store") as server, client_of(server) as client:
        evals = evals_of(client)
        ids = [new_eval(server) for _ in range(3)]

        def changed_last() -> bool:  # times are whole seconds
            evals.update(ids[0], name="changed")
            newest = next(iter(evals.list(order_by="updated_at", order="desc")))
            return bool(newest.id == ids[0] and newest.name == "changed")

        assert eventually(changed_last)
        by_change = [one.id for one in evals.list(order_by="updated_at", limit=1)]
        assert sorted(by_change) == sorted(ids)
        assert by_change[-1] == ids[0]
        assert [one.id for one in evals.list(order_by="created_at")] == ids


def test_the_async_client_makes_changes_lists_and_deletes(evals_server: Server) -> None:
    async def whole() -> None:
        async with openai.AsyncOpenAI(
            base_url=f"{evals_server.url}/v1", api_key="x", max_retries=0
        ) as client:
            evals = evals_of(client)
            made = await asyncio.gather(
                *(evals.create(**eval_body(name=f"async {number}")) for number in range(5))
            )
            ids = {one.id for one in made}
            assert len(ids) == 5
            first = made[0].id
            assert (await evals.update(first, name="new")).name == "new"
            assert (await evals.retrieve(first)).name == "new"
            listed = [one.id async for one in evals.list(limit=2)]
            assert ids <= set(listed)
            assert len(listed) == len(set(listed))
            for one in ids:
                assert (await evals.delete(one)).deleted
            with pytest.raises(openai.NotFoundError):
                await evals.retrieve(first)

    asyncio.run(whole())


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai", "/openai/v1"])
def test_the_four_prefixes_are_one_table(evals_server: Server, prefix: str) -> None:
    eval_id = new_eval(evals_server)
    answer = evals_server.ask("GET", f"{prefix}/evals/{eval_id}?api-version=2025-04-01-preview")
    assert (answer.status, answer.json["id"]) == (200, eval_id)


def test_azures_client_works_as_it_is(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store", GRADERS_API_KEY="sk-secret") as server:
        client: Any = openai.AzureOpenAI(
            azure_endpoint=server.url, api_version="2025-04-01-preview", api_key="sk-secret"
        )
        with client:
            made = client.evals.create(**eval_body())
            assert [one.id for one in client.evals.list()] == [made.id]
            wrong = client.with_options(api_key="sk-wrong", max_retries=0)
            with pytest.raises(openai.AuthenticationError):
                wrong.evals.list()


def test_a_create_that_is_sent_again_after_a_lost_connection_makes_nothing_new(
    tmp_path: Path,
) -> None:
    body = json.dumps(eval_body(name="once")).encode()
    again = {"x-stainless-retry-count": "1"}
    with serving(tmp_path, "--jobs", "store") as server:
        first = server.ask("POST", "/v1/evals", body).json
        assert server.ask("POST", "/v1/evals", body, again).json == first
        assert server.ask("POST", "/v1/evals", body).json["id"] != first["id"]
        other = server.ask("POST", "/v1/evals", body.replace(b"once", b"twice"), again).json
        assert other["id"] != first["id"]
        path = f"/v1/evals/{first['id']}/runs"
        run = json.dumps({"data_source": jsonl(ROWS)}).encode()
        made = server.ask("POST", path, run).json
        assert server.ask("POST", path, run, again).json["id"] == made["id"]
        assert server.ask("POST", path, run).json["id"] != made["id"]
        elsewhere = server.ask("POST", f"/v1/evals/{other['id']}/runs", run, again).json
        assert elsewhere["id"] != made["id"]
    with serving(tmp_path, "--jobs", "store") as server:
        third = json.dumps(eval_body(name="third")).encode()
        made = server.ask("POST", "/v1/evals", third).json
    with serving(tmp_path, "--jobs", "store") as server:
        assert server.ask("POST", "/v1/evals", third, again).json == made


def test_every_project_sees_its_own_evals_alone(tmp_path: Path) -> None:
    (tmp_path / "graders.toml").write_text('[projects.research]\napi_key_env = "KEY_RESEARCH"\n')
    keys = {"GRADERS_API_KEY": "sk-default", "KEY_RESEARCH": "sk-research"}
    flags = ("--jobs", "store", "--config", str(tmp_path / "graders.toml"))
    with (
        serving(tmp_path, *flags, **keys) as server,
        client_of(server, api_key="sk-default") as default,
        client_of(server, api_key="sk-research") as research,
    ):
        mine, theirs = evals_of(default), evals_of(research)
        made = mine.create(**eval_body())
        run = mine.runs.create(made.id, data_source=jsonl(ROWS))
        assert [one.id for one in theirs.list()] == []
        asked: list[Callable[[], Any]] = [
            lambda: theirs.retrieve(made.id),
            lambda: theirs.update(made.id, name="x"),
            lambda: theirs.delete(made.id),
            lambda: theirs.runs.create(made.id, data_source=jsonl(ROWS)),
            lambda: theirs.runs.retrieve(run.id, eval_id=made.id),
            lambda: theirs.runs.cancel(run.id, eval_id=made.id),
            lambda: theirs.runs.output_items.list(run.id, eval_id=made.id),
        ]
        for ask in asked:
            with pytest.raises(openai.NotFoundError):
                ask()
        with pytest.raises(openai.BadRequestError) as refused:
            theirs.list(after=made.id)
        assert refused.value.param == "after"
        assert mine.retrieve(made.id).to_dict() == made.to_dict()
        bearer = {"authorization": "Bearer sk-research"}
        assert server.ask("GET", f"/reports/{run.id}", headers=bearer).status == 404
        closed = server.ask("GET", f"/reports/{run.id}")
        assert (closed.status, closed.headers["www-authenticate"].split()[0]) == (401, "Basic")


def test_a_server_without_a_store_says_how_to_have_one(server: Server) -> None:
    for method, path in (("GET", "/v1/evals"), ("POST", "/openai/evals"), ("GET", "/evals/x/runs")):
        answer = server.ask(method, path)
        assert (answer.status, answer.error["code"]) == (404, "unknown_url")
        assert "--jobs DIR" in answer.error["message"]


def test_the_schema_of_items_may_be_left_open(evals: Any) -> None:
    config = {**CONFIG, "item_schema": {}, "include_sample_schema": False}
    made = evals.create(data_source_config=config, testing_criteria=[MATCH])
    assert made.data_source_config.to_dict()["schema"]["required"] == ["item"]
    assert evals.runs.create(made.id, data_source=jsonl([{"item": {}}])).status == "queued"
