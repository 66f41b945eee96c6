"""Samples are asked for as judges are: with the endpoint's key, limits, retries and budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evals.run.made import Bench, completions, counts, echo, settings_for, string_check
from tests.judges.judge_server import Asked, JudgeServer, Reply, answer, error, said

KEY = "sk-a-key-that-nobody-may-see-0123456789"


def test_a_key_is_sent_and_never_written(
    bench: Bench, server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "graders.toml"
    config.write_text(
        f'[endpoints.mine]\nbase_url = "{server.url}"\napi_key_env = "KEY_OF_MINE"\n'
        '[models]\n"asked-1" = "real-1@mine"\n'
    )
    monkeypatch.setenv("KEY_OF_MINE", KEY)
    bench.settings = settings_for(config=config)
    server.script = lambda asked: answer(said(f"your key is {KEY}"))
    done = bench.completed([string_check()], completions({"question": "?", "label": "?"}))
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.asked[0].body["model"] == "real-1"
    assert bench.items(done)[0]["sample"]["output"][0]["content"].startswith("your key is ")
    for path in bench.folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_a_crowded_endpoint_is_asked_again(bench: Bench, server: JudgeServer) -> None:
    turns: list[Asked] = []

    def script(asked: Asked) -> Reply:
        turns.append(asked)
        return error(429, "Too many.", Retry_After="0.01") if len(turns) % 2 else echo(asked)

    server.script = script
    bench.settings = settings_for(server, concurrency=1, adaptive=False)
    items = [{"question": f"q{n}", "label": f"q{n}"} for n in range(4)]
    done = bench.completed([string_check()], completions(*items))
    assert counts(done) == (4, 4, 0, 0)
    assert server.most_in_flight == 1


def test_a_spent_budget_ends_the_run_with_a_sentence(bench: Bench, server: JudgeServer) -> None:
    bench.settings = settings_for(server, max_tokens=120)
    items = [{"question": f"q{n}", "label": f"q{n}"} for n in range(20)]
    done = bench.finish(bench.run([string_check()], completions(*items)))
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "budget_spent"
    assert len(server.asked) <= 3


def test_what_is_refused_is_not_left_out(bench: Bench, server: JudgeServer) -> None:
    server.script = lambda asked: error(400, "Unsupported parameter: 'temperature'.")
    source = completions({"question": "?", "label": "?"}, sampling_params={"temperature": 0.5})
    done = bench.finish(bench.run([string_check()], source))
    assert (done.status, len(server.asked)) == ("failed", 1)  # no item got an answer
    assert done.error is not None
    assert "temperature" in done.error["message"]
