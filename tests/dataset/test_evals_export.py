"""An export of the hosted evals, however it was made, becomes graders and rows that run here."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.errors import DataSetError
from graders_engine.evals.hosted.check import check
from graders_engine.evals.hosted.conversion import import_evals
from graders_engine.evals.hosted.download import Download, EvalsApi
from graders_engine.evals.hosted.export import files_of
from graders_engine.evals.hosted.instructions import import_report
from graders_engine.models.retry import RetryPolicy
from tests import forked
from tests.dataset.evals_service import (
    CRITERIA,
    EVALS,
    ITEMS,
    KEY,
    RUNS,
    Service,
    output_item,
    service,
)

OBJECTS = [*EVALS, *RUNS, *ITEMS]
NEWS = "News-topics"
ELSEWHERE = (
    "azure_ai_evaluator is an evaluator that is built into Azure AI Foundry and runs only there: there is no "
    "grader for it, and its hosted scores stay in the rows."
)


@pytest.fixture(scope="module")
def served() -> Iterator[Service]:
    with service() as running:
        yield running


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write(tmp_path / "export.jsonl", lines(OBJECTS))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "evals"


def graders(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return forked.graders(*arguments, environment={**os.environ, **environment})


def downloaded(api: EvalsApi, path: Path) -> list[int]:
    async def counts() -> list[int]:
        return [count async for count in Download(api, path).objects()]

    return asyncio.run(counts())


async def listed(api: EvalsApi, path: str) -> list[dict[str, Any]]:
    try:
        return [one async for one in api.listed(path)]
    finally:
        await api.close()


def written(folder: Path) -> dict[str, Any]:
    """What an import wrote, by file, but for the report, which names the folder."""
    return {
        str(path.relative_to(folder)): rows(path)
        if path.suffix == ".jsonl"
        else json.loads(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("IMPORT.md", "export.jsonl")
    }


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_eval_becomes_a_folder_with_graders_and_rows(export: Path, out: Path) -> None:
    import_evals([export], out)
    assert list(written(out)) == [
        f"{NEWS}/grader-Alike.json", f"{NEWS}/grader-Fitting.json", f"{NEWS}/grader-Match.json",
        f"{NEWS}/grader-criterion_1st_score.json", f"{NEWS}/grader-criterion_min.json",
        f"{NEWS}/graders.json", f"{NEWS}/mini.rows.jsonl", f"{NEWS}/rejected-Coherence.json",
        "one-grader/grader-Match.json", "one-grader/mini.rows.jsonl",
    ]  # fmt: skip
    first, *_ = rows(out / NEWS / "mini.rows.jsonl")
    assert first["id"] == "outputitem_0"
    assert first["item"] == {"input": "Headline 0", "ground_truth": "Markets"}
    assert first["sample"]["choices"][0]["message"]["content"] == "Markets"
    assert first["hosted"] == {"Match": 1.0, "criterion_min": 1.0}
    multi = json.loads((out / NEWS / "graders.json").read_text(encoding="utf-8"))
    assert (
        multi["calculate_output"]
        == "(Match + Alike + criterion_min + Fitting + criterion_1st_score) / 5"
    )


@pytest.mark.parametrize("known", [True, False], ids=["criteria without ids", "no eval"])
def test_hosted_scores_are_kept_under_the_name_of_the_criterion_without_its_uuid(
    known: bool, tmp_path: Path, out: Path
) -> None:
    criterion = {key: value for key, value in CRITERIA[0].items() if key != "id"}
    evals = [{**EVALS[0], "testing_criteria": [criterion]}] if known else []
    item = output_item(0, "evalrun_1", "eval_1", "Markets")
    imported = import_evals([write(tmp_path / "export.jsonl", lines([*evals, RUNS[0], item]))], out)
    (run,) = imported.evals[0].runs
    (row,) = rows(run.path)
    assert row["hosted"] == {"Match": 1.0, "min": 1.0}


def test_every_grader_that_is_written_is_valid(export: Path, out: Path, engine: Engine) -> None:
    import_evals([export], out)
    made = sorted(out.rglob("grader*.json"))
    assert len(made) == 7
    for path in made:
        grader = json.loads(path.read_text(encoding="utf-8"))
        assert engine.validate(grader).grader == grader
        assert "null" not in path.read_text(encoding="utf-8")
    assert graders("validate", "--grader", f"@{made[0]}").returncode == 0


def test_what_cannot_be_carried_over_is_listed(export: Path, out: Path) -> None:
    stray = output_item(9, "evalrun_9", "eval_9", "Markets")
    picture = output_item(10, "evalrun_9", "eval_9", "Markets")
    picture["datasource_item"]["image"] = {"type": "input_image", "file_id": "file-2"}
    with export.open("a", encoding="utf-8") as file:
        file.write("{broken\n")
        file.writelines(json.dumps(one) + "\n" for one in (ITEMS[0], stray, picture))
    imported = import_evals([export], out)
    told = [line.removeprefix(f"{export.parent}/") for line in imported.left_out]
    assert [re.sub(r"(is not JSON|Invalid value): .*", r"\1", line) for line in told] == [
        "export.jsonl, line 14: The line is not JSON",
        "eval_9: the eval itself is not in the export, so there is no grader: pass --grader FILE.",
        f"News / topics: Coherence (rejected-Coherence.json): {ELSEWHERE}",
        "News / topics: the eval has no testing criteria.",
        "mini: 1 output item without an output: only graders of the item can work.",
        "mini: 1 output item left out: The hosted run has no output here, but an error: The model broke.",
        "mini: 1 output item repeated in the export.",
        "evalrun_9: 1 output item with a file id; the file is not in the export.",
        "mini (evalrun_2): the run has no output items in the export. Its data source was: jsonl file_id.",
        "News / topics: the eval has no runs in the export.",
    ]
    assert len(rows(out / "eval_9" / "evalrun_9.rows.jsonl")) == 2


def pages(objects: list[Any]) -> list[Any]:
    return [
        {"object": "list", "data": objects[at : at + 2], "has_more": True}
        for at in range(0, len(objects), 2)
    ]


def lines(values: list[Any]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


ARRANGEMENTS: dict[str, dict[str, str | bytes]] = {
    "one array": {"all.json": json.dumps(OBJECTS)},
    "an array over many lines": {"all.json": json.dumps(OBJECTS, indent=2)},
    "pages, one a line": {"all.jsonl": lines(pages(OBJECTS))},
    "pages over many lines": {"all.json": "\n".join(json.dumps(page, indent=1) for page in pages(OBJECTS))},
    "a file for each object": {f"{one['id']}/one.json": json.dumps(one, indent=2) for one in OBJECTS},
    "a wrapper": {"all.json": json.dumps({"evals": EVALS, "runs": {"x": RUNS}, "items": [ITEMS]}, indent=2)},
    "the items first": {"a.jsonl": lines(ITEMS), "b.json": json.dumps([*RUNS, *EVALS])},
    "two runs in turns": {"all.jsonl": lines([*ITEMS[:3], ITEMS[6], *ITEMS[3:6], *RUNS, *EVALS])},
    "packed": {"all.jsonl.gz": gzip.compress(lines(OBJECTS).encode())},
    "a byte order mark": {"all.jsonl": "\ufeff" + lines(OBJECTS)},
}  # fmt: skip


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_the_arrangement_of_the_files_does_not_matter(
    name: str, export: Path, out: Path, tmp_path: Path
) -> None:
    import_evals([export], out)
    for file, content in ARRANGEMENTS[name].items():
        write(tmp_path / "other" / file, content)
    again = tmp_path / "again"
    import_evals(files_of([tmp_path / "other"], again), again)
    assert written(again) == written(out)


def test_a_download_is_what_the_service_has(served: Service, out: Path) -> None:
    served.first = [(429, {"retry-after": "0.01"}, b"slow down"), (500, {}, b"")]
    counts = downloaded(
        EvalsApi(KEY, served.url, RetryPolicy(wait_initial_s=0.01)), out / "export.jsonl"
    )
    assert counts == list(range(1, len(OBJECTS) + 1))
    found = [one for one in rows(out / "export.jsonl") if one["object"] != "list"]
    assert sorted(found, key=lambda one: one["id"]) == sorted(OBJECTS, key=lambda one: one["id"])
    assert not list(out.glob("*.part"))


def test_the_command_downloads_imports_and_compares(
    served: Service, export: Path, out: Path, tmp_path: Path
) -> None:
    done = graders(
        "import", "evals", "--from-api", "--check", "--out", str(out),
        OPENAI_API_KEY=KEY, OPENAI_BASE_URL=served.url,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3 evals: 6 graders, 2 runs with 6 rows" in done.stdout
    assert "mini.rows.jsonl, Match: 5 of 5 equal\n" in done.stdout
    assert "mini.rows.jsonl, criterion_min: 5 of 5 equal\n" in done.stdout
    assert "Graders ask gpt-4o, o3: set OPENAI_API_KEY" in done.stdout
    assert KEY not in done.stdout + (out / "IMPORT.md").read_text(encoding="utf-8")
    import_evals([export], tmp_path / "other")
    assert written(out) == written(tmp_path / "other")


def test_the_commands_that_are_printed_can_be_run(export: Path, out: Path) -> None:
    done = graders("import", "evals", str(export), "--out", str(out))
    commands = re.findall(r"^    graders (.*one-grader.*)$", done.stdout, re.MULTILINE)
    scored = graders(*shlex.split(commands[0]))
    assert scored.returncode == 0, scored.stderr
    (result,) = rows(out / "one-grader" / "mini.results.jsonl")
    assert (result["reward"], result["status"]) == (1.0, "scored")


def test_the_script_in_the_help_makes_an_export_with_the_stock_package(
    served: Service, export: Path, out: Path, tmp_path: Path
) -> None:
    shown = graders("import", "evals", "--help").stdout
    cwd = tmp_path / "mine"
    cwd.mkdir()
    (found,) = re.findall(r"^ +import openai\n(?:.+\n)+", shown, re.MULTILINE)
    script = textwrap.dedent(found)
    assert "items.list(run.id" in script
    subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, check=True, timeout=120,
        env={**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": served.url},
    )  # fmt: skip
    import_evals([cwd / "export.jsonl"], tmp_path / "by-sdk")
    import_evals([export], out)
    assert written(tmp_path / "by-sdk") == written(out)


def test_a_score_that_differs_is_shown(export: Path, out: Path, engine: Engine) -> None:
    imported = import_evals([export], out)
    checks = {
        (one.rows.parent.name, one.key): one
        for own in imported.evals
        for one in check(engine, own)
        if not one.not_graded
    }
    assert [(one.equal, one.compared) for one in checks.values()] == [(5, 5), (5, 5), (1, 1)]
    path = out / "one-grader" / "mini.rows.jsonl"
    write(path, path.read_text(encoding="utf-8").replace('"Match":1.0', '"Match":0.25'))
    differing, without_grader = check(engine, imported.evals[1])
    assert (without_grader.key, without_grader.hosted_mean) == ("min", 1.0)
    assert (differing.hosted_mean, differing.our_mean) == (0.25, 1.0)
    assert (differing.equal, differing.first_difference) == (0, ("outputitem_6", 1.0, 0.25))
    assert (
        "0 of 1 equal; the first that differs is outputitem_6: 1 here, 0.25 hosted"
        in import_report(imported, [differing])
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            (401, {}, b'{"error": {"message": "Incorrect API key"}}'),
            "HTTP 401: .*Incorrect API key",
        ),
        ((302, {"Location": "http://127.0.0.1:9/elsewhere"}, b""), "HTTP 302"),
        ((200, {}, b"<html>"), "the answer is not JSON"),
        ((200, {}, b'{"object": "list"}'), "the answer is not a list of objects"),
        ((200, {}, b'{"data": [3]}'), "the answer is not a list of objects"),
    ],
)
def test_an_answer_that_cannot_be_used_ends_the_download_with_a_sentence(
    answer: tuple[int, dict[str, str], bytes], words: str, served: Service, out: Path
) -> None:
    served.first = [answer] * 9  # more than it is asked again
    try:
        with pytest.raises(DataSetError, match=words):
            downloaded(EvalsApi(KEY, served.url), out / "export.jsonl")
    finally:
        served.first = []
    assert not (out / "export.jsonl").exists()


def test_a_list_that_never_ends_is_noticed(served: Service) -> None:
    served.endless = True
    try:
        with pytest.raises(DataSetError, match="the list repeats itself after eval_2"):
            asyncio.run(listed(EvalsApi(KEY, served.url), "evals"))
    finally:
        served.endless = False


def test_a_service_that_is_not_there_is_a_sentence(out: Path) -> None:
    api = EvalsApi(KEY, "http://127.0.0.1:9", RetryPolicy(attempts=2, wait_initial_s=0.01))
    with pytest.raises(DataSetError, match=r"The evals cannot be downloaded: .*2 tries"):
        downloaded(api, out / "export.jsonl")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--out", "OUT"], 2, "Name the files or folders of the export, or pass --from-api."),
        (["--out", "OUT", "--from-api", "x.jsonl"], 2, "it takes no PATH"),
        (["--out", "OUT", "--from-api"], 2, "needs the key in the environment: OPENAI_API_KEY"),
        (["--out", "OUT", "missing.jsonl"], 1, "There is no such file or folder: missing.jsonl."),
        (["--out", "NONE", "export"], 1, "cannot be written to: Not a directory."),
        (["--out", "OUT", "EMPTY"], 1, "There is no JSON or JSONL file"),
        (["--out", "OUT", "NONE"], 1, "There is no eval, no run and no output item in the export"),
    ],
)
def test_a_wrong_request_is_a_sentence(
    arguments: list[str], code: int, words: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "none.jsonl", '{"item": {}, "model_sample": "a"}\n')
    export = write(tmp_path / "export.jsonl", lines(OBJECTS))
    places = {
        "export": export,
        "OUT": tmp_path / "out",
        "EMPTY": tmp_path / "empty",
        "NONE": tmp_path / "none.jsonl",
    }
    done = graders("import", "evals", *(str(places.get(word, word)) for word in arguments))
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_importing_again_replaces_and_does_not_read_its_own_files(
    export: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evals"
    import_evals(files_of([tmp_path], out), out)
    before = written(out)
    assert files_of([tmp_path], out) == [export]
    import_evals(files_of([tmp_path], out), out)
    assert written(out) == before
