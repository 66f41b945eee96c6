"""A reinforcement job from the SDK's request to a model that is exported, trained for real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.server.jobs_of import client_of, job_body, jsonl, until, upload
from tests.server.serving import serving
from tests.training.jobs import MANY_E, TURNS, prompts

CONFIG = """
[base_models.base]
path = "{path}"
learning_rate = 5e-3
max_completion_tokens = 16
{more}
"""
HYPERPARAMETERS = {"n_epochs": 20, "batch_size": 4, "eval_interval": 20, "eval_samples": 2}


def curve(client: Any, job_id: str) -> list[float]:
    """The mean reward of each step, as the events have it."""
    events = list(client.fine_tuning.jobs.list_events(job_id, limit=100))
    data = [one.data for one in reversed(events) if one.type == "metrics"]
    assert [one["step"] for one in data] == list(range(1, len(data) + 1))
    return [one["train_reward_mean"] for one in data]


def test_the_reward_of_a_job_of_the_sdk_rises_and_its_model_is_exported(
    base: Path, tmp_path: Path
) -> None:
    (tmp_path / "graders.toml").write_text(CONFIG.format(path=base, more=""), encoding="utf-8")
    with serving(tmp_path, "--jobs", "store") as server, client_of(server) as client:
        untyped: Any = client
        job = untyped.fine_tuning.jobs.create(
            model="base",
            training_file=upload(untyped, prompts()),
            validation_file=upload(untyped, prompts(3)),
            seed=7,
            method={
                "type": "reinforcement",
                "reinforcement": {"grader": MANY_E, "hyperparameters": HYPERPARAMETERS},
            },
        )
        done = until(client, job.id, "succeeded")
        loaded = Path(f"/proc/{server.process.pid}/maps")
        assert not loaded.exists() or "torch" not in loaded.read_text()
        rewards = curve(client, job.id)
        assert len(rewards) == 40
        assert rewards[-1] > rewards[0] + 0.5
        kept = list(client.fine_tuning.jobs.checkpoints.list(job.id))
        assert [one.step_number for one in kept] == [40, 20]
        contents = [client.files.content(one).text for one in done.result_files]
        assert any(text.startswith("step,train_reward,valid_reward\n") for text in contents)
    export = [sys.executable, "-m", "graders_engine", "jobs", "export", job.id, "out"]
    subprocess.run([*export, "--jobs", "store"], cwd=tmp_path, check=True)
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(tmp_path / "out")


def test_a_format_that_no_grammar_keeps_fails_the_job_before_it_trains_and_another_is_kept(
    base: Path, tmp_path: Path
) -> None:
    (tmp_path / "graders.toml").write_text(CONFIG.format(path=base, more=""), encoding="utf-8")
    with serving(tmp_path, "--jobs", "store") as server, client_of(server) as client:
        untyped: Any = client
        files = {
            "training_file": upload(untyped, prompts(4)),
            "validation_file": upload(untyped, prompts(1)),
        }

        def created(schema: Any) -> Any:
            method = {
                "grader": {
                    **MANY_E,
                    "source": "def grade(s, i): return float(s['output_json']['n'])",
                },
                "hyperparameters": {"n_epochs": 1, "batch_size": 4},
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": schema, "strict": True},
                },
            }
            method = {"type": "reinforcement", "reinforcement": method}
            return untyped.fine_tuning.jobs.create(model="base", **files, seed=7, method=method)

        failed = until(client, created({"type": "string", "pattern": "(?=a)"}).id, "failed")
        assert failed.error.code == "invalid_response_format"
        assert failed.error.param == "method.reinforcement.response_format"
        assert "look-around" in failed.error.message
        schema = {
            "type": "object",
            "properties": {"n": {"type": "boolean"}},
            "required": ["n"],
            "additionalProperties": False,
        }
        done = until(client, created(schema).id, "succeeded")
        chosen = done.method.reinforcement.model_extra["response_format"]
        assert chosen["json_schema"] == {"name": "n", "schema": schema, "strict": True}
        contents = [client.files.content(one).text for one in done.result_files]
        (lines,) = [text.splitlines() for text in contents if text.startswith("{")]
        assert len(lines) == 34
        for line in lines:
            assert set(json.loads(json.loads(line)["sample"])) == {"n"}


def test_adapters_of_a_served_job_are_exported_as_a_model_of_their_own(
    base: Path, tmp_path: Path
) -> None:
    more = "lora = {r = 4, alpha = 8}"
    (tmp_path / "graders.toml").write_text(CONFIG.format(path=base, more=more), encoding="utf-8")
    with serving(tmp_path, "--jobs", "store") as server, client_of(server) as client:
        body = job_body(client, model="base")
        rows = [TURNS] * 12
        file: Any = client.files.create(file=("a.jsonl", jsonl(rows)), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(**{**body, "training_file": file.id})
        until(client, job.id, "succeeded")
    export = [sys.executable, "-m", "graders_engine", "jobs", "export", job.id, "out"]
    subprocess.run([*export, "--jobs", "store"], cwd=tmp_path, check=True)
    assert not (tmp_path / "out" / "adapter_config.json").exists()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert sum(one.numel() for one in model.parameters()) < 200_000
    AutoTokenizer.from_pretrained(tmp_path / "out")
