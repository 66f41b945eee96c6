"""What names a file of this machine, what a URL, and that a URL's secrets are in no message."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders_engine import InvalidRequest
from graders_engine.urls import Url, location


@pytest.mark.parametrize(
    "text",
    ["rows.jsonl", r"C:\data\rows.jsonl", "C:/data/rows.jsonl", "C://data", "-", "./s3://bucket/rows.jsonl",
     "s3:/bucket/rows.jsonl", "s3:", "a b://c", "1s://c", "://c", "../https://host/rows.jsonl"],
)  # fmt: skip
def test_a_path_is_no_url(text: str) -> None:
    assert location(text) == Path(text)


@pytest.mark.parametrize(
    "text", ["s3://bucket/rows.jsonl", "HTTPS://host/rows.jsonl", "memory://rows"]
)
def test_what_has_a_scheme_and_a_host_is_a_url(text: str) -> None:
    found = location(text)
    assert isinstance(found, Url)
    assert found.given == text


def test_a_url_of_this_machine_is_a_path() -> None:
    assert location("file:///data/my%20rows.jsonl") == Path("/data/my rows.jsonl")


@pytest.mark.parametrize(
    ("given", "masked"),
    [
        ("https://me:pass@host:80/rows.jsonl", "https://***@host:80/rows.jsonl"),
        ("https://me@host/rows.jsonl", "https://***@host/rows.jsonl"),
        ("https://host/a.csv?X-Sig=4f2a&x=1", "https://host/a.csv?X-Sig=***&x=***"),
        ("https://host/a.csv?4f2a9c#part", "https://host/a.csv?***#***"),
        ("s3://bucket/a.csv?versionId=7", "s3://bucket/a.csv?versionId=7"),
        ("https://me:p%40ss@[::1]:80/a", "https://***@[::1]:80/a"),
        ("gs://bucket/what?.jsonl", "gs://bucket/what?.jsonl"),
        ("s3://bucket/me@host/rows#1.jsonl", "s3://bucket/me@host/rows#1.jsonl"),
    ],
)
def test_a_url_is_shown_without_its_secrets(given: str, masked: str) -> None:
    url = Url(given)
    assert str(url) == masked
    assert repr(url) == f"Url({masked!r})"
    assert url.without_secrets(f"no {given} here") == f"no {masked} here"


def test_two_urls_that_look_the_same_are_two() -> None:
    first, second = Url("https://host/a?sig=1111"), Url("https://host/a?sig=2222")
    assert str(first) == str(second)
    assert first != second
    assert len({first, second, Url("https://host/a?sig=1111")}) == 2


@pytest.mark.parametrize(
    "given",
    ["https://me:Zq/Xw@host/a", "https://me:Zq?Xw@host/a", "https://me:Zq#Xw@host/a",
     "https://me:12/34@host/a", "https:///a", "s3://"],
)  # fmt: skip
def test_a_url_whose_password_has_no_clear_end_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read") as refused:
        location(given)
    assert not any(part in str(refused.value) for part in ("Zq", "Xw", "12", "34"))


@pytest.mark.parametrize(
    ("given", "name", "suffix"),
    [
        ("s3://bucket/a/rows.jsonl.gz", "rows.jsonl.gz", ".gz"),
        ("https://host/my%20rows.csv?sig=a.txt", "my rows.csv", ".csv"),
        ("s3://bucket", "bucket", ""),
    ],
)
def test_the_name_of_a_url_is_the_end_of_its_path(given: str, name: str, suffix: str) -> None:
    assert (Url(given).name, Url(given).suffix) == (name, suffix)


@pytest.mark.parametrize(
    "given",
    [" http://me:Zq@h/x", "\thttps://h/x?sig=Zq", "http:/me:Zq@h/x", "https:/h/x?sig=Zq",
     "simplecache::http://me:Zq@h/x", "simplecache::https://h/x", "zip://a/b.csv::http://me:Zq@h/x",
     "a b://me:Zq@h/x"],
)  # fmt: skip
def test_what_is_nearly_a_url_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(InvalidRequest, match="What looks like a URL cannot be read") as refused:
        location(given)
    assert "Zq" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["./http:/me:Zq@h/x", "/data/a:/b@c", "C:/data/me@home.jsonl", "a::b.jsonl", "me@home"]
)
def test_a_path_that_can_be_nothing_else_may_have_any_name(text: str) -> None:
    assert location(text) == Path(text)
