"""`client.models`: which models there are for whom, and how one is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import openai
import pytest

from graders_engine.server.routes import NOT_KEPT, PREFIXES
from graders_engine.storage.store import Store
from tests.inference.tuned import names_of, trained_job
from tests.server.models_of import (
    ADMIN,
    BASE,
    OTHER,
    OWN,
    client_of,
    lay_out,
    models_server,
    train,
)
from tests.server.serving import Server

KEY = {"authorization": f"Bearer {OWN}"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with models_server(tmp_path_factory.mktemp("models")) as running:
        yield running


def path_of(name: str) -> str:
    return f"/v1/models/{quote(name, safe='')}"


def listed(server: Server, key: str) -> list[str]:
    return [model.id for model in client_of(server, key).models.list()]


def test_models_are_listed_and_shown_for_their_project_alone(shared: Server) -> None:
    job, theirs = train(shared), train(shared, "other")
    own, other = client_of(shared, OWN), client_of(shared, OTHER)
    mine = listed(shared, OWN)
    assert mine[0] == BASE
    assert {*names_of(job)} <= {*mine}
    assert not {*names_of(theirs)} & {*mine}
    assert {*names_of(theirs)} <= {*listed(shared, OTHER)}
    for name in (BASE, *names_of(job)):
        model = own.models.retrieve(name)
        assert (model.id, model.object) == (name, "model")
        assert model.owned_by == ("system" if name == BASE else "local")
        assert model.created > 0
    for name in names_of(job):
        with pytest.raises(openai.NotFoundError) as missing:
            other.models.retrieve(name)
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")


def test_a_model_is_deleted_with_its_weights_and_the_job_stays(shared: Server) -> None:
    job = train(shared)
    model, first, last = names_of(job)
    client = client_of(shared, OWN)
    gone = client.models.delete(model)
    assert (gone.id, gone.object, gone.deleted) == (model, "model", True)
    folder = shared.log_file.parent / "store" / "jobs" / job.id
    assert [path.name for path in folder.glob("step-*")] == ["step-5"]
    assert {model, first, last} & {*listed(shared, OWN)} == {first}
    with pytest.raises(openai.NotFoundError):
        client.models.delete(model)
    assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model == model
    last_event = next(iter(client.fine_tuning.jobs.list_events(job.id)))
    assert last_event.message == f"The model {model} was deleted"
    assert client.models.delete(first).deleted
    assert not list(folder.glob("step-*"))


def test_a_model_is_deleted_by_its_project_or_the_administrator_alone(shared: Server) -> None:
    job = train(shared)
    model, first, _ = names_of(job)
    client_of(shared, ADMIN).fine_tuning.checkpoints.permissions.create(
        model, project_ids=["other"]
    )
    other = client_of(shared, OTHER)
    with pytest.raises(openai.PermissionDeniedError) as refused:
        other.models.delete(model)
    assert refused.value.code == "model_not_owned"
    with pytest.raises(openai.NotFoundError) as missing:
        other.models.delete(first)
    assert missing.value.code == "model_not_found"
    assert {model, first} <= {*listed(shared, OWN)}
    assert client_of(shared, ADMIN).models.delete(model).deleted
    assert model not in listed(shared, OTHER)


def test_a_base_model_cannot_be_deleted(shared: Server) -> None:
    for key in (OWN, ADMIN):
        with pytest.raises(
            openai.BadRequestError, match="A base model cannot be deleted"
        ) as refused:
            client_of(shared, key).models.delete(BASE)
        assert refused.value.param == "model"
    assert (shared.log_file.parent / "tiny" / "model.safetensors").exists()
    assert BASE in listed(shared, OWN)


@pytest.mark.parametrize("status", ["running", "pausing", "paused", "queued"])
def test_weights_of_a_job_that_has_not_ended_cannot_be_deleted(shared: Server, status: str) -> None:
    with Store(shared.log_file.parent / "store") as store:
        # It wants nothing that a server would do.
        job = trained_job(store, "default", "running", heartbeat=None)
        store.jobs.move(job.id, status, ["running"])
        _, first, _ = names_of(job)
        with pytest.raises(openai.BadRequestError) as refused:
            client_of(shared, OWN).models.delete(first)
        assert (refused.value.param, refused.value.code) == ("model", "invalid_state")
        assert first in listed(shared, OWN)


def test_names_that_lead_elsewhere_are_no_models(shared: Server) -> None:
    job = train(shared)
    folder = f"{job.id}/step-10/model"
    names = [
        "..", "../../store.sqlite3", folder, "tiny", "./tiny", "a/b/c", "%", "%2F", "%252e", "a\nb", "a\0b",
        "ft:", ":ckpt-step-5", "x" * 5_000, "ü", "'; DROP TABLE job; --", f"{names_of(job)[0]}\0",
    ]  # fmt: skip
    for name in names:
        for method in ("GET", "DELETE"):
            answer = shared.ask(method, path_of(name), None, KEY)
            assert (answer.status, answer.error["code"]) == (404, "model_not_found"), name
    for raw in ("/v1/models/../files", "/v1/models//", "/v1/models/%2e%2e", "/v1/models/%ff"):
        assert shared.ask("DELETE", raw, None, KEY).status == 404
    assert {*names_of(job)} <= {*listed(shared, OWN)}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_all_prefixes_have_them_and_a_slash_may_be_sent_as_it_is(
    shared: Server, prefix: str
) -> None:
    model, *_ = names_of(train(shared))
    found = shared.ask("GET", f"{prefix}/models?api-version=v1", None, KEY).json
    assert {one["id"] for one in found["data"]} >= {BASE, model}
    for name in (BASE, quote(BASE, safe="")):
        assert shared.ask("GET", f"{prefix}/models/{name}", None, KEY).json["id"] == BASE
    for name in (model, quote(model, safe="")):
        assert shared.ask("HEAD", f"{prefix}/models/{name}", None, KEY).status == 200
    assert shared.ask("DELETE", f"{prefix}/models/{model}", None, KEY).json["deleted"]
    for path in ("/models?limit=1", f"/models/{BASE}?x=1"):
        answer = shared.ask("GET", prefix + path, None, KEY)
        assert (answer.status, answer.error["code"]) == (400, "unknown_parameter")
    answer = shared.ask("POST", f"{prefix}/models", {}, KEY)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_each_route_wants_a_key(shared: Server) -> None:
    for method, path in (
        ("GET", "/v1/models"), ("GET", path_of(BASE)), ("DELETE", path_of(BASE)),
        ("POST", "/v1/chat/completions"), ("POST", f"/openai/deployments/{BASE}/chat/completions"),
    ):  # fmt: skip
        answer = shared.ask(method, path, {})
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


def test_a_model_of_the_hub_that_was_never_downloaded_says_so(tmp_path: Path) -> None:
    config = '[base_models."Qwen/Qwen3-0.6B"]\nhub = "Qwen/Qwen3-0.6B"\n'
    lay_out(tmp_path, config)
    with models_server(tmp_path, HF_HOME=str(tmp_path / "hf")) as server:
        assert listed(server, "any") == ["Qwen/Qwen3-0.6B"]
        body = {"model": "Qwen/Qwen3-0.6B", "messages": [{"role": "user", "content": "Hello"}]}
        answer = server.post("/v1/chat/completions", body)
        assert (answer.status, answer.error["code"]) == (503, "model_not_downloaded")
        assert "`hf download Qwen/Qwen3-0.6B`" in answer.error["message"]
        assert answer.headers["x-should-retry"] == "false"


def test_a_base_model_whose_folder_is_gone_is_none(tmp_path: Path) -> None:
    config = '[base_models]\ngone = "gone"\ntiny = "tiny"\n'
    with models_server(tmp_path, config=config, NOTHING="x") as server:
        assert listed(server, "any") == ["tiny"]
        body: dict[str, Any] = {"model": "gone", "messages": [{"role": "user", "content": "Hello"}]}
        assert server.post("/v1/chat/completions", body).error["code"] == "model_not_found"
        assert server.ask("GET", "/v1/models/gone").error["code"] == "model_not_found"


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_server_without_a_folder_says_how_to_have_models(server: Server, prefix: str) -> None:
    for method, path in (
        ("GET", "/models"), ("GET", "/models/x"), ("DELETE", "/models/a/b"),
        ("GET", "/fine_tuning/checkpoints/x/permissions"),
    ):  # fmt: skip
        answer = server.ask(method, prefix + path)
        assert (answer.status, answer.error["code"]) == (404, "unknown_url")
        assert answer.error["message"] == NOT_KEPT
    answer = server.post(f"{prefix}/chat/completions", {})
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert "Started with --jobs DIR, it answers for the models" in answer.error["message"]
