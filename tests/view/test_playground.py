"""A grader that is typed: its mistakes with their places, what changes in rows, what it costs, its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine
from graders_engine.cli.main import graders
from graders_engine.dataset.results.compare import compare
from graders_engine.dataset.scoring.score import score_file
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.policies import Price
from graders_engine.models.scripted import Scripted
from graders_engine.server.responses import ClientGone
from graders_engine.settings import EngineSettings
from graders_engine.view.app import view_of_folders
from graders_engine.view.trying.grading import Workshop
from tests.dataset.judged import JUDGED, NUMBERS, Judge
from tests.view.asking import Page
from tests.view.conftest import INVOICE

RUN = "sub/run.jsonl"
TEXT = json.dumps(INVOICE, indent=2)


def tried(page: Page, grader: str, **fields: Any) -> Any:
    """What trying a grader answers, on the run unless a data set is named."""
    source = {} if "data" in fields else {"run": RUN}
    body = {**source, "grader": grader, "format": "json", "rows": "first", "count": 200, **fields}
    while (answer := page.post("try", body)).status == 202:
        pass
    assert answer.status == 200, answer.body
    return answer.json


def test_the_runs_own_grader_changes_nothing(page: Page) -> None:
    found = tried(page, TEXT)
    stored = page.json("runs/sub%2Frun.jsonl")["numbers"]["mean"]
    assert found["stored"] == found["now"] == pytest.approx(stored, rel=1e-12)
    assert (found["difference"]["value"], found["difference"]["p"]) == (0, 1)
    assert (found["same"], found["changed"], found["failed"]) == (160, [], 0)


def test_the_difference_is_that_of_two_scored_runs(
    page: Page, folder: Path, tmp_path: Path
) -> None:
    other = json.loads(TEXT)
    other["graders"]["total"]["operation"] = "ne"
    with Engine() as engine:
        score_file(engine, other, folder / "rows.jsonl", tmp_path / "other.jsonl")
    whole = compare(folder / RUN, tmp_path / "other.jsonl", top=200)
    assert whole.difference is not None
    found = tried(page, json.dumps(other))
    assert found["now"]["value"] == whole.difference.after.value
    assert found["stored"]["low"] == whole.difference.before.low
    assert found["difference"] == {
        "value": whole.difference.difference.value,
        "low": whole.difference.difference.low,
        "high": whole.difference.difference.high,
        "p": whole.difference.p_value,
        "rows": 160,
    }
    counts = whole.difference.wins, whole.difference.losses, whole.difference.ties
    assert (found["up"], found["down"], found["same"]) == counts
    by_name = {row["row"]: row for row in found["changed"]}
    assert len(by_name) == found["up"] + found["down"]
    for row in whole.changed_most:
        shown = by_name[row.before.name]
        assert (shown["before"], shown["after"]) == (row.before.reward, row.after.reward)
        assert shown["parts"] == {
            "total": [row.before.sub_rewards["total"], row.after.sub_rewards["total"]]
        }


def test_a_row_that_is_newly_invalid_says_so_and_why(page: Page) -> None:
    found = tried(page, TEXT.replace("item.vendor", "item.seller"))
    assert found["newly_invalid"] == found["stored"]["rows"] - found["same"] > 0
    row = found["changed"][0]
    assert (row["status_before"], row["status_after"]) == ("scored", "invalid")
    assert "seller" in row["flags"]["invalid_variable_error"]


@pytest.mark.parametrize("which", ["first", "drawn", "filter"])
def test_only_the_rows_that_are_asked_for_are_graded(which: str, page: Page) -> None:
    found = tried(page, TEXT, rows=which, count=7, query="status=invalid&sort=reward")
    assert found["graded"] == found["rows"] == 7
    assert found["difference"]["value"] == 0
    if which == "filter":
        selection = page.json("runs/sub%2Frun.jsonl/rows?status=invalid")
        invalid = selection["selection"]["rows"]
        assert found["stored"]["value"] == 0
        assert tried(page, TEXT, rows=which, query="status=invalid")["rows"] == invalid


def test_the_rows_of_a_data_set_have_no_stored_reward(page: Page) -> None:
    found = tried(page, TEXT, data="rows.jsonl")
    assert (found["stored"], found["difference"]) == (None, None)
    assert found["now"]["value"] == tried(page, TEXT)["now"]["value"]
    assert found["changed"][3]["row"] == "1#4"
    assert found["changed"][3]["id"] == "inv-0"


BROKEN: dict[str, tuple[str, str, str | None, str]] = {
    "an operation": (TEXT.replace('"eq"', '"equals"'), "json", "graders.total.operation", '"equals"'),
    "a formula": (TEXT.replace("0.75 *", "0.75 **"), "json", "calculate_output", "**"),
    "a key": (
        TEXT.replace('"operation"', '"operator"'), "json", "graders.total.operator", '"operator"',
    ),
    "a template": (
        TEXT.replace("{{item.total}}", "é {{item.total"), "json", "graders.total.reference", "{{",
    ),
    "a comma": (TEXT.replace('"invoice",', '"invoice"'), "json", None, '"'),
    "a block of YAML": (
        "type: string_check\ninput: |\n  a\n  {{b\nreference: c\noperation: eq\n", "yaml", "input", "{{",
    ),
    "a word of YAML": (
        "type: string_check\ninput: a\nreference: c\noperation: equals\n", "yaml", "operation", "equals",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_a_mistake_stands_where_it_is_in_the_text(broken: str, page: Page) -> None:
    text, form, path, there = BROKEN[broken]
    mistake = next(one for one in tried(page, text, format=form)["mistakes"] if one["path"] == path)
    line = text.split("\n")[mistake["line"] - 1]
    start = mistake["column"] - 1
    assert line[start : start + mistake["length"]] == there


def test_the_mistakes_are_those_of_the_command_line(page: Page, tmp_path: Path) -> None:
    text = (
        TEXT.replace('"eq"', '"equals"')
        .replace("0.75 *", "0.75 **")
        .replace("fuzzy_match", "fuzzy")
    )
    (tmp_path / "grader.json").write_text(text)
    ended = CliRunner().invoke(graders, ["validate", str(tmp_path / "grader.json"), "--json"])
    printed = json.loads(ended.stdout)["mistakes"]
    keys = ("path", "message", "detail", "hint")
    found = [{key: one[key] for key in keys} for one in tried(page, text)["mistakes"]]
    assert found == printed
    assert len(found) == 3


def test_a_source_names_no_file_of_this_machine(page: Page) -> None:
    grader = json.dumps({"type": "python", "name": "p", "source": "@/etc/hostname"})
    (mistake,) = tried(page, grader)["mistakes"]
    assert mistake["path"] == "source"
    assert "not read here" in mistake["message"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"grader": None}, "grader"),
        ({"rows": "all"}, "rows"),
        ({"count": 10**6}, "count"),
        ({"format": "toml"}, "format"),
        ({"max_cost": "1"}, "max_cost"),
        ({"run": None}, "run"),
        ({"data": "rows.jsonl"}, "run"),
        ({"run": None, "data": "rows.jsonl", "rows": "filter"}, "rows"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], named: str, page: Page) -> None:
    answer = page.post("try", {"run": RUN, "grader": TEXT, **fields})
    assert (answer.status, answer.json["error"]["param"]) == (400, named)


# --- judges, python, and clients that leave


class Judged:
    """A run whose judge is asked again, with its price."""

    def __init__(self, folder: Path) -> None:
        self.judge = Judge()
        self.settings = EngineSettings(
            judges=JudgeSettings(
                endpoints={"default": Scripted(self.judge)},
                prices={"judge": Price(input=10.0, output=20.0)},
            )
        )
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in NUMBERS))
        with Engine.from_settings(self.settings) as engine:
            score_file(engine, JUDGED, folder / "rows.jsonl", folder / "run.jsonl")
        self.judge.asked.clear()
        self.page = Page(view=view_of_folders([folder], self.settings))

    def tried(self, **fields: Any) -> Any:
        return tried(self.page, json.dumps(JUDGED), run="run.jsonl", **fields)


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return Judged(tmp_path)


def test_a_judge_is_asked_only_when_that_is_wanted(judged: Judged) -> None:
    found = judged.tried()
    needs = found["needs"]
    assert (needs["rows"], needs["requests"], needs["models"]) == (60, 60, ["judge"])
    sent = sum(len(f"Rate {n}") for n in range(60)) / 4
    assert needs["tokens"] == round(sent + 60 * 200)
    assert needs["cost"] == pytest.approx((sent * 10 + 60 * 200 * 20) / 1e6)
    assert "now" not in found
    assert judged.judge.asked == []
    found = judged.tried(costly=True)
    assert found["now"] == found["stored"]
    assert len(judged.judge.asked) == 60


def test_what_a_judge_may_cost_ends_the_grading(judged: Judged) -> None:
    found = judged.tried(costly=True, max_cost=0.000001)
    assert 0 < found["graded"] < 60
    assert "budget" in found["problem"].lower()
    assert found["stored"]["rows"] == found["difference"]["rows"] == found["graded"]
    assert found["difference"]["value"] == 0


def test_rows_without_an_answer_are_in_no_mean(judged: Judged) -> None:
    judged.judge.fails = lambda number: "" if number % 2 else None
    found = judged.tried(costly=True)
    assert (found["failed"], found["newly_failed"], found["now"]["rows"]) == (30, 30, 30)
    assert found["difference"]["value"] == 0
    assert "no answer to" in found["why_failed"]
    assert all(row["after"] is None for row in found["changed"])


def test_python_is_not_run_without_a_sandbox(folder: Path) -> None:
    page = Page(view=view_of_folders([folder], EngineSettings(sandbox="none")))
    source = "def grade(sample, item):\n    return 1.0\n"
    found = tried(page, json.dumps({"type": "python", "name": "p", "source": source}))
    assert "sandbox" in found["unavailable"]
    assert "now" not in found


class Gone:
    """A client that has left."""

    gone = True

    def on_gone(self, end: Callable[[], object]) -> None:
        end()


ENDLESS = {
    "type": "python",
    "name": "p",
    "source": "def grade(sample, item):\n    while True: pass\n",
}


@pytest.mark.parametrize("grader", [INVOICE["graders"]["total"], ENDLESS], ids=["texts", "python"])
def test_the_grading_ends_when_the_client_leaves(grader: dict[str, Any]) -> None:
    workshop, settings = Workshop(), EngineSettings()
    draft = workshop.draft(settings, json.dumps(grader), "json")
    assert draft.compiled is not None
    with pytest.raises(ClientGone):
        workshop.grade(settings, draft.compiled, NUMBERS, Gone())


def test_an_endless_judge_ends_when_the_client_leaves(judged: Judged) -> None:
    with pytest.raises(ClientGone):
        Workshop().grade_alone(replace(judged.settings), JUDGED, NUMBERS, Gone())


def test_a_grader_that_was_typed_before_is_not_compiled_again() -> None:
    workshop = Workshop()
    first = workshop.draft(EngineSettings(), TEXT, "json")
    assert workshop.draft(EngineSettings(), TEXT, "json") is first
    assert workshop.draft(EngineSettings(templates="as_served"), TEXT, "json") is not first


# --- the file


def saved(page: Page, name: str, **fields: Any) -> Any:
    body = {"run": RUN, "grader": TEXT, "format": "json", "name": name, **fields}
    return page.post("save", body)


def test_a_grader_is_saved_beside_its_run(page: Page, folder: Path) -> None:
    answer = saved(page, "grader-2.json")
    path = folder / "sub" / "grader-2.json"
    try:
        assert (answer.status, path.read_text()) == (200, TEXT)
        assert answer.json["path"].endswith("sub/grader-2.json")
        again = saved(page, "grader-2.json", grader="{}")
        assert (again.status, path.read_text()) == (409, TEXT)
    finally:
        path.unlink(missing_ok=True)


def test_what_is_no_grader_is_not_saved_and_all_of_its_mistakes_are_said(
    page: Page, folder: Path
) -> None:
    wrong = json.loads(TEXT)
    wrong["graders"]["total"]["operation"] = "is"
    wrong["calculate_output"] = "0.75 * totals"
    answer = saved(page, "grader-5.json", grader=json.dumps(wrong, indent=2))
    assert (answer.status, answer.error["code"]) == (400, "invalid_grader")
    first, *mistakes = answer.error["message"].splitlines()
    assert first == "This is no valid grader, so it is not saved:"
    assert len(mistakes) == 2
    assert all(mistake.startswith("Line ") for mistake in mistakes)
    assert not (folder / "sub" / "grader-5.json").exists()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("../grader-3.json", {}),
        ("/grader-3.json", {}),
        ("sub/grader-3.json", {}),
        ("..", {}),
        ("a\x00.json", {}),
        (".hidden.json", {}),
        ("grader-3.py", {}),
        ("grader-3.yaml", {}),
        ("grader-3.json", {"format": "yaml"}),
        ("grader-3.json", {"run": "../sub/run.jsonl"}),
        ("grader-3.json", {"run": None, "data": "../rows.jsonl"}),
    ],
)
def test_nothing_is_saved_elsewhere(
    name: str, fields: dict[str, Any], page: Page, folder: Path
) -> None:
    def files() -> set[Path]:
        above = (folder.parent, Path("/"))
        return {*folder.rglob("*grader-*"), *(at for one in above for at in one.glob("*grader-*"))}

    before = files()
    assert saved(page, name, **fields).status in (400, 404)
    assert files() == before


def test_a_link_is_not_written_through(page: Page, folder: Path, tmp_path: Path) -> None:
    link = folder / "sub" / "link.json"
    link.symlink_to(tmp_path / "elsewhere.json")
    try:
        assert saved(page, "link.json").status == 409
        assert not (tmp_path / "elsewhere.json").exists()
    finally:
        link.unlink()


def test_a_page_that_only_reads_tries_and_saves_nothing(folder: Path) -> None:
    page = Page(folder, read_only=True)
    assert page.json("runs/sub%2Frun.jsonl/grader")["read_only"] is True
    assert saved(page, "grader-4.json").status == 403
    assert page.post("try", {"run": RUN, "grader": TEXT}).status == 403
    assert not (folder / "sub" / "grader-4.json").exists()
