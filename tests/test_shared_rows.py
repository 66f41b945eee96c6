"""`python_isolation="worker"`, from the settings to the results: who may choose it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine, InvalidGrader
from graders_engine.cli.main import graders
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import DataSetError, RunStopped
from graders_engine.graders import python_source
from graders_engine.graders.base import RewardsDiffer, Services
from graders_engine.report.provenance import Provenance
from graders_engine.server.responses import NO_RETRY, refusal
from graders_engine.settings import EngineSettings
from graders_engine.settings_json import as_json, from_json
from tests.sandbox.pools import available

PLAIN = "def grade(sample, item):\n    return float(sample['output_text'] == item['answer'])\n"
LEAKY = (
    "import collections\n"
    "def grade(sample, item):\n"
    "    collections.seen = getattr(collections, 'seen', 0) + 1\n"
    "    return float(collections.seen)\n"
)
ROWS = [{"item": {"answer": str(k % 3), "number": k}, "model_sample": "1"} for k in range(200)]


def python(source: str) -> dict[str, Any]:
    return {"type": "python", "name": "p", "source": source}


@pytest.fixture
def _sandbox() -> None:
    if not available("auto"):
        pytest.skip("this machine has no sandbox")


@pytest.mark.usefixtures("_sandbox")
def test_rows_that_share_a_process_get_the_rewards_of_rows_that_do_not() -> None:
    with Engine() as alone, Engine(python_isolation="worker") as shared:
        expected = [row.reward for row in alone.score(python(PLAIN), ROWS[:30])]
        got = [row.reward for row in shared.score(python(PLAIN), ROWS)]
        assert got[:30] == expected
        assert got == [float(k % 3 == 1) for k in range(200)]
        response = shared.run(python(PLAIN), item={"answer": "x"}, model_sample="x")
        assert response.reward == 1.0


@pytest.mark.usefixtures("_sandbox")
def test_a_row_whose_reward_depends_on_the_rows_before_ends_the_run_with_both_numbers() -> None:
    with Engine(python_isolation="worker") as engine, pytest.raises(RewardsDiffer) as raised:
        list(engine.score(python(LEAKY), ROWS))
    text = str(raised.value)
    assert text.startswith("Row ")
    assert "in a process that the grader's rows share, and the reward 1.0 in a process of" in text
    assert isinstance(raised.value, RunStopped)


@pytest.mark.usefixtures("_sandbox")
def test_results_of_rows_that_change_each_other_are_marked_and_never_continued(
    tmp_path: Path,
) -> None:
    data, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    with Engine(python_isolation="worker") as engine:
        with pytest.raises(RunStopped, match="may be wrong, too"):
            score_file(engine, python(LEAKY), data, out)
        kept = out.read_bytes()
        assert kept
        with pytest.raises(DataSetError, match=r"cannot be continued.*may be wrong.*--overwrite"):
            score_file(engine, python(LEAKY), data, out)
    assert out.read_bytes() == kept
    shown = CliRunner().invoke(graders, ["report", str(out), "--no-html"])
    assert "any reward here may be wrong" in " ".join(shown.output.split())
    with Engine() as engine:
        with pytest.raises(DataSetError, match="may be wrong"):
            score_file(engine, python(LEAKY), data, out)
        assert score_file(engine, python(LEAKY), data, out, overwrite=True).rows == len(ROWS)
        assert score_file(engine, python(LEAKY), data, out).earlier == len(ROWS)


EXECUTING = [
    ("exec(sample['output_text'])", "exec"),
    ("f = eval", "eval"),
    ("compile('1', 'x', 'exec')", "compile"),
    ("import builtins as b; b.exec('1')", "builtins.exec"),
    ("__builtins__.eval('1')", "builtins.eval"),
    ("import runpy", "import runpy"),
    ("import pickle; pickle.loads(b'')", "pickle.loads"),
    ("import pickle as p; p.Unpickler(None)", "pickle.Unpickler"),
    ("from pickle import loads", "pickle.loads"),
    ("import marshal", "import marshal"),
    ("from ctypes import string_at", "from ctypes import"),
    ("import ctypes.util", "import ctypes.util"),
    ("import importlib; importlib.import_module(item)", "import_module with a computed name"),
    ("__import__(item['m'])", "__import__ with a computed name"),
    ("__import__('ctypes')", '__import__("ctypes")'),
    ("import importlib.util as u; u.spec_from_file_location('a', 'b')", "spec_from_file_location"),
    ("spec.loader.exec_module(m)", "exec_module"),
    ("import sympy; sympy.sympify(item)", "sympy.sympify"),
    ("from sympy.parsing.sympy_parser import parse_expr", "parse_expr"),
    ("from sympy.parsing import sympy_parser as p; p.parse_expr(item)", "sympy_parser.parse_expr"),
    ("from sympy.core.sympify import sympify", "sympify"),
    ("from importlib import import_module as f; f(item)", "import_module with a computed name"),
    ("from importlib import util; util.module_from_spec(None)", "module_from_spec"),
    ("__builtins__['eval']('1')", "__builtins__["),
    ("import timeit; timeit.timeit(item)", "timeit.timeit"),
    ("import pandas as pd; pd.eval(item)", "pandas.eval"),
    ("import yaml; yaml.load(item, Loader=yaml.Loader)", "yaml.load"),
    ("import sys; sys.path.append('.')", "sys.path"),
    ("import doctest; doctest.testfile('left')", "doctest.testfile"),
]
HARMLESS = [
    "import re; re.compile('a')",
    "import ast; ast.literal_eval('1')",
    "model.eval(); frame.eval('a + b')",
    "import json; json.loads('1')",
    "import pickle; pickle.dumps(1)",
    "import importlib; importlib.import_module('json')",
    "import subprocess; subprocess.run(['true'])",
    "import sympy; sympy.Rational(1, 3)",
    "evaluate = 1; execute = 2",
    "import yaml; yaml.load(item, yaml.SafeLoader); yaml.load(item, Loader=yaml.CSafeLoader)",
    "import timeit; timeit.default_timer(); import sys; sys.argv",
    "from os import path; path.exists(item)",
    "from json import load; load(item)",
    "global COUNT",
]


def in_grade(code: str) -> str:
    return f"def grade(sample, item):\n    {code}\n    return 1.0\n"


@pytest.mark.parametrize(("code", "named"), EXECUTING)
def test_a_source_that_executes_something_is_refused_with_its_name_and_line(
    code: str, named: str
) -> None:
    shared = Services(shared_rows=True)
    with pytest.raises(InvalidGrader) as raised:
        CompiledGrader(python(in_grade(code)), shared)
    (mistake,) = raised.value.mistakes
    assert named in mistake.message
    assert "(line 2)" in mistake.message
    assert "--trust-grader" in mistake.hint
    assert mistake.param == "source"
    CompiledGrader(python(in_grade(code)), Services())


@pytest.mark.parametrize("code", HARMLESS)
def test_a_source_that_executes_nothing_is_not_refused(code: str) -> None:
    assert python_source.inspect(in_grade(code)).executions == ()


@pytest.mark.parametrize("module", ["sympy", "sympy.parsing.sympy_parser"])
def test_all_names_of_a_module_are_imported_with_those_that_execute(module: str) -> None:
    source = f"from {module} import *\ndef grade(sample, item):\n    return parse_expr(item)\n"
    assert python_source.inspect(source).executions == ((f"{module}.parse_expr", 3),)
    assert python_source.inspect(source.replace("parse_expr", "Rational")).executions == ()


def test_a_long_source_is_read_like_a_short_one() -> None:
    long = in_grade("exec('1')") + "# long\n" * 2000
    assert python_source.inspect(long).executions == (("exec", 2),)


def test_all_mistakes_are_told_at_once() -> None:
    grader = {
        "type": "multi",
        "name": "m",
        "graders": {
            "a": python(in_grade("exec('1'); import marshal")),
            "b": python("def other(): pass"),
        },
        "calculate_output": "a + b + c",
    }
    with Engine(python_isolation="worker") as engine, pytest.raises(InvalidGrader) as raised:
        engine.compile(grader)
    params = [mistake.param for mistake in raised.value.mistakes]
    assert {"graders.a.source", "graders.b.source"} <= set(params)
    assert len(params) == 3
    message = next(m.message for m in raised.value.mistakes if m.param == "graders.a.source")
    assert "`exec` (line 2), `import marshal` (line 2)" in message


def test_run_refuses_it_too_and_trust_runs_it() -> None:
    with Engine(python_isolation="worker") as engine, pytest.raises(InvalidGrader):
        engine.run(python(in_grade("exec('1')")), item={}, model_sample="x")
    with Engine(python_isolation="worker", trust_source=True) as engine:
        engine.compile(python(in_grade("exec('1')")))
    with Engine() as engine:
        engine.compile(python(in_grade("exec('1')")))


def test_the_grader_cannot_choose_the_isolation() -> None:
    with Engine() as engine, pytest.raises(InvalidGrader):
        engine.compile({**python(PLAIN), "python_isolation": "worker"})


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"python_isolation": "thread"}, ValueError, "'call' or 'worker'"),
        ({"trust_source": 1}, TypeError, "True or False"),
    ],
)
def test_a_wrong_isolation_is_named(
    settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        EngineSettings(**settings)


def test_a_sandbox_of_ones_own_has_its_own_isolation() -> None:
    class Own:
        async def grade(self, *_: Any) -> Any: ...

        async def close(self) -> None: ...

    EngineSettings(sandbox=Own())
    with pytest.raises(ValueError, match="needs a sandbox by its name"):
        EngineSettings(sandbox=Own(), python_isolation="worker")


def test_processes_of_runs_and_jobs_get_the_isolation_of_the_server() -> None:
    sent = from_json(as_json(EngineSettings(python_isolation="worker", trust_source=True)))
    assert (sent.python_isolation, sent.trust_source) == ("worker", True)


def test_a_server_answers_it_with_both_rewards_and_asks_for_no_second_try() -> None:
    refused = refusal(RewardsDiffer("a row got the reward 1.0 and the reward 0.0"))
    assert refused is not None
    assert refused.status == 400
    assert refused.mistake.code == "rewards_differ"
    assert refused.mistake.message == "A row got the reward 1.0 and the reward 0.0"
    assert refused.headers == NO_RETRY


def files(folder: Path, source: str) -> list[str]:
    (folder / "grader.json").write_text(json.dumps(python(source)))
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    out = str(folder / "out.jsonl")
    return [
        "score",
        "--grader",
        f"@{folder}/grader.json",
        "--data",
        f"{folder}/rows.jsonl",
        "--out",
        out,
    ]


@pytest.mark.usefixtures("_sandbox")
def test_results_name_the_isolation_and_are_not_continued_under_the_other(tmp_path: Path) -> None:
    command = files(tmp_path, PLAIN)
    done = CliRunner().invoke(graders, [*command, "--python-isolation", "worker"])
    assert done.exit_code == 0, done.output
    assert "rows of a grader share a process" in done.output
    out = tmp_path / "out.jsonl"
    meta = json.loads((tmp_path / "out.jsonl.meta.json").read_text())
    assert meta["settings"]["python_isolation"] == "worker"
    assert ("python graders", "rows of a grader share a process") in list(
        Provenance(out, meta).facts()
    )
    other = CliRunner().invoke(graders, command)
    assert other.exit_code == 1, other.output
    assert "its python graders ran with --python-isolation worker" in other.output
    same = CliRunner().invoke(graders, [*command, "--python-isolation", "worker"])
    assert same.exit_code == 0, same.output
    again = CliRunner().invoke(graders, [*command, "--overwrite"])
    assert again.exit_code == 0
    assert "share a process" not in again.output
    assert "python_isolation" not in (tmp_path / "out.jsonl.meta.json").read_text()


@pytest.mark.usefixtures("_sandbox")
def test_score_ends_at_a_row_that_others_change_and_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(graders, [*files(tmp_path, LEAKY), "--python-isolation", "worker"])
    assert done.exit_code == 1, done.output
    assert "Row " in done.output
    assert "the reward 1.0 in a process of its own" in done.output
    assert "--python-isolation call" in done.output


def test_score_refuses_a_grader_that_executes_before_any_file_is_written(tmp_path: Path) -> None:
    command = [*files(tmp_path, in_grade("exec('1')")), "--python-isolation", "worker"]
    done = CliRunner().invoke(graders, command)
    assert done.exit_code == 2, done.output
    assert "--trust-grader" in done.output
    assert not (tmp_path / "out.jsonl").exists()
