"""Keys and projects, Azure's forms, and a server that keeps nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from graders_engine.errors import InvalidRequest
from graders_engine.models.config import read_config
from tests.server.serving import GOOD, RUN, Server, command, serving

PROJECTS = """
[projects.research]
api_key_env = "KEY_RESEARCH"
[projects.product]
api_key_env = "KEY_PRODUCT"
"""
KEYS = {"GRADERS_API_KEY": "sk-own", "KEY_RESEARCH": "sk-research", "KEY_PRODUCT": "sk-product"}
RUN_PATH = RUN.removeprefix("/v1")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("projects")
    (folder / "graders.toml").write_text(PROJECTS)
    with serving(folder, "--jobs", "store", **KEYS) as running:
        yield running


def client_of(server: Server, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


@pytest.mark.parametrize("key", sorted(KEYS.values()))
@pytest.mark.parametrize("header", ["authorization", "api-key"])
def test_each_projects_key_opens_every_route(shared: Server, key: str, header: str) -> None:
    value = f"Bearer {key}" if header == "authorization" else key
    assert shared.ask("POST", RUN, GOOD, {header: value}).status == 200
    assert shared.ask("GET", "/v1/files", None, {header: value}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer sk-else"},
        {"authorization": "sk-own"},
        {"authorization": "Bearer "},
        {"api-key": "sk-else"},
        {"api-key": "Bearer sk-own"},
        {"api-key": ""},
    ],
)
def test_any_other_key_is_refused(shared: Server, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/v1/files"), ("POST", "/v1/files"), ("GET", "/v1/nothing")):
        answer = shared.ask(method, path, b"", headers)
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


def test_another_projects_file_is_404(shared: Server) -> None:
    one, other = client_of(shared, "sk-research"), client_of(shared, "sk-product")
    file = one.files.create(file=("a", b"ours"), purpose="evals")
    for client in (other, client_of(shared, "sk-own")):
        for ask in (client.files.retrieve, client.files.content, client.files.delete):
            with pytest.raises(openai.NotFoundError):
                ask(file.id)
        assert file.id not in [each.id for each in client.files.list()]
        with pytest.raises(openai.BadRequestError, match="after"):
            client.files.list(after=file.id)
    assert one.files.content(file.id).read() == b"ours"
    assert [each.id for each in one.files.list()] == [file.id]


def test_a_page_that_has_a_key_may_upload(shared: Server) -> None:
    client = openai.OpenAI(
        base_url=f"{shared.url}/v1", api_key="sk-own",
        default_headers={"origin": "https://app.example", "sec-fetch-site": "cross-site"},
    )  # fmt: skip
    assert client.files.create(file=("a", b""), purpose="evals").id


def test_no_key_is_written_anywhere(shared: Server) -> None:
    written = shared.log_file.read_bytes()
    for path in (shared.log_file.parent / "store").rglob("*"):
        written += path.read_bytes() if path.is_file() else b""
    for key in KEYS.values():
        assert key.encode() not in written


@pytest.mark.parametrize(
    ("text", "environment", "sentence"),
    [
        (PROJECTS, {"KEY_RESEARCH": "a"}, "[projects] product: the variable KEY_PRODUCT is not set"),
        (PROJECTS, {"KEY_RESEARCH": "a", "KEY_PRODUCT": "a"}, "is that of research as well"),
        (PROJECTS, {"KEY_RESEARCH": "a", "KEY_PRODUCT": "b", "GRADERS_API_KEY": "b"},
         "is that of default as well"),
    ],
)  # fmt: skip
def test_a_project_without_a_key_of_its_own_is_a_sentence(
    tmp_path: Path, text: str, environment: dict[str, str], sentence: str
) -> None:
    (tmp_path / "graders.toml").write_text(text)
    done = refused(tmp_path, environment)
    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[projects.default]\napi_key_env = "X"', "choose another name"),
        ('[projects.a]\napi_key = "X"', "a key has no place in a file"),
        ("[projects.a]", "api_key_env must be the name of the variable"),
        ("[store]\nmax_bytes = 0", "max_bytes must be at least 1"),
        ('[store]\nmax_file_bytes = "1"', "[store] max_file_bytes"),
        ("[store]\nsize = 1", "unknown key size"),
    ],
)
def test_a_mistake_in_the_configuration_is_a_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "graders.toml"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=re.escape(sentence)):
        read_config(path)


def refused(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("--jobs", "store"), cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_second_server_on_a_folder_is_refused(shared: Server) -> None:
    done = refused(shared.log_file.parent, KEYS)
    assert done.returncode == 2
    assert "Another server uses store: stop it, or name another folder" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai", "/openai/v1"])
def test_all_prefixes_serve_the_same(server: Server, shared: Server, prefix: str) -> None:
    assert server.post(prefix + RUN_PATH, GOOD).json["reward"] == 1.0
    assert server.post(f"{prefix}{RUN_PATH}?api-version=v1", GOOD).json["reward"] == 1.0
    key = {"api-key": "sk-own"}
    file = client_of(shared, "sk-own").files.create(file=("a", b"x"), purpose="evals")
    path = f"{prefix}/files/{file.id.replace('-', '%2D')}"
    assert shared.ask("GET", f"{path}/content?api-version=x", None, key).body == b"x"
    assert shared.ask("HEAD", f"{path}/content", None, key).headers["content-length"] == "1"
    assert shared.ask("DELETE", path, None, key).json["id"] == file.id


def test_only_azures_clients_get_azures_header(server: Server) -> None:
    assert "apim-request-id" not in server.post(RUN, GOOD).headers
    for path in (RUN, "/v1/nothing"):
        ids = {server.post(path, GOOD, **{"api-key": "x"}).headers["apim-request-id"] for _ in "12"}
        assert len(ids) == 2


def test_azures_client_runs_a_grader(server: Server) -> None:
    client = openai.AzureOpenAI(
        azure_endpoint=server.url, api_key="any", api_version="2025-04-01-preview"
    )
    grader: Any = GOOD["grader"]
    answer = client.fine_tuning.alpha.graders.run(
        grader=grader, model_sample="cat", item={"label": "cat"}
    )
    assert answer.reward == 1.0


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files",
        "/files/file-1",
        "/openai/v1/evals",
        "/openai/evals/eval_1/runs",
        "/v1/fine_tuning/jobs",
        "/v1/fine_tuning/jobs/ftjob-1/events",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_server_without_a_folder_says_how_to_have_files(
    server: Server, method: str, path: str
) -> None:
    answer = server.ask(method, path)
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    sentence = "This server keeps no files, evals and jobs: start it with --jobs DIR."
    assert answer.error["message"] == sentence


def test_other_paths_are_plainly_unknown(server: Server, shared: Server) -> None:
    for path in ("/v1/filesystem", "/v1/nothing", "/v2/files"):
        assert "Unknown request URL" in server.ask("GET", path).error["message"]
    key = {"api-key": "sk-own"}
    answer = shared.ask("GET", "/v1/fine_tuning/checkpoints/a/others", None, key)
    assert "Unknown request URL" in answer.error["message"]
