"""The Files API through the unmodified `openai` package: only `base_url` differs."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.serving import Server, serving


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("files"), "--jobs", "store") as running:
        yield running


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[openai.OpenAI]:
    with serving(tmp_path, "--jobs", "store") as running:
        yield client_of(running)


def client_of(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)


@pytest.fixture(scope="module")
def client(store: Server) -> openai.OpenAI:
    return client_of(store)


def upload(
    client: openai.OpenAI, content: bytes = b"{}\n", name: str = "a.jsonl", **given: Any
) -> openai.types.FileObject:
    return client.files.create(file=(name, content), **{"purpose": "evals", **given})


def test_a_file_comes_back_as_it_was_sent(client: openai.OpenAI) -> None:
    content = os.urandom(3_000_000)
    before = int(time.time())
    file = upload(client, content, 'données \\ "x".jsonl', purpose="fine-tune")
    assert (file.object, file.bytes, file.purpose, file.status) == (
        "file", 3_000_000, "fine-tune", "processed",
    )  # fmt: skip
    assert file.id.startswith("file-")
    assert len(file.id) == 29
    assert before <= file.created_at <= time.time()
    assert file.expires_at is None
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id) == file
    downloaded = client.files.content(file.id)
    assert downloaded.read() == content
    assert downloaded.response.headers["content-disposition"].startswith("attachment; filename=")
    with pytest.warns(DeprecationWarning, match="content"):
        assert client.files.retrieve_content(file.id)


def test_a_content_can_be_streamed(client: openai.OpenAI) -> None:
    content = os.urandom(1_000_000)
    file = upload(client, content)
    with client.files.with_streaming_response.content(file.id) as response:
        assert response.headers["content-length"] == "1000000"
        assert b"".join(response.iter_bytes()) == content


def test_a_deleted_file_is_gone(client: openai.OpenAI) -> None:
    file = upload(client)
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (file.id, "file", True)
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError) as caught:
            ask(file.id)
        assert (caught.value.code, caught.value.param) == ("not_found", "id")
        assert file.id in caught.value.message


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("filename*=UTF-8''na%C3%AFve%20a.jsonl", "na\u00efve a.jsonl"),
        ("FileName* = utf-8'en'%e2%82%ac; x=1", "\u20ac"),
        ("filename*=iso-8859-1''%e9.jsonl", "\u00e9.jsonl"),
        ("filename*=\"UTF-8''a%3Bb\"", "a;b"),
        ("filename=plain; filename*=UTF-8''other", "plain"),  # as python-multipart and Starlette
        ("filename*=UTF-8''other; filename=\"plain\"", "plain"),
        ("filename*=UTF-8''%00..%2F..%5Cx%0D%0Ay", "_../..\\x__y"),
        ("filename*=UTF-8''a b.jsonl ; x=1", "a b.jsonl"),
        (f"filename*=UTF-8''{'%C3%A9' * 300}", "\u00e9" * 300),
        ("filename*=UTF-8''%FF", "\ufffd"),
        (f"filename=\"../a\0{'b' * 300}\"", f"../a_{'b' * 300}"),
    ],
)  # fmt: skip
def test_a_name_may_have_any_form_and_is_no_path(
    parameters: str, name: str, store: Server, client: openai.OpenAI
) -> None:
    file = f'--B\r\nContent-Disposition: form-data; name="file"; {parameters}\r\n\r\n{{}}\r\n'
    purpose = '--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nevals\r\n--B--\r\n'
    form = {"content-type": "multipart/form-data; boundary=B"}
    answer = store.ask("POST", "/v1/files", (file + purpose).encode("latin-1"), form)
    assert answer.status == 200, answer.body
    assert client.files.retrieve(answer.json["id"]).filename == name
    headers = client.files.content(answer.json["id"]).response.headers
    plain, _, extended = headers["content-disposition"].partition("; filename*=UTF-8''")
    assert plain.isascii()
    assert plain.isprintable()
    assert unquote(extended) == name


def test_an_empty_file_is_a_file(client: openai.OpenAI) -> None:
    file = upload(client, b"")
    assert file.bytes == 0
    assert client.files.content(file.id).read() == b""


@pytest.mark.parametrize(
    "purpose", ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
)
def test_each_purpose_is_taken(client: openai.OpenAI, purpose: str) -> None:
    assert upload(client, purpose=purpose).purpose == purpose


def test_a_file_may_expire(client: openai.OpenAI) -> None:
    file = upload(client, expires_after={"anchor": "created_at", "seconds": 3600})
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id).expires_at == file.expires_at


def test_files_are_listed_in_pages(empty: openai.OpenAI) -> None:
    assert list(empty.files.list()) == []
    files = [upload(empty, purpose=purpose) for purpose in ("evals", "batch", "evals") * 3]
    newest = [file.id for file in reversed(files)]
    assert [file.id for file in empty.files.list()] == newest
    assert [file.id for file in empty.files.list(order="asc")] == newest[::-1]
    assert [file.id for file in empty.files.list(limit=2)] == newest  # the SDK asks for each page
    page = empty.files.list(limit=4, after=newest[1])
    assert [file.id for file in page.data] == newest[2:6]
    assert page.has_more
    last = empty.files.list(limit=4, after=newest[4])
    assert [file.id for file in last.data] == newest[5:]
    assert not last.has_more
    batches = [file.id for file in files if file.purpose == "batch"]
    assert [file.id for file in empty.files.list(purpose="batch", order="asc", limit=1)] == batches


def test_a_script_may_delete_all_that_it_lists(empty: openai.OpenAI) -> None:
    for _ in range(7):
        upload(empty)
    for file in empty.files.list(limit=2):
        empty.files.delete(file.id)
    assert list(empty.files.list()) == []


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[openai.OpenAI, list[str]]]:
    with serving(tmp_path_factory.mktemp("pages"), "--jobs", "store") as running:
        client = client_of(running)
        yield client, [upload(client).id for _ in range(23)]


@settings(max_examples=25, deadline=None)
@given(limit=st.integers(1, 30), descending=st.booleans(), start=st.none() | st.integers(0, 22))
def test_pages_put_together_are_the_list(
    ids: tuple[openai.OpenAI, list[str]], limit: int, descending: bool, start: int | None
) -> None:
    client, all_ids = ids
    wanted = all_ids[::-1] if descending else all_ids
    after: Any = openai.omit if start is None else wanted[start]
    found = client.files.list(limit=limit, order="desc" if descending else "asc", after=after)
    assert [file.id for file in found] == wanted[0 if start is None else start + 1 :]


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ({"limit": 0}, "limit", "integer_below_min_value"),
        ({"limit": 10001}, "limit", "integer_above_max_value"),
        ({"limit": "x"}, "limit", "invalid_type"),
        ({"limit": "9" * 30}, "limit", "integer_above_max_value"),
        ({"order": "up"}, "order", "invalid_value"),
        ({"purpose": "x"}, "purpose", "invalid_value"),
        ({"after": "file-nothing"}, "after", "invalid_value"),
        ({"colour": "red"}, "colour", "unknown_parameter"),
    ],
)
def test_a_list_with_a_wrong_parameter_is_refused(
    client: openai.OpenAI, query: dict[str, object], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.list(extra_query=query)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_the_asynchronous_client_does_the_same(store: Server) -> None:
    async def use() -> None:
        async with openai.AsyncOpenAI(base_url=f"{store.url}/v1", api_key="sk-any") as client:
            contents = [os.urandom(100_000) for _ in range(12)]
            files = await asyncio.gather(
                *(
                    client.files.create(file=(f"{n}", io.BytesIO(content)), purpose="user_data")
                    for n, content in enumerate(contents)
                )
            )
            assert [file.filename for file in files] == [str(n) for n in range(12)]
            for file, content in zip(files, contents, strict=True):
                assert (await client.files.content(file.id)).content == content
                assert await client.files.retrieve(file.id) == file
            listed = {file.id async for file in client.files.list(purpose="user_data", limit=5)}
            assert {file.id for file in files} <= listed
            for file in files:
                assert (await client.files.delete(file.id)).deleted

    asyncio.run(use())


@pytest.mark.parametrize("version", ["2025-04-01-preview", "v1", "preview"])
def test_azures_client_does_the_same(store: Server, version: str) -> None:
    client = openai.AzureOpenAI(
        azure_endpoint=store.url, api_key="any", api_version=version, max_retries=0
    )
    raw = client.files.with_raw_response.create(file=("a", b"azure"), purpose="evals")
    file = raw.parse()
    assert len(raw.headers["apim-request-id"]) == 36
    assert client.files.content(file.id).read() == b"azure"
    assert file.id in [each.id for each in client.files.list(limit=1)]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError) as caught:
        client.files.retrieve(file.id)
    assert "apim-request-id" in caught.value.response.headers


def test_files_outlive_the_server(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store") as running:
        file = upload(client_of(running), b"kept")
    with serving(tmp_path, "--jobs", "store") as running:
        assert client_of(running).files.retrieve(file.id) == file
        assert client_of(running).files.content(file.id).read() == b"kept"


def test_the_log_has_no_names_and_the_metrics_count(store: Server, client: openai.OpenAI) -> None:
    name = 'graders_files_stored_total{purpose="vision"}'
    before = store.metric(name), store.metric("graders_files_bytes_total")
    file = upload(client, b"secret content", "secret-name.jsonl", purpose="vision")
    client.files.content(file.id)
    assert store.metric(name) == before[0] + 1
    assert store.metric("graders_files_bytes_total") == before[1] + 14
    assert "secret" not in store.log_file.read_text()
    line = next(line for line in store.log if line.get("file") == file.id)
    assert (line["purpose"], line["bytes"], line["status"]) == ("vision", 14, 200)
