"""The exported folders do what they say: the container's command serves, and the handler grades."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine, NoReward, __version__
from tests import forked
from tests.judges.judge_server import error, judge_server, verdict
from tests.server.serving import running
from tests.server.test_limits import ONLINE, OTHERS

SAME: dict[str, Any] = {
    "type": "string_check",
    "name": "same",
    "input": "{{sample.output_text}}",
    "reference": "{{item.reference_answer.text}}",
    "operation": "eq",
    "pass_threshold": 0.5,
}
NUMBER = {**SAME, "name": "number", "input": "{{sample.output_json.n}}"}
MULTI = {
    "type": "multi",
    "name": "mix",
    "graders": {"same": SAME, "number": NUMBER},
    "calculate_output": "same + number",
}
JUDGE = {
    "type": "score_model",
    "name": "judge",
    "model": "gpt-x",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
}


def export(
    folder: Path, kind: str, grader: dict[str, Any], *flags: str
) -> subprocess.CompletedProcess[str]:
    (folder / "given.json").write_text(json.dumps(grader))
    words = ["export", kind, "--grader", "@given.json", *(flags or ("--out", "out"))]
    return forked.graders(*words, folder=folder)


def instructions(folder: Path, name: str) -> Iterator[str]:
    for line in (folder / "Dockerfile").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == name:
            yield rest


def test_azures_container_answers_the_endpoint_grader_beside_it(tmp_path: Path) -> None:
    ended = export(tmp_path, "azure-endpoint", SAME)
    assert ended.returncode == 0, ended.stderr
    out = tmp_path / "out"
    assert f'"graders-engine[server]=={__version__}"' in next(instructions(out, "RUN"))
    (copied,) = instructions(out, "COPY")
    assert shlex.split(copied)[0] == "grader.json"
    (command,) = instructions(out, "CMD")
    program, *flags = json.loads(command)
    assert program == "graders"
    refused = subprocess.run(
        [sys.executable, "-m", "graders_engine", *flags],
        cwd=out, capture_output=True, text=True, timeout=60, check=False, env=OTHERS,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "GRADERS_API_KEY" in refused.stderr
    flags[flags.index("--port") + 1] = "0"
    started = [sys.executable, "-m", "graders_engine", *flags]
    environment = {"GRADERS_API_KEY": "sk-export", ONLINE: "1"}
    text = (out / "endpoint-grader.json").read_text().replace("${GRADERS_API_KEY}", "sk-export")
    endpoint = json.loads(text)
    assert (endpoint["type"], endpoint["pass_threshold"]) == ("endpoint", 0.5)
    with running(out, started, environment) as server, Engine(allow_endpoints=True) as engine:
        endpoint["url"] = f"http://127.0.0.1:{server.port}/reward"
        for said in ("4", "5"):
            item = {"reference_answer": {"text": "4"}}
            due = engine.run(SAME, item=item, model_sample=said)
            assert engine.run(endpoint, item=item, model_sample=said).reward == due.reward
        lacking = engine.run(endpoint, item={}, model_sample="4")
        assert lacking.metadata.errors.endpoint_grader_server_error


def test_the_address_may_be_given(tmp_path: Path) -> None:
    flags = ("--out", "out", "--url", "https://rewards.example")
    assert export(tmp_path, "azure-endpoint", SAME, *flags).returncode == 0
    written = json.loads((tmp_path / "out" / "endpoint-grader.json").read_text())
    assert written["url"] == "https://rewards.example"


@pytest.mark.parametrize(
    ("grader", "flags", "says"),
    [
        (SAME, ("--url", "rewards.example"), "is not a URL"),
        ({**SAME, "operation": "equals"}, (), "equals"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_writes_nothing(
    tmp_path: Path, grader: dict[str, Any], flags: tuple[str, ...], says: str
) -> None:
    ended = export(tmp_path, "azure-endpoint", grader, "--out", "out", *flags)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert not (tmp_path / "out").exists()


def test_other_files_are_replaced_only_when_that_is_said(tmp_path: Path) -> None:
    assert export(tmp_path, "bedrock-lambda", SAME).returncode == 0
    assert export(tmp_path, "bedrock-lambda", SAME).returncode == 0
    (tmp_path / "out" / "Dockerfile").write_text("FROM mine\n")
    refused = export(tmp_path, "bedrock-lambda", MULTI)
    assert refused.returncode == 2
    assert "Dockerfile" in refused.stderr
    assert json.loads((tmp_path / "out" / "grader.json").read_text()) == SAME
    assert export(tmp_path, "bedrock-lambda", MULTI, "--out", "out", "--overwrite").returncode == 0
    assert json.loads((tmp_path / "out" / "grader.json").read_text()) == MULTI


def test_the_given_file_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "grader.json").symlink_to(tmp_path / "given.json")
    refused = export(tmp_path, "bedrock-lambda", SAME, "--out", ".", "--overwrite")
    assert refused.returncode == 1
    assert json.loads((tmp_path / "given.json").read_text()) == SAME


def test_a_source_in_a_file_of_its_own_is_part_of_the_exported_grader(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("def grade(sample, item):\n    return 0.25\n")
    grader = {"type": "python", "name": "p", "source": "@code.py"}
    assert export(tmp_path, "bedrock-lambda", grader).returncode == 0
    exported = json.loads((tmp_path / "out" / "grader.json").read_text())
    assert exported["source"].startswith("def grade")


def handler_of(folder: Path, grader: dict[str, Any]) -> Any:
    ended = export(folder, "bedrock-lambda", grader)
    assert ended.returncode == 0, ended.stderr
    (started,) = instructions(folder / "out", "CMD")
    name, _, function = json.loads(started)[0].partition(".")
    copied = shlex.split(next(instructions(folder / "out", "COPY")))[:-1]
    assert all((folder / "out" / file).is_file() for file in copied)
    spec = importlib.util.spec_from_file_location(name, folder / "out" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, function)


def row(answer: Any, **fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": answer}]
    return {"id": "7", "messages": turns, **fields}


ANSWER = {"text": "4"}


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return handler_of(tmp_path_factory.mktemp("same"), SAME)


def test_the_handler_grades_the_rows_of_sagemaker_and_of_bedrock(tmp_path: Path) -> None:
    handler = handler_of(tmp_path, MULTI)
    event = [
        row("4", reference_answer=ANSWER),
        {**row('{"n": "4"}', metadata={"reference_answer": ANSWER}), "id": 8},
        row([{"type": "text", "text": "5"}], reference_answer=ANSWER),
        row("", reference_answer=ANSWER),
    ]
    results = json.loads(json.dumps(handler(event, None)))
    assert [(one["id"], one["aggregate_reward_score"]) for one in results] == [
        ("7", 1.0), (8, 1.0), ("7", 0.0), ("7", 0.0),
    ]  # fmt: skip
    metrics = [{m["name"]: m["value"] for m in one["metrics_list"]} for one in results]
    assert metrics[1] == {
        "scored": 1.0, "invalid": 0.0, "failed": 0.0, "same": 0.0, "number": 1.0,
    }  # fmt: skip
    assert "number" not in metrics[0]
    assert {m["type"] for one in results for m in one["metrics_list"]} == {"Metric"}
    assert handler([], None) == []


def test_a_row_that_lacks_what_a_template_names_ends_the_invocation(same: Any) -> None:
    with pytest.raises(NoReward, match="reference_answer"):
        same([row("4", reference_answer=ANSWER), row("4")], None)


def test_an_outage_ends_the_invocation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with judge_server() as judge:
        monkeypatch.setenv("OPENAI_BASE_URL", judge.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-j")
        handler = handler_of(tmp_path, JUDGE)
        judge.answers(verdict(0.5))
        assert handler([row("4")], None)[0]["aggregate_reward_score"] == 0.5
        judge.script = lambda asked: (
            error(400, "no such model") if "bad" in asked.text else verdict(1)
        )
        with pytest.raises(NoReward):
            handler([row("good"), row("bad")], None)


@pytest.mark.parametrize(
    "event",
    [
        {},
        row("4"),
        [4],
        [{"messages": []}],
        [{"id": 1}],
        [{"id": 1, "messages": []}],
        [{"id": 1, "messages": [{"role": "user", "content": "2+2?"}]}],
        [{"id": 1, "messages": "4"}],
    ],
    ids=str,
)
def test_an_event_of_another_form_is_an_error(same: Any, event: Any) -> None:
    with pytest.raises(ValueError, match=r"event|messages"):
        same(event, None)
