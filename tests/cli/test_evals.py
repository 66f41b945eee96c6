"""`graders evals` works on a folder of evals, whether a server has it or not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from graders_engine.evals.run.page import page_of
from graders_engine.report.width import columns_of
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from tests import forked
from tests.dataset.evals_service import EVALS, ITEMS, RUNS
from tests.judges.judge_server import judge_server
from tests.server.serving import Server, eventually, serving

MATCH: dict[str, Any] = {
    "type": "string_check",
    "name": "match",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}
SLOW: dict[str, Any] = {
    "type": "python",
    "name": "slow",
    "source": "import time\ndef grade(sample, item):\n    time.sleep(0.5)\n    return 1.0\n",
}
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
}
ROWS = [
    {"item": {"label": "cat"}, "model_sample": "cat"},
    {"item": {"label": "dog"}, "sample": {"output_text": "cat"}},
    {"label": "emu", "model_sample": "emu"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "eval.json", [eval_body(MATCH)])
    write(tmp_path / "rows.jsonl", ROWS)
    write(tmp_path / "export.jsonl", [*EVALS, *RUNS, *ITEMS])
    return tmp_path


def eval_body(*criteria: dict[str, Any]) -> dict[str, Any]:
    config = {"type": "custom", "item_schema": SCHEMA, "include_sample_schema": True}
    return {"name": "labels", "data_source_config": config, "testing_criteria": list(criteria)}


def write(path: Path, objects: Sequence[Any]) -> None:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in objects), encoding="utf-8")


def graders(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return forked.graders(*arguments, folder=folder, environment={**os.environ, **environment})


def evals(folder: Path, verb: str, *arguments: str, **environment: str) -> str:
    """What a command prints that ends well."""
    ended = graders(folder, "evals", verb, *arguments, "--jobs", "store", **environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def run_of(folder: Path, *arguments: str, eval_name: str = "eval.json") -> dict[str, Any]:
    printed = evals(folder, "run", eval_name, "--data", "rows.jsonl", "--json", *arguments)
    whole: dict[str, Any] = json.loads(printed)
    return whole


def imported(folder: Path) -> None:
    ended = graders(folder, "import", "evals", "export.jsonl", "--into", "store")
    assert ended.returncode == 0, ended.stderr


def test_an_eval_of_a_file_is_run_and_kept(folder: Path) -> None:
    printed = evals(folder, "run", "eval.json", "--data", "rows.jsonl", "--name", "first")
    assert "pass rate   66.7 %  of 3 graded" in printed
    assert "match   66.7 %  2 passed, 1 failed" in printed
    assert '1         {"label":"dog"}\n  output  cat\n  failed  match: 0' in printed
    (run_id,) = set(re.findall(r"evalrun_[0-9a-f]{32}", printed))
    listed = evals(folder, "list")
    assert f"{run_id}  completed" in listed
    assert "66.7 %  2/3  first" in listed
    assert "labels" in listed
    shown = evals(folder, "show", run_id[:20])
    assert shown.strip() == printed.partition("\n\nkept in")[0].strip()


def test_a_threshold_that_no_score_reaches_is_said(folder: Path) -> None:
    near = {
        **{key: MATCH[key] for key in ("input", "reference")}, "type": "text_similarity",
        "name": "near", "evaluation_metric": "fuzzy_match", "pass_threshold": 80,
    }  # fmt: skip
    write(folder / "eval.json", [eval_body(MATCH, near)])
    arguments = ("run", "eval.json", "--data", "rows.jsonl", "--jobs", "store", "--json")
    ended = graders(folder, "evals", *arguments)
    sentence = "'near': no item can pass, as its pass_threshold is 80 and its highest score 1."
    assert f"warning: the criterion {sentence}" in " ".join(ended.stderr.split())
    run = json.loads(ended.stdout)
    assert run["result_counts"]["passed"] == 0
    assert sentence in " ".join(evals(folder, "show", run["eval_id"]).split())


def test_a_row_that_names_a_key_twice_is_said_and_the_last_value_counts(folder: Path) -> None:
    (folder / "rows.jsonl").write_text('{"label": "cat", "label": "dog", "model_sample": "dog"}\n')
    arguments = ("run", "eval.json", "--data", "rows.jsonl", "--jobs", "store", "--json")
    ended = graders(folder, "evals", *arguments)
    assert "note: 1 row of rows.jsonl" in " ".join(ended.stderr.split())
    assert "such as `label` on line 1: the last value counts" in " ".join(ended.stderr.split())
    assert json.loads(ended.stdout)["result_counts"]["passed"] == 1


def test_equal_files_make_one_eval_and_keep_equal_rows_once(folder: Path) -> None:
    first, second = run_of(folder), run_of(folder)
    assert first["eval_id"] == second["eval_id"]
    assert first["data_source"] == second["data_source"]
    write(folder / "eval.json", [eval_body({**MATCH, "operation": "like"})])
    assert run_of(folder)["eval_id"] != first["eval_id"]


@pytest.mark.parametrize(("limit", "code"), [("0.6", 0), ("0.7", 3)])
def test_a_pass_rate_below_the_limit_has_an_exit_code(limit: str, code: int, folder: Path) -> None:
    ended = graders(
        folder, "evals", "run", "eval.json", "--data", "rows.jsonl", "--jobs", "store",
        "--quiet", "--fail-under", limit,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ("The pass rate is 0.6667, lower than --fail-under 0.7." in ended.stderr) == (code == 3)


@pytest.mark.parametrize(
    ("limits", "code", "said"),
    [
        (("--fail-under", "0.5"), 0, "warning: 1 of 4 items are errored, and so in no rate"),
        (("--max-errored", "20%"), 3, "1 of 4 items are errored, more than --max-errored 20%."),
        (("--max-errored", "25%", "--fail-under", "0.5"), 0, ""),
    ],
)
def test_items_in_no_rate_are_limited_or_said(
    limits: tuple[str, ...], code: int, said: str, folder: Path
) -> None:
    write(folder / "rows.jsonl", [*ROWS, {"item": {"label": "yak"}}])
    arguments = ("run", "eval.json", "--data", "rows.jsonl", "--jobs", "store", "--quiet", *limits)
    ended = graders(folder, "evals", *arguments)
    assert ended.returncode == code
    assert said in ended.stderr
    assert bool(said) == ("errored" in ended.stderr)


def test_a_model_is_asked_and_its_messages_are_remembered(folder: Path) -> None:
    write(folder / "rows.jsonl", [{"item": {"label": "hello"}}, {"label": "score 7"}])
    with judge_server() as server:
        server.script = said_back
        flags = ("--base-url", server.url, "--no-cache", "--judge-model", "judges-alone")
        messages = '[{role: user, content: "{{item.label}}"}]'
        first = run_of(folder, "--model", "m", "--messages", messages, *flags)
        again = run_of(folder, "--model", "m2", *flags)
        assert {asked.body["model"] for asked in server.asked} == {"m", "m2"}
    for whole, model in ((first, "m"), (again, "m2")):
        assert whole["result_counts"] == {"total": 2, "passed": 2, "failed": 0, "errored": 0}
        assert whole["model"] == model
        assert whole["data_source"]["input_messages"]["type"] == "template"


def said_back(asked: Any) -> Any:
    from tests.judges.judge_server import answer, said

    return answer(said(asked.body["messages"][-1]["content"]))


@pytest.mark.parametrize(
    ("arguments", "rows", "sentence"),
    [
        (["--model", "m"], ROWS, "--model needs --messages, as no earlier run"),
        (["--messages", "item.m"], ROWS, "--messages needs --model NAME"),
        (["--model", "m", "--messages", "itm.x"], ROWS, "Invalid type for '--messages[0]'"),
        (["--model", "m", "--messages", "item.m"], ROWS, "The model 'm' has no endpoint."),
        (
            ["--model", "m", "--messages", "item.m", "--sampling-params", "{temperature: 9}"],
            ROWS,
            "Invalid '--sampling-params.temperature': decimal above maximum value.",
        ),
        ([], [{"item": {"label": 3}, "model_sample": "x"}], "line 1 of rows.jsonl: "),
        ([], ["no object"], "line 1: "),
        ([], [], "rows.jsonl has no rows."),
    ],
)
def test_what_cannot_be_run_is_refused_before_it_begins(
    arguments: list[str], rows: list[Any], sentence: str, folder: Path
) -> None:
    write(folder / "rows.jsonl", rows)
    ended = graders(
        folder, "evals", "run", "eval.json", "--data", "rows.jsonl", "--jobs", "store", *arguments
    )
    assert ended.returncode in (1, 2)
    assert sentence in ended.stderr
    assert "no runs" in evals(folder, "list")
    with Store(folder / "store") as store:
        assert not store.files.page("default", Page()).data


def test_a_judge_that_is_nowhere_is_refused_before_it_begins(folder: Path) -> None:
    judge = {"type": "score_model", "name": "j", "model": "m"}
    judge["input"] = [{"role": "user", "content": "{{sample.output_text}}"}]  # type: ignore[assignment] # JSON
    write(folder / "eval.json", [eval_body(judge)])
    ended = graders(
        folder, "evals", "run", "eval.json", "--data", "rows.jsonl", "--jobs", "store",
        OPENAI_API_KEY="", OPENAI_BASE_URL="",
    )  # fmt: skip
    assert ended.returncode == 2
    assert "The criterion 'j' of this eval: " in ended.stderr


def test_ctrl_c_cancels_the_run_and_keeps_what_is_graded(folder: Path) -> None:
    write(folder / "eval.json", [eval_body(SLOW)])
    write(
        folder / "rows.jsonl",
        [{"item": {"label": f"{n}"}, "model_sample": "x"} for n in range(400)],
    )
    command = ["evals", "run", "eval.json", "--data", "rows.jsonl", "--jobs", "store"]
    with subprocess.Popen(
        [sys.executable, "-m", "graders_engine", *command], cwd=folder, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        store = None

        def has_results() -> bool:
            nonlocal store
            if not (folder / "store" / "store.sqlite3").exists():
                return False
            store = store or Store(folder / "store")
            runs = store.runs.with_status("in_progress")
            return bool(runs) and runs[0].result.get("result_counts", {}).get("total", 0) > 0

        assert eventually(has_results, 60)
        assert store is not None
        (run,) = store.runs.with_status("in_progress")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Interrupted. The run is canceled." in err
    assert "status    canceled" in out
    state = store.runs.find(run.id)
    assert state is not None
    assert state.status == "canceled"
    assert 0 < state.result["result_counts"]["total"] < 400
    store.close()


def test_imported_evals_are_listed_shown_and_run(folder: Path) -> None:
    imported(folder)
    listed = evals(folder, "list")
    for own_id in ("eval_1", "eval_2", "eval_3", "evalrun_1", "evalrun_2", "evalrun_3"):
        assert own_id in listed
    assert json.loads(evals(folder, "show", "evalrun_3", "--json")) == {**RUNS[2], "not_passed": []}
    rows = [
        {"item": item["datasource_item"], "model_sample": "Markets"}
        for item in (ITEMS[0], ITEMS[6])
    ]
    write(folder / "rows.jsonl", rows)
    whole = run_of(folder, eval_name="eval_2")
    assert whole["result_counts"] == {"total": 2, "passed": 2, "failed": 0, "errored": 0}
    assert whole["per_testing_criteria_results"][0]["testing_criteria"].startswith("Match-")


def test_beside_a_server_both_see_the_same(folder: Path) -> None:
    imported(folder)
    with serving(folder, "--jobs", "store") as server:
        whole = run_of(folder)
        path = f"/v1/evals/{whole['eval_id']}/runs/{whole['id']}"
        answered = server.ask("GET", path).json
        assert answered["status"] == "completed"
        assert answered["result_counts"] == whole["result_counts"]
        assert listed_by(server) == [*EVALS, *RUNS, *ITEMS]


def listed_by(server: Server) -> list[dict[str, Any]]:
    """What was imported, as the server answers it."""

    def get(path: str) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = server.ask("GET", f"/v1/{path}limit=100").json["data"]
        return data

    found = [one for one in get("evals?") if one["name"] != "labels"]
    runs = [run for one in found for run in get(f"evals/{one['id']}/runs?")]
    paths = [f"evals/{run['eval_id']}/runs/{run['id']}/output_items?" for run in runs]
    return [*found, *runs, *(item for path in paths for item in get(path))]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["list", "--jobs", "nothing"], "nothing holds no evals: name a folder"),
        (["show", "evalrun_9", "--jobs", "store"], "There is no eval and no run 'evalrun_9'"),
        (["show", "eval_", "--jobs", "store"], "Several ids begin with 'eval_'"),
        (["show", "eval_1", "--jobs", "store", "--project", "x"], "of the project x"),
        (
            ["run", "none.json", "--data", "rows.jsonl", "--jobs", "store"],
            "There is no file none.json.",
        ),
        (["run", "evalrun_1", "--data", "rows.jsonl", "--jobs", "store"], "evalrun_1 is a run;"),
        (["run", "eval_3", "--data", "rows.jsonl", "--jobs", "store"], "'testing_criteria'"),
    ],
)
def test_what_is_not_there_is_said(arguments: list[str], sentence: str, folder: Path) -> None:
    imported(folder)
    ended = graders(folder, "evals", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert sentence in ended.stderr
    assert not (folder / "nothing").exists()


@pytest.mark.parametrize("columns", [60, 80])
def test_the_lists_fit_the_terminal(columns: int, folder: Path) -> None:
    write(folder / "rows.jsonl", [{"item": {"label": "x" * 500}, "model_sample": "y " * 400}])
    evals(folder, "run", "eval.json", "--data", "rows.jsonl", "--name", "n" * 200)
    wide = {"COLUMNS": str(columns), "LINES": ""}
    for arguments in (["list"], ["show", "evalrun_"]):
        lines = evals(folder, *arguments, **wide).splitlines()
        assert max(map(columns_of, lines)) <= columns


@pytest.mark.parametrize("columns", [40, 80, 130])
@pytest.mark.parametrize("name", ["baseline", "the second of two, with a shorter prompt"])
def test_every_run_is_listed_with_its_name(columns: int, name: str, folder: Path) -> None:
    write(folder / "rows.jsonl", [*ROWS, {"item": {"label": "x"}, "model_sample": "y"}])
    evals(folder, "run", "eval.json", "--data", "rows.jsonl", "--name", name)
    listed = evals(folder, "list", COLUMNS=str(columns), LINES="")
    assert name in " ".join(listed.split())


def test_a_run_that_is_killed_is_finished_by_the_next_command(folder: Path) -> None:
    write(folder / "eval.json", [eval_body(SLOW)])
    write(
        folder / "rows.jsonl", [{"item": {"label": f"{n}"}, "model_sample": "x"} for n in range(8)]
    )
    command = ["evals", "run", "eval.json", "--data", "rows.jsonl", "--jobs", "store", "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "graders_engine", *command], cwd=folder, stderr=subprocess.DEVNULL
    )
    assert eventually(lambda: any((folder / "store" / "runs").glob("*/results.jsonl")), 60)
    process.kill()
    process.wait()
    time.sleep(0.1)
    with Store(folder / "store") as store:
        assert eventually(lambda: store.runs.with_status("completed"), 60)


def test_a_run_says_how_many_of_its_items_the_store_lacks(folder: Path) -> None:
    counts = {"total": 500, "errored": 0, "failed": 100, "passed": 400}
    write(
        folder / "export.jsonl", [*EVALS, {**RUNS[0], "result_counts": counts}, *RUNS[1:], *ITEMS]
    )
    imported(folder)
    kept = sum(one["run_id"] == RUNS[0]["id"] for one in ITEMS)
    shown = evals(folder, "show", RUNS[0]["id"])
    assert f"of 500 items, of which the store has {kept}." in shown
    with Store(folder / "store") as store:
        run = store.runs.find(RUNS[0]["id"])
        assert run is not None
        assert f"of which the store has {kept}." in page_of(store, run)
