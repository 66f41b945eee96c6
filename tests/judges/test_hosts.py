"""Rows and keys go to the host that was meant, whatever graders.toml, the flags and the environment say."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders_engine import InvalidRequest
from graders_engine.models.config import Config, read_config
from graders_engine.models.credentials import authorisation
from graders_engine.models.judges import JudgeRegistry, JudgeSettings
from graders_engine.models.routes import embedding_settings, endpoint_settings

HERE = "http://127.0.0.1:9/v1"
THERE = "http://127.0.0.1:10/v1"
OPENAI = "https://api.openai.com/v1"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "usual")
    monkeypatch.setenv("OWN_KEY", "own")


def config_of(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "graders.toml"
    path.write_text(text)
    return read_config(path)


@pytest.mark.parametrize("setting", ['drop = ["temperature"]', 'structured = "text"', ""])
def test_a_default_table_without_an_address_is_asked_at_openai_base_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", HERE)
    config = config_of(tmp_path, f"[endpoints.default]\n{setting}\n")
    judges, (_, embeddings) = (
        endpoint_settings("default", None, config),
        embedding_settings("", {}, config),
    )
    assert judges is not None
    assert judges.root == embeddings.root == HERE
    assert (judges.drop, judges.structured) == (embeddings.drop, embeddings.structured)


def test_a_default_table_without_an_address_asks_openai_only_with_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, '[endpoints.default]\nstructured = "text"\n')
    settings = endpoint_settings("default", None, config)
    assert settings is not None
    assert settings.root == OPENAI
    monkeypatch.delenv("OPENAI_API_KEY")
    assert endpoint_settings("default", None, config) is None


def test_a_named_table_without_an_address_is_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path, '[endpoints.local]\nstructured = "text"\n')
    with pytest.raises(InvalidRequest, match="has no base_url"):
        endpoint_settings("local", None, config)
    with pytest.raises(InvalidRequest, match="has no base_url"):
        embedding_settings("local", {}, config)
    settings = endpoint_settings("local", HERE, config)
    assert settings is not None
    assert (settings.root, settings.structured) == (HERE, "text")


@pytest.mark.parametrize(
    ("table", "variable_address", "key"),
    [
        (f'base_url = "{HERE}"', "", None),
        (f'base_url = "{HERE}"', "http://127.0.0.1:9/other", "Bearer usual"),
        (f'base_url = "{HERE}"', THERE, None),
        (f'base_url = "{HERE}"\napi_key_env = "OWN_KEY"', "", "Bearer own"),
        (f'base_url = "{HERE}"\napi_key_env = "OPENAI_API_KEY"', "", "Bearer usual"),
        ('base_url = "https://api.openai.com/v1/"', "", "Bearer usual"),
        ('base_url = "http://api.openai.com/v1"', "", None),
        ('base_url = "https://api.openai.com.example/v1"', "", None),
    ],
)
def test_the_usual_key_goes_to_hosts_that_it_belongs_to(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    variable_address: str,
    key: str | None,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", variable_address)
    config = config_of(tmp_path, f"[endpoints.default]\n{table}\n")
    settings = endpoint_settings("default", None, config)
    assert settings is not None
    assert authorisation(settings, None).get("Authorization") == key


def test_another_host_that_is_typed_gets_no_key_of_the_table(tmp_path: Path) -> None:
    table = (
        f'[endpoints.default]\nbase_url = "{HERE}"\napi_key_env = "OWN_KEY"\ndrop = ["seed"]\n'
        'headers = { x-own = "own" }\nquery = { code = "own" }\nextra_body = { key = "own" }\n'
    )
    config = config_of(tmp_path, table)
    there, here = (endpoint_settings("default", url, config) for url in (THERE, HERE))
    assert there is not None
    assert here is not None
    assert authorisation(there, None) == {"Authorization": "Bearer usual"}
    assert (there.headers, there.query, there.extra_body) == ({}, {}, {})
    assert authorisation(here, None) == {"Authorization": "Bearer own"}
    assert here.headers == {"x-own": "own"}
    assert there.drop == here.drop == ("seed",)


def test_an_address_is_not_passed_over_for_an_endpoint_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "graders.toml"
    path.write_text(f'[endpoints.local]\nbase_url = "{HERE}"\n[models]\n"gpt-4" = "tiny@local"\n')

    def signature(address: str, **models: str) -> str:
        maps = {name.replace("_", "-"): target for name, target in models.items()}
        given = JudgeSettings(endpoints={"default": address}, config=path, models=maps)
        return JudgeRegistry(given).find("gpt-4").signature

    with pytest.raises(InvalidRequest, match="--map gpt-4=tiny asks it at the given address"):
        signature(THERE)
    assert "tiny" in signature(f"{HERE}/chat/completions")
    assert THERE in signature(THERE, gpt_4="tiny")
    assert HERE in signature(THERE, gpt_4="tiny@local")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[endpoints.a]\nheaders = { api-key = "sk-x" }', 'auth = "api-key"'),
        ('[endpoints.a]\nheaders = { Authorization = "Bearer sk-x" }', 'auth = "bearer"'),
        ('[models]\ngpt-4.1 = "tiny@local"', '"gpt-4.1" = "MODEL@ENDPOINT"'),
        ("[prices.gpt-4.1]\ninput = 1\noutput = 2", '[prices."gpt-4.1"]'),
        ('[endpoints.a]\nquery = "api-version=1"', 'write {api-version = "2024-10-21"}'),
        ("[endpoints.a]\nquery = { api-version = 2024-10-21 }", "the value in quotes"),
    ],
)
def test_a_mistake_in_the_file_says_how_it_is_written(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        config_of(tmp_path, text)
    assert told in str(refused.value)
    assert "sk-x" not in str(refused.value)


def test_headers_that_hold_no_key_stay(tmp_path: Path) -> None:
    config = config_of(tmp_path, '[endpoints.a]\nheaders = { Authorization = "Basic x", x = "y" }')
    assert config.endpoints["a"].headers == {"Authorization": "Basic x", "x": "y"}
