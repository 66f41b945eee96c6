"""Both generators do what every generator behind the port does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graders_engine.inference.options import InferenceOptions
from graders_engine.inference.served import ServedModel
from tests.inference.conformance import Asked, GeneratorConformance, process_in
from tests.inference.scripted import SCRIPTED, TEXT
from tests.inference.taught import WORDS


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("model")
    (folder / TEXT).write_text(WORDS)
    options = InferenceOptions(device="cpu", generator=SCRIPTED)
    model = ServedModel("scripted", folder, 64, "one")
    with process_in(tmp_path_factory.mktemp("store") / "inference", options, model) as asked:
        yield asked


@pytest.fixture(scope="module")
def tiny(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    options, model = InferenceOptions(device="cpu"), ServedModel("tiny", base, 128, "one")
    with process_in(tmp_path_factory.mktemp("store") / "inference", options, model) as asked:
        yield asked


class TestScripted(GeneratorConformance):
    @pytest.fixture
    def asked(self, scripted: Asked) -> Asked:
        return scripted


class TestTransformers(GeneratorConformance):
    @pytest.fixture
    def asked(self, tiny: Asked) -> Asked:
        return tiny
