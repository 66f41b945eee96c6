"""python graders end to end: real sandboxes, the flags, nothing counted that `grade` did not return."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine, InvalidGrader, InvalidRow, UnavailableGrader
from graders_engine.cli.main import graders
from graders_engine.compiled import CompiledGrader
from graders_engine.graders.base import Services
from graders_engine.sandbox import images
from graders_engine.sandbox.base import GradeResult, Limits, Program, SandboxUnavailable
from graders_engine.sandbox.ondemand import OnDemand
from graders_engine.sandbox.pool import Pool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandboxes are Linux's")


def python(source: str, **more: Any) -> dict[str, Any]:
    return {"type": "python", "name": "p", "source": source, **more}


EXACT = python(
    "def grade(sample, item):\n    return 1.0 if sample['output_text'] == item['label'] else 0.0\n"
)


@pytest.fixture(scope="module")
def module_engine() -> Any:
    with Engine(limits=Limits(wall_s=1.0, memory_bytes=256 << 20)) as opened:
        yield opened


def test_the_references_own_example_runs(module_engine: Engine) -> None:
    assert module_engine.run(EXACT, model_sample="cat", item={"label": "cat"}).reward == 1.0
    assert module_engine.run(EXACT, model_sample="dog", item={"label": "cat"}).reward == 0.0


@pytest.mark.parametrize(
    ("returned", "reward"),
    [
        ("2", 2.0),
        ("-0.2", -0.2),
        ("True", 1.0),
        ("5", 5.0),
        ("__import__('fractions').Fraction(1, 4)", 0.25),
    ],
)
def test_numbers_of_every_kind_go_through_unclamped(
    module_engine: Engine, returned: str, reward: float
) -> None:
    source = f"def grade(sample, item):\n    return {returned}\n"
    assert module_engine.run(python(source), model_sample="").reward == reward


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return None", "grade returned NoneType"),
        ("return '1.0'", "grade returned str"),
        ("return float('nan')", "nan"),
        ("return float('inf')", "inf"),
        ("return 1j", "grade returned complex"),
        ("return item['gone']", "KeyError: 'gone'"),
        ("import os; os._exit(0)", "exited with code 0 before grade returned"),
        ("import ctypes; ctypes.string_at(0)", "ended by SIGSEGV"),
        ("while True: pass", "killed after 1.0 s"),
        ("return len(bytearray(2_000_000_000))", "MemoryError"),
        ("import nosuch_module", "graders image build 2025-05-08"),
        ("import socket; socket.socket()", "The sandbox refuses this: there is no network"),
        ("[open('/dev/null') for _ in range(5000)]", "refuses this: few files can be open"),
        ("raise OSError(37, 'No locks available')", "refuses this: there are no file locks"),
    ],
)
def test_what_the_code_does_to_itself_is_its_own_failure(
    module_engine: Engine, body: str, words: str
) -> None:
    response = module_engine.run(
        python(f"def grade(sample, item):\n    {body}\n"), model_sample="x"
    )
    assert response.reward == 0.0
    assert response.metadata.errors.python_grader_runtime_error
    assert words in (response.metadata.errors.python_grader_runtime_error_details or "")
    assert not response.metadata.errors.python_grader_server_error


@pytest.mark.parametrize(
    "source",
    [
        "def grade(sample item):\n    pass\n",
        "x = 1\n",
        "def grade(sample):\n    return 1.0\n",
        "  def grade(s, i): pass",
    ],
)
def test_a_source_that_cannot_run_stops_score_and_fails_in_run(
    module_engine: Engine, source: str
) -> None:
    with pytest.raises(InvalidGrader):
        module_engine.validate(python(source))
    with pytest.raises(InvalidGrader):
        module_engine.score(python(source), [])
    response = module_engine.run(python(source), model_sample="x")
    assert response.reward == 0.0
    assert response.metadata.errors.python_grader_runtime_error_details


def test_a_source_that_is_too_long_is_never_run(module_engine: Engine) -> None:
    with pytest.raises(InvalidGrader, match="must stay below 262144"):
        module_engine.run(python("#" * 262_144), model_sample="x")


def test_the_code_sees_the_whole_sample_and_item(module_engine: Engine) -> None:
    source = (
        "def grade(sample, item):\n"
        "    assert list(sample)[:3] == ['choices', 'output_text', 'output_json'], list(sample)\n"
        "    assert sample['output_json'] == {'a': [1.5, None]} and sample['output_tools'] == []\n"
        "    assert sample['choices'][0]['message']['content'] == sample['output_text']\n"
        "    return item['weight']\n"
    )
    response = module_engine.run(
        python(source), model_sample='{"a": [1.5, null]}', item={"weight": 0.5, "odd": "\ud800"}
    )
    assert (response.reward, response.flags) == (0.5, {})
    source = (
        "def grade(sample, item):\n"
        "    return float(sample['output_json'] is None and sample['model'] == 'm')\n"
    )
    response = module_engine.run(python(source), sample={"output_text": "no JSON", "model": "m"})
    assert response.reward == 1.0


def test_rows_that_cannot_be_json_are_the_rows_fault(module_engine: Engine) -> None:
    values = (object(), math.nan, [math.inf], {"a": None, "b": -math.inf})
    rows = [{"item": {"label": value}, "model_sample": "x"} for value in values]
    assert [row.blame for row in module_engine.score(EXACT, rows)] == ["row"] * 4
    assert module_engine.run(EXACT, item={"label": None}, model_sample="null").reward == 0.0
    with pytest.raises(InvalidRow):
        module_engine.run(EXACT)


def test_scores_come_in_the_order_of_the_rows(module_engine: Engine) -> None:
    rows = [{"item": {"label": str(n % 3)}, "model_sample": "1"} for n in range(200)]
    graded = list(module_engine.score(EXACT, rows))
    assert [row.reward for row in graded] == [float(n % 3 == 1) for n in range(200)]


def test_the_guides_tool_and_gate_graders_work_in_a_multi(module_engine: Engine) -> None:
    gate = python(
        "def grade(sample, item):\n"
        "    print('checked')\n"
        "    return 0.0 if 'BAD' in sample['output_text'] else 1.0\n"
    )
    multi = {
        "type": "multi",
        "graders": {
            "forbidden_content": gate,
            "intent_accuracy": {
                "type": "string_check",
                "operation": "ilike",
                "input": "{{sample.output_text}}",
                "reference": "{{item.intent}}",
            },
            "broken": python("def grade(sample, item):\n    return item['gone']\n"),
        },
        "calculate_output": "min(forbidden_content, 0.3 + intent_accuracy * 0.7 + broken)",
    }
    response = module_engine.run(multi, model_sample="a refund", item={"intent": "REFUND"})
    assert response.reward == 1.0
    assert response.sub_rewards == {"forbidden_content": 1.0, "intent_accuracy": 1.0, "broken": 0.0}
    assert "broken: Traceback" in response.flags["python_grader_runtime_error"]
    assert response.printed["forbidden_content.stdout"] == "checked\n"


def test_without_a_sandbox_nothing_runs_and_nothing_is_a_zero() -> None:
    class Gone:
        async def grade(
            self, program: Program, sample_json: bytes, item_json: bytes
        ) -> GradeResult:
            raise SandboxUnavailable("no user namespaces, no Landlock")

        async def close(self) -> None:
            pass

    with Engine(sandbox=Gone()) as engine:
        response = engine.run(EXACT, model_sample="x", item={"label": "x"})
        multi = {"type": "multi", "graders": {"p": EXACT}, "calculate_output": "p"}
        within = engine.run(multi, model_sample="x", item={"label": "x"}).metadata.errors
        [row] = engine.score(EXACT, [{"item": {"label": "x"}, "model_sample": "x"}])
    assert response.metadata.errors.python_grader_server_error
    assert response.metadata.errors.python_grader_server_error_type == "sandbox_unavailable"
    assert within.python_grader_server_error_type == "sandbox_unavailable"
    assert (row.reward, row.status) == (None, "failed")
    with pytest.raises(UnavailableGrader, match="no sandbox"):
        _ = CompiledGrader(EXACT, Services()).evaluator


def test_no_sandbox_is_made_before_one_is_needed(string_check: dict[str, Any]) -> None:
    code = (
        "import sys, threading\n"
        "from graders_engine import Engine\n"
        "with Engine() as engine:\n"
        f"    engine.run({string_check!r}, model_sample='x', item={{'label': 'x'}})\n"
        "    print('graders_engine.sandbox.pool' in sys.modules)\n"
        f"    engine.run({EXACT!r}, model_sample='x', item={{'label': 'x'}})\n"
        "    print('graders_engine.sandbox.pool' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False\nTrue\n", done.stderr


def test_a_sandbox_is_closed_with_its_engine_and_says_so(string_check: dict[str, Any]) -> None:
    sandbox = OnDemand()
    with Engine(sandbox=sandbox) as engine:
        engine.run(string_check, model_sample="x", item={"label": "x"})
    with pytest.raises(SandboxUnavailable, match="has been closed"):
        asyncio.run(sandbox.grade(Program(EXACT["source"]), b"{}", b"{}"))


def test_an_unknown_sandbox_is_refused() -> None:
    with pytest.raises(ValueError, match="no sandbox named 'docker'"):
        Engine(sandbox="docker")


def test_an_image_that_is_not_built_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GRADERS_DATA", str(tmp_path))
    tagged = {**EXACT, "image_tag": "2025-05-08"}
    with Engine() as engine:
        [warning] = engine.validate(tagged).warnings
        assert warning.hint == "`graders image build 2025-05-08` builds it."
        assert engine.run(tagged, model_sample="a", item={"label": "a"}).reward == 1.0
        [unknown] = engine.validate({**EXACT, "image_tag": "mine"}).warnings
        assert "define it in graders.toml under [images.NAME]" in unknown.hint
    assert "the image '2025-05-08' is not built here" in caplog.text


def test_an_import_that_the_environment_lacks_is_a_warning(module_engine: Engine) -> None:
    source = "import os, json.decoder\nfrom nosuch.part import x\n" + EXACT["source"]
    [warning] = module_engine.validate(python(source)).warnings
    assert warning.message == "The source imports 'nosuch', which its environment does not have."


def test_a_slow_import_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with Engine(sandbox=Pool(concurrency=2, slow_import_s=-1.0)) as engine:
        rows = [{"item": {"label": "a"}, "model_sample": "a"}] * 20
        assert all(row.reward == 1.0 for row in engine.score(EXACT, rows))
    assert caplog.text.count("which every new worker pays") == 1


def run(*arguments: str, source: str = EXACT["source"]) -> Any:
    command = [
        "run",
        "--grader",
        json.dumps(python(source)),
        "--model-sample",
        "cat",
        "--item",
        "{label: cat}",
    ]
    return CliRunner().invoke(graders, [*command, "--field", "reward", *arguments])


def test_limits_and_tiers_are_flags() -> None:
    slow = "import time\ndef grade(sample, item):\n    time.sleep(5)\n"
    assert "killed after 0.3 s" in run("--limit", "wall_s=0.3", source=slow).stderr
    assert "there are wall_s, memory_bytes" in run("--limit", "wall=3").stderr
    assert "'x' is not a number of this kind" in run("--limit", "cpus=x").stderr
    assert "must be above zero" in run("--limit", "cpus=0").stderr
    assert "write NAME=VALUE" in run("--limit", "cpus").stderr
    without = run("--sandbox", "none")
    assert without.stdout == "1.0\n"
    assert "without a sandbox" in without.stderr


@pytest.mark.parametrize(
    ("sandbox", "words"),
    [
        ("none", "python graders ran WITHOUT a sandbox"),
        ("auto", "python graders ran in the sandbox "),
    ],
)
def test_a_report_says_what_kept_the_graded_code_in(
    tmp_path: Path, sandbox: str, words: str
) -> None:
    data, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    data.write_text('{"item": {"label": "a"}, "model_sample": "a"}\n')
    command = ["score", "--grader", json.dumps(EXACT), "--data", str(data), "--out", str(out)]
    ended = CliRunner().invoke(graders, [*command, "--sandbox", sandbox])
    assert words in ended.stdout
    assert "mean reward  1.0000" in ended.stdout
    again = CliRunner().invoke(graders, [*command, "--sandbox", sandbox])
    assert again.exit_code == 0


def test_what_was_printed_is_shown_when_asked_for() -> None:
    source = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n" + EXACT["source"]
    assert "out" not in run(source=source).stderr
    shown = run("--show-output", source=source).stderr
    assert "stdout:\nout\n" in shown
    assert "stderr:\nerr\n" in shown


def test_the_sandbox_command_proves_the_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINES", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    ended = CliRunner().invoke(graders, ["sandbox"])
    assert "self-test" in ended.stdout
    assert "FAILED" not in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80
    assert ended.exit_code == 0


def test_users_define_images_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADERS_DATA", str(tmp_path / "data"))
    (tmp_path / "graders.toml").write_text("[images.bare]\npackages = []\n")
    invoke = CliRunner().invoke
    assert "bare: not built" in invoke(graders, ["image", "list"]).stdout
    built = invoke(graders, ["image", "build", "bare"])
    assert built.exit_code == 0, built.stderr
    assert built.stdout.startswith("bare: Python 3.")
    with Engine() as engine:
        response = engine.run({**EXACT, "image_tag": "bare"}, model_sample="a", item={"label": "a"})
        assert (response.reward, response.flags) == (1.0, {})
    assert images.find("bare") is not None
    record = tmp_path / "data" / "images" / "bare" / "image.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "missing_data": ["punkt"]}))
    assert "without NLTK data: punkt" in invoke(graders, ["image", "list"]).stdout
    assert invoke(graders, ["image", "remove", "bare"]).exit_code == 0
    assert "no image 'bare' has been built" in invoke(graders, ["image", "remove", "bare"]).stderr
    assert "no image is called 'x'" in invoke(graders, ["image", "build", "x"]).stderr
    (tmp_path / "graders.toml").write_text("[images.bare]\npackage = []\n")
    assert "An image is a table [images.NAME]" in invoke(graders, ["image", "list"]).stderr
