"""Permissions of checkpoints through the stock `openai` package: who gives them, and what they open."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import openai
import pytest

from graders_engine.server.routes import PREFIXES
from graders_engine.storage.store import Store
from tests.inference.tuned import names_of, trained_job
from tests.server.models_of import (
    ADMIN,
    BASE,
    KEYS,
    OTHER,
    OWN,
    THIRD,
    client_of,
    lay_out,
    models_server,
    train,
)
from tests.server.serving import Server, command

KEY = {"authorization": f"Bearer {ADMIN}"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with models_server(tmp_path_factory.mktemp("permissions")) as running:
        yield running


@pytest.fixture(scope="module")
def admin(shared: Server) -> Any:
    return client_of(shared, ADMIN).fine_tuning.checkpoints.permissions


def path_of(name: str, permission_id: str = "") -> str:
    below = f"/{permission_id}" if permission_id else ""
    return f"/v1/fine_tuning/checkpoints/{quote(name, safe='')}/permissions{below}"


def listed(server: Server, key: str) -> set[str]:
    return {model.id for model in client_of(server, key).models.list()}


def test_each_method_works_with_paging_by_the_last_id(shared: Server, admin: Any) -> None:
    model, *_ = names_of(train(shared))
    made = admin.create(model, project_ids=["other", "third", "default"])
    assert made.object == "list"
    assert not made.has_more
    permissions = made.data
    assert [one.project_id for one in permissions] == ["other", "third", "default"]
    for one in permissions:
        assert one.object == "checkpoint.permission"
        assert one.id.startswith("cp_")
        assert one.created_at > 0
    ids = [one.id for one in permissions]
    page = admin.list(model, limit=2)
    assert [one.id for one in page.data] == ids[:0:-1]
    assert (page.has_more, page.first_id, page.last_id) == (True, ids[2], ids[1])
    assert [one.id for one in page] == ids[::-1]
    assert [one.id for one in admin.list(model, order="ascending", limit=1)] == ids
    assert [one.id for one in admin.list(model, after=ids[1], order="descending")] == ids[:1]
    assert [one.id for one in admin.list(model, project_id="third")] == [ids[1]]
    assert list(admin.list(model, project_id="nobody")) == []
    with pytest.warns(DeprecationWarning, match="Retrieve is deprecated"):
        old = admin.retrieve(model, limit=1, order="ascending")
    assert [one.id for one in old.data] == ids[:1]
    assert old.has_more
    gone = admin.delete(ids[1], fine_tuned_model_checkpoint=model)
    assert (gone.id, gone.object, gone.deleted) == (ids[1], "checkpoint.permission", True)
    assert [one.id for one in admin.list(model)] == [ids[2], ids[0]]
    with pytest.raises(openai.NotFoundError) as missing:
        admin.delete(ids[1], fine_tuned_model_checkpoint=model)
    assert missing.value.code == "not_found"


def test_each_method_works_without_waiting_too(shared: Server) -> None:
    model, *_ = names_of(train(shared))

    async def use() -> None:
        async with openai.AsyncOpenAI(
            base_url=f"{shared.url}/openai/v1", api_key=ADMIN, max_retries=0
        ) as client:
            permissions = client.fine_tuning.checkpoints.permissions
            made = await permissions.create(model, project_ids=["other", "third"])
            ids = [one.id async for one in made]
            assert [one.id async for one in permissions.list(model, limit=1)] == ids[::-1]
            with pytest.warns(DeprecationWarning, match="Retrieve is deprecated"):
                old = await permissions.retrieve(model)
            assert old.last_id == ids[0]
            gone = await permissions.delete(ids[0], fine_tuned_model_checkpoint=model)
            assert gone.deleted
            assert [one.id async for one in permissions.list(model)] == ids[1:]

    asyncio.run(use())


def test_the_package_of_npm_creates_lists_and_deletes(shared: Server, node_folder: Path) -> None:
    model, *_ = names_of(train(shared))
    script = shutil.copy(Path(__file__).with_name("permissions.mjs"), node_folder)
    done = subprocess.run(
        ["node", script, shared.url, ADMIN, OTHER, model],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["created"] == ["other", "third"]
    assert found["listed"] == ["third", "other"]
    assert found["retrieved"] == ["other", True]
    assert found["deleted"] == ["checkpoint.permission", True]
    assert found["left"] == ["third"]
    assert found["seen"] == [False, True, False]
    assert found["model"] == [model, "model", "local"]
    assert found["errors"] == [
        ["PermissionDeniedError", 403, "admin_key_required", None],
        ["BadRequestError", 400, "invalid_value", "project_ids"],
        ["NotFoundError", 404, "not_found", None],
        ["NotFoundError", 404, "model_not_found", "model"],
    ]


def test_a_permission_opens_and_closes_a_model_within_one_request(
    shared: Server, admin: Any
) -> None:
    names = names_of(train(shared))
    for name in names:
        assert not {*names} & listed(shared, OTHER)
        (made,) = admin.create(name, project_ids=["other"]).data
        assert {*names} & listed(shared, OTHER) == {name}
        assert not {*names} & listed(shared, THIRD)
        assert client_of(shared, OTHER).models.retrieve(name).id == name
        admin.delete(made.id, fine_tuned_model_checkpoint=name)
        with pytest.raises(openai.NotFoundError):
            client_of(shared, OTHER).models.retrieve(name)


def test_the_same_permission_again_is_the_one_that_exists(shared: Server, admin: Any) -> None:
    model, *_ = names_of(train(shared))
    first = admin.create(model, project_ids=["other"]).data
    assert admin.create(model, project_ids=["other", "other"]).data == first
    assert [one.id for one in admin.list(model)] == [one.id for one in first]


@pytest.mark.parametrize("key", [OWN, OTHER, "sk-nobody"])
def test_permissions_are_the_administrators(shared: Server, key: str) -> None:
    model, *_ = names_of(train(shared))
    refused = (403, "admin_key_required") if key in KEYS.values() else (401, "invalid_api_key")
    header = {"authorization": f"Bearer {key}"}
    for name in (model, "ft:none"):
        for method, path in (
            ("GET", path_of(name)), ("POST", path_of(name)), ("DELETE", path_of(name, "cp_1")),
        ):  # fmt: skip
            answer = shared.ask(method, path, {"project_ids": ["other"]}, header)
            assert (answer.status, answer.error["code"]) == refused
    assert list(client_of(shared, ADMIN).fine_tuning.checkpoints.permissions.list(model)) == []


@pytest.mark.parametrize("header", ["authorization", "api-key"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_administrators_key_opens_all_forms_of_the_routes(
    shared: Server, prefix: str, header: str
) -> None:
    model, *_ = names_of(train(shared))
    key = {header: f"Bearer {ADMIN}" if header == "authorization" else ADMIN}
    path = prefix + path_of(model).removeprefix("/v1")
    made = shared.ask("POST", path, {"project_ids": ["other"]}, key).json["data"][0]
    found = shared.ask("GET", f"{path}?api-version=2025-04-01-preview", None, key).json
    assert found["data"] == [made]
    assert found["first_id"] == found["last_id"] == made["id"]
    assert shared.ask("DELETE", f"{path}/{made['id']}", None, key).json["deleted"]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "project_ids", "missing_required_parameter"),
        ({"project_ids": []}, "project_ids", "empty_array"),
        ({"project_ids": "other"}, "project_ids", "invalid_type"),
        ({"project_ids": ["other", 1]}, "project_ids[1]", "invalid_type"),
        ({"project_ids": ["other", "nobody"]}, "project_ids", "invalid_value"),
        ({"project_ids": ["\ud800"]}, "project_ids", "invalid_value"),
        ({"project_ids": ["other"], "role": "x"}, "role", "unknown_parameter"),
        ([], "body", "invalid_type"),
    ],
)
def test_a_wrong_request_is_400_with_the_parameter_and_changes_nothing(
    shared: Server, admin: Any, body: Any, param: str, code: str
) -> None:
    model, *_ = names_of(train(shared))
    answer = shared.ask("POST", path_of(model), body, KEY)
    assert answer.status == 400
    assert (answer.error["param"], answer.error["code"]) == (param, code)
    assert list(admin.list(model)) == []


def test_an_unknown_project_is_named_with_those_that_there_are(shared: Server, admin: Any) -> None:
    model, *_ = names_of(train(shared))
    with pytest.raises(openai.BadRequestError) as refused:
        admin.create(model, project_ids=["proj_x"])
    words = "There is no project 'proj_x'. There are: 'default', 'other', and 'third'."
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=asc", "order"),
        ("after=cp_none", "after"),
        ("project=other", "project"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_a_wrong_query_is_400_with_the_parameter(shared: Server, query: str, param: str) -> None:
    model, *_ = names_of(train(shared))
    answer = shared.ask("GET", f"{path_of(model)}?{query}", None, KEY)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_a_checkpoint_that_does_not_exist_is_404(shared: Server) -> None:
    running = train(shared, status="running")
    names = [
        names_of(running)[0], BASE, "ft:none", "..", "../../lock", "a/permissions", "a\nb", "a\0b",
        "%2e%2e%2f", "ü" * 50, "x" * 5_000,
    ]  # fmt: skip
    for name in names:
        for method, path in (
            ("GET", path_of(name)), ("POST", path_of(name)), ("DELETE", path_of(name, "cp_1")),
        ):  # fmt: skip
            answer = shared.ask(method, path, {"project_ids": ["other"]}, KEY)
            assert (answer.status, answer.error["code"]) == (404, "not_found"), (method, name)


def test_a_name_with_a_slash_is_found_however_it_is_sent(shared: Server, admin: Any) -> None:
    with Store(shared.log_file.parent / "store") as store:
        model, *_ = names_of(trained_job(store, base="Qwen/tiny"))
    (made,) = admin.create(model, project_ids=["other"]).data
    for path in (path_of(model), f"/v1/fine_tuning/checkpoints/{model}/permissions"):
        assert shared.ask("GET", path, None, KEY).json["first_id"] == made.id
    plain = f"/v1/fine_tuning/checkpoints/{model}/permissions/{made.id}"
    assert shared.ask("DELETE", plain, None, KEY).json["deleted"]


def test_a_deleted_model_has_no_permissions_and_none_can_be_given(
    shared: Server, admin: Any
) -> None:
    model, *_ = names_of(train(shared))
    admin.create(model, project_ids=["other"])
    client_of(shared, OWN).models.delete(model)
    for call in (admin.list, lambda name: admin.create(name, project_ids=["other"])):
        with pytest.raises(openai.NotFoundError):
            call(model)
    assert model not in listed(shared, OTHER)


def test_alone_on_loopback_without_keys_the_one_caller_is_the_administrator(
    tmp_path: Path,
) -> None:
    config = '[base_models]\ntiny = "tiny"\n'
    for keys in ({"NOTHING": "x"}, {"GRADERS_API_KEY": OWN}):
        with models_server(tmp_path, config=config, **keys) as server:
            model, *_ = names_of(train(server))
            permissions = client_of(server, OWN).fine_tuning.checkpoints.permissions
            (made,) = permissions.create(model, project_ids=["default"]).data
            assert [one.id for one in permissions.list(model)] == [made.id]
            assert permissions.delete(made.id, fine_tuned_model_checkpoint=model).deleted


@pytest.mark.parametrize(
    ("flags", "keys", "words"),
    [
        ((), {"GRADERS_API_KEY": OWN, "KEY_OTHER": OTHER, "KEY_THIRD": THIRD}, "has no admin key"),
        (("--admin-key", "sk-flag"), {"KEY_OTHER": OTHER, "KEY_THIRD": THIRD}, "send the key"),
    ],
)
def test_with_other_projects_the_administrator_needs_a_key(
    tmp_path: Path, flags: tuple[str, ...], keys: dict[str, str], words: str
) -> None:
    with models_server(tmp_path, *flags, **keys) as server:
        model, *_ = names_of(train(server))
        with pytest.raises(openai.PermissionDeniedError, match=words) as refused:
            client_of(server, OTHER).fine_tuning.checkpoints.permissions.list(model)
        assert refused.value.code == "admin_key_required"
        if flags:
            with_key = client_of(server, "sk-flag").fine_tuning.checkpoints.permissions
            assert list(with_key.list(model)) == []


def test_with_an_admin_key_alone_all_but_permissions_is_open_on_loopback(tmp_path: Path) -> None:
    config = '[base_models]\ntiny = "tiny"\n'
    with models_server(tmp_path, config=config, GRADERS_ADMIN_KEY=ADMIN) as server:
        model, *_ = names_of(train(server))
        assert [one.id for one in client_of(server, "any").files.list()] == []
        for key, works in (("any", False), (ADMIN, True)):
            permissions = client_of(server, key).fine_tuning.checkpoints.permissions
            if works:
                assert list(permissions.list(model)) == []
            else:
                with pytest.raises(openai.PermissionDeniedError):
                    permissions.list(model)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (OWN, "that of the project default as well"),
        (OTHER, "that of the project other as well"),
        ("", "The admin key is empty"),
    ],
)
def test_an_admin_key_that_is_none_is_a_sentence(tmp_path: Path, key: str, words: str) -> None:
    lay_out(tmp_path)
    done = subprocess.run(
        command("--jobs", "store", "--admin-key", key), cwd=tmp_path, env={**os.environ, **KEYS},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert words in done.stderr
    assert not done.stdout


def test_the_admin_key_is_written_nowhere(shared: Server) -> None:
    assert shared.ask("GET", path_of("ft:none"), None, KEY).status == 404
    written = shared.log_file.read_bytes() + shared.ask("GET", "/metrics", None, KEY).body
    for path in (shared.log_file.parent / "store").rglob("*"):
        written += path.read_bytes() if path.is_file() else b""
    assert ADMIN.encode() not in written
