"""What of this machine changes while a process answers, and what it tells of this machine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graders_engine.inference.client import LocalModels
from graders_engine.inference.errors import ModelLost, ModelUnavailable
from graders_engine.inference.gpu import leave
from graders_engine.inference.options import InferenceOptions
from graders_engine.inference.place import LOG, address_in
from graders_engine.inference.served import ServedModel
from tests.inference.conformance import Asked, text_of
from tests.inference.scripted import SCRIPTED, STARTED, TEXT
from tests.inference.waiting import until_free

WORDS = "One two three four."
SAY: dict[str, Any] = {"messages": [{"role": "user", "content": "say"}], "temperature": 0}


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / TEXT).write_text(WORDS)
    options = InferenceOptions(device="cpu", generator=SCRIPTED)
    model = ServedModel("scripted", tmp_path / "model", 64, "one")
    made = Asked(tmp_path / "store" / "inference", options, model)
    yield made
    leave(made.folder)
    until_free(made.folder)


def test_a_process_whose_socket_was_removed_is_followed_by_another_one(asked: Asked) -> None:
    assert text_of(asked.complete(**SAY)) == WORDS
    address = address_in(asked.folder)
    assert address is not None
    shutil.rmtree(Path(address.socket).parent)
    assert text_of(asked.complete(**SAY)) == WORDS
    assert len((asked.folder / STARTED).read_text().split()) == 2


def test_the_reason_names_no_path_of_this_machine_and_the_log_does(
    asked: Asked, tmp_path: Path
) -> None:
    lost = replace(asked.model, folder=tmp_path / "nowhere" / "model")
    with pytest.raises(ModelUnavailable) as caught:
        Asked(asked.folder, asked.options, lost).complete(**SAY)
    assert str(tmp_path) not in str(caught.value)
    assert str(tmp_path) in (asked.folder / LOG).read_text()


def test_a_process_that_cannot_start_says_nothing_that_others_have_printed(asked: Asked) -> None:
    asked.folder.mkdir(parents=True)
    (asked.folder / LOG).write_text("what another project asked\n")
    python = asked.folder / "python"
    python.write_text(f"#!/bin/sh\necho at {asked.folder}/it\nexit 3\n")
    python.chmod(0o700)
    models = LocalModels(asked.folder, replace(asked.options, python=str(python)))
    with pytest.raises(ModelUnavailable) as caught:
        asyncio.run(models.complete(asked.model, SAY))
    assert str(caught.value).endswith("The end of its log: at it")


def test_a_process_that_is_killed_as_it_begins_is_lost_and_may_be_asked_for_again(
    asked: Asked, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o700)
    asked.options = replace(asked.options, python=str(python))
    with pytest.raises(ModelLost, match="killed as it began"):
        asked.complete(**SAY)


def test_a_folder_that_cannot_be_used_is_no_answer(asked: Asked) -> None:
    asked.folder.parent.mkdir()
    asked.folder.touch()
    with pytest.raises(ModelUnavailable, match="cannot be used: File exists"):
        asked.complete(**SAY)
    asked.folder.unlink()
    assert text_of(asked.complete(**SAY)) == WORDS
