"""What judges read is not overwritten by what they, or a run with them, write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine import DataSetError, Engine
from graders_engine.dataset.scoring.score import require_apart, score_file
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.scripted import Scripted
from graders_engine.settings import EngineSettings
from tests.dataset.files import cats, write_rows
from tests.dataset.test_inputs_kept import listing


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", cats(10))


@pytest.fixture
def judged(tmp_path: Path) -> dict[str, Any]:
    return {
        "type": "score_model",
        "name": "judge",
        "model": "any",
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }


def judge_files(folder: Path) -> dict[str, dict[str, Any]]:
    """What a judge's settings read and write: by what is named, the settings, and then the file."""
    (folder / "graders.toml").write_text("")
    (folder / "replayed").mkdir()
    (folder / "replayed" / "transcript.jsonl").write_text("")
    return {
        "config": {"config": folder / "graders.toml"},
        "replay": {"replay": folder / "replayed"},
    }


@pytest.mark.parametrize("what", ["config", "replay"])
def test_what_judges_read_is_an_input_as_well(
    what: str, judged: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    settings = judge_files(tmp_path)[what]
    (path,) = settings.values()
    out = path / "transcript.jsonl" if path.is_dir() else path
    with (
        Engine(judges=JudgeSettings(endpoints={"default": Scripted(0.5)}, **settings)) as engine,
        pytest.raises(DataSetError, match="cannot be the results as well"),
    ):
        score_file(engine, judged, data, out, overwrite=True)
    assert out.read_text() == ""


@pytest.mark.parametrize(
    ("named", "cache"),
    [
        ({"config": "replies"}, "replies"),
        ({"config": "replies-wal"}, "replies"),
        ({"config": "replies-shm"}, "replies"),
        ({"config": "replies-journal"}, "replies"),
        ({"replay": "."}, "transcript.jsonl"),
    ],
)
def test_the_cache_of_replies_overwrites_nothing_that_judges_read(
    named: dict[str, str], cache: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {role: tmp_path / name for role, name in named.items()}
    with pytest.raises(DataSetError, match="cannot be the cache of replies as well"):
        Engine(judges=JudgeSettings(**settings, cache=tmp_path / cache))


OUTPUT_PAIRS: list[tuple[str, dict[str, str]]] = [
    ("out.jsonl", {"cache": "out.jsonl"}),
    ("out.jsonl", {"cache": "out.jsonl.index.sqlite"}),
    ("out.jsonl", {"cache": "out.jsonl.meta.json"}),
    ("out.jsonl-wal", {"cache": "out.jsonl"}),
    ("transcript.jsonl", {"record": "."}),
    ("out.parquet", {"cache": "out.parquet.jsonl"}),
]


@pytest.mark.parametrize(("out", "written"), OUTPUT_PAIRS)
def test_two_outputs_are_never_the_same_file(
    out: str, written: dict[str, str], judged: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    ((role, name),) = written.items()
    before = listing(tmp_path)
    place: dict[str, Any] = {role: tmp_path / name}
    settings = JudgeSettings(endpoints={"default": Scripted(0.5)}, **place)
    with Engine(judges=settings) as engine:
        with pytest.raises(DataSetError, match="as well"):
            score_file(engine, judged, data, tmp_path / out, overwrite=True)
        assert listing(tmp_path) == before


def test_a_transcript_with_a_line_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    from graders_engine import InvalidRequest
    from graders_engine.models.recorded import Transcript

    path = tmp_path / "transcript.jsonl"
    for content in (b"my notes", b'{"item": 1}', b'{"keys"'):
        path.write_bytes(content)
        with pytest.raises(InvalidRequest, match="line 1, is not an exchange"):
            Transcript(tmp_path)
        assert path.read_bytes() == content
    path.write_bytes(b'{"key":"cut o')  # by a kill
    Transcript(tmp_path).close()
    assert path.read_bytes() == b""


def test_the_files_of_embeddings_are_inputs_as_well(
    string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    vectors = tmp_path / "vectors"
    vectors.mkdir()
    (vectors / "config.json").write_text("{}")
    settings = EngineSettings(embeddings=f"model2vec:{vectors}")
    with pytest.raises(DataSetError, match="is a file of the embeddings"):
        require_apart(settings, [vectors / "config.json"], data)
