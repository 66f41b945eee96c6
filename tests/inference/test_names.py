"""Which models a name stands for, and for whom."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from graders_engine.inference.names import NotDownloaded, find_served, listed_models
from graders_engine.inference.served import ServedModel
from graders_engine.jobs.place import MODEL
from graders_engine.models.tables.training import BaseModel
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from tests.inference.tuned import names_of, trained_job
from tests.jobs.models import make_model


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def bases(tmp_path: Path) -> dict[str, BaseModel]:
    folder = make_model(tmp_path / "tiny")
    return {
        "Qwen/tiny": BaseModel(str(folder), max_completion_tokens=7),
        "gone": BaseModel(str(tmp_path / "gone")),
    }


def listed(store: Store, bases: dict[str, BaseModel], project: str) -> list[str]:
    return [row.name for row in listed_models(store, bases, project)]


def served(store: Store, project: str, name: str) -> ServedModel | None:
    return find_served(store, {}, project, name)


def test_base_models_are_for_every_project_as_long_as_they_are_there(
    store: Store, bases: dict[str, BaseModel], tmp_path: Path
) -> None:
    for project in ("default", "other"):
        found = find_served(store, bases, project, "Qwen/tiny")
        assert found is not None
        assert (found.name, found.folder) == ("Qwen/tiny", tmp_path / "tiny")
        assert found.max_completion_tokens == 7
        assert find_served(store, bases, project, "gone") is None
        assert listed(store, bases, project) == ["Qwen/tiny"]


def test_a_tuned_model_and_its_checkpoints_are_their_projects(store: Store) -> None:
    job = trained_job(store)
    for name, step in zip(names_of(job), (10, 5, 10), strict=True):
        found = served(store, "default", name)
        assert found is not None
        assert found.name == name
        assert found.folder == store.job_folder(job.id) / f"step-{step}" / MODEL
        assert found.max_completion_tokens == 40
        assert served(store, "other", name) is None
    assert sorted(listed(store, {}, "default")) == sorted(names_of(job))
    assert listed(store, {}, "other") == []


def test_a_permission_opens_exactly_its_name_to_exactly_its_project(store: Store) -> None:
    job = trained_job(store)
    names = names_of(job)
    for shared in names:
        (permission,) = store.permissions.add(shared, ["other"])
        for name in names:
            assert (served(store, "other", name) is not None) == (name == shared)
            assert served(store, "third", name) is None
        assert listed(store, {}, "other") == [shared]
        assert store.permissions.delete(shared, permission.id)
        assert served(store, "other", shared) is None
        assert listed(store, {}, "other") == []


def test_of_two_models_of_one_name_a_permission_opens_that_of_its_job(store: Store) -> None:
    one, other = trained_job(store, "a"), trained_job(store, "b")
    model, *_ = names_of(one)
    assert store.jobs.note(other.id, fine_tuned_model=model)
    store.permissions.add(model, ["c"])
    for project, job in (("a", one), ("b", other), ("c", one)):
        found = served(store, project, model)
        assert found is not None
        assert found.folder.is_relative_to(store.job_folder(job.id))
    assert store.jobs.delete("a", one.id)
    assert served(store, "c", model) is None
    assert not store.permissions.page(model, Page()).data


def test_a_job_that_works_has_checkpoints_and_no_model(store: Store) -> None:
    job = trained_job(store, status="running")
    model, first, last = names_of(job)
    assert served(store, "default", model) is None
    assert served(store, "default", first) is not None
    assert listed(store, {}, "default") == [first, last]


def test_a_model_whose_weights_are_gone_is_none(store: Store) -> None:
    job = trained_job(store)
    model, first, last = names_of(job)
    shutil.rmtree(store.job_folder(job.id) / "step-10")
    assert served(store, "default", model) is None
    assert served(store, "default", last) is None
    for file in (store.job_folder(job.id) / "step-5" / MODEL).iterdir():
        file.unlink()
    assert served(store, "default", first) is None
    assert listed(store, {}, "default") == []


def test_the_identity_changes_with_the_weights_and_with_nothing_else(
    store: Store, bases: dict[str, BaseModel], tmp_path: Path
) -> None:
    def identity(name: str) -> str:
        found = find_served(store, bases, "default", name)
        assert found is not None
        return found.identity

    model, first, last = names_of(trained_job(store))
    assert identity(model) == identity(last) != identity(first)
    base = identity("Qwen/tiny")
    assert identity("Qwen/tiny") == base
    file = tmp_path / "tiny" / "model.safetensors"
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert identity("Qwen/tiny") != base


def test_the_identity_of_adapters_changes_with_the_model_that_they_belong_to(
    store: Store, tmp_path: Path
) -> None:
    job = trained_job(store)
    base = make_model(tmp_path / "base")
    weights = store.job_folder(job.id) / "step-10" / MODEL
    (weights / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    model, *_ = names_of(job)
    before = served(store, "default", model)
    (base / "more.safetensors").write_bytes(b"")
    after = served(store, "default", model)
    assert before is not None
    assert after is not None
    assert before.identity != after.identity
    shutil.rmtree(base)
    assert served(store, "default", model) is not None  # whoever loads it says what it lacks


def test_a_model_of_the_hub_is_where_its_package_keeps_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    bases = {
        "q": BaseModel(hub="Qwen/Qwen3-1.7B"),
        "pinned": BaseModel(hub="Qwen/Qwen3-1.7B", revision="abc"),
    }
    with pytest.raises(NotDownloaded, match=r"`hf download Qwen/Qwen3-1.7B --revision abc`"):
        find_served(store, bases, "default", "pinned")
    kept = tmp_path / "hf" / "hub" / "models--Qwen--Qwen3-1.7B"
    make_model(kept / "snapshots" / "abc")
    (kept / "refs").mkdir()
    pinned = find_served(store, bases, "default", "pinned")
    assert pinned is not None
    assert pinned.folder == kept / "snapshots" / "abc"
    with pytest.raises(NotDownloaded, match="is not on this machine yet"):
        find_served(store, bases, "default", "q")
    (kept / "refs" / "main").write_text("abc")
    found = find_served(store, bases, "default", "q")
    assert found is not None
    assert found.folder == pinned.folder
    assert listed(store, bases, "default") == ["q", "pinned"]


def test_a_name_in_graders_toml_comes_before_that_of_a_tuned_model(
    store: Store, tmp_path: Path
) -> None:
    model, *_ = names_of(trained_job(store))
    bases = {model: BaseModel(str(make_model(tmp_path / "tiny")))}
    found = find_served(store, bases, "default", model)
    assert found is not None
    assert found.folder == tmp_path / "tiny"
    assert listed(store, bases, "default").count(model) == 1


def test_the_folder_of_a_model_is_whole_where_the_stores_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Store(Path("store")) as store:
        found = served(store, "default", names_of(trained_job(store))[0])
    assert found is not None
    assert found.folder.is_absolute()
