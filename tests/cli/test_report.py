"""`graders report` prints a results file's numbers and writes them as a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_command_line import CHECK, graders
from tests.dataset.files import write_rows


@pytest.fixture
def results(tmp_path: Path) -> Path:
    rows = tmp_path / "rows.jsonl"
    samples = [
        {"item": {"n": n}, "model_sample": ["cat", "dog", "cat"][: n % 3 + 1]} for n in range(12)
    ]
    rows.write_text("".join(json.dumps(row) + "\n" for row in samples))
    out = tmp_path / "results.jsonl"
    ended = graders("score", "--grader", CHECK, "--data", str(rows), "--out", str(out), "--quiet")
    assert ended.returncode == 0, ended.stderr
    return out


def test_it_prints_the_numbers_and_writes_a_page_next_to_the_results(results: Path) -> None:
    ended = graders("report", str(results))
    assert ended.returncode == 0, ended.stderr
    page = results.with_name("results.jsonl.html")
    assert ended.stdout.startswith("mean reward  0.6667  over 24 samples, 95 % interval ")
    assert "12 prompts with 1 to 3 counted samples each" in ended.stdout
    assert "lowest rewards\n  line 2#2  0       dog\n" in ended.stdout
    assert ended.stdout.endswith(f"\nreport in {page}\n")
    assert ended.stderr == ""
    text = page.read_text(encoding="utf-8")
    assert "0.6667" in text
    assert "dog" in text


def test_the_page_holds_as_many_rows_as_embed_allows_and_says_so(results: Path) -> None:
    page = results.with_name("results.jsonl.html")
    assert graders("report", str(results), "--embed", "1kB").returncode == 0
    text = page.read_text(encoding="utf-8")
    some = re.search(r"(\d+) of 24 samples are in this file, as many as fit in this order", text)
    assert some is not None
    assert 0 < int(some[1]) < 24
    assert "<code>graders view results.jsonl</code> shows all of them." in text
    assert graders("report", str(results), "--embed", "0.1 MB").returncode == 0
    assert "All 24 samples of the run are in this file." in page.read_text(encoding="utf-8")
    ended = graders("report", str(results), "--embed", "much")
    assert ended.returncode == 2
    assert "'much' is not a size such as 20MB or 500kB." in ended.stderr


def test_the_page_is_written_where_out_says_or_not_at_all(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere.html"
    assert graders("report", str(results), "--out", str(out)).returncode == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "report in" not in graders("report", str(results), "--no-html").stdout
    assert not results.with_name("results.jsonl.html").exists()
    ended = graders("report", str(results), "--out", str(tmp_path / "no" / "report.html"))
    assert ended.returncode == 1
    assert "The report cannot be written" in ended.stderr
    ended = graders("report", str(results), "--out", str(results))
    assert ended.returncode == 2
    assert "these are the results" in ended.stderr


def test_texts_of_a_data_set_that_was_moved_need_its_path(results: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    moved = rows.rename(tmp_path / "moved.jsonl")
    ended = graders("report", str(results))
    assert ended.returncode == 0
    assert "Texts are not shown." in ended.stdout
    assert "dog" not in ended.stdout
    assert "Texts are not shown." in results.with_name("results.jsonl.html").read_text(
        encoding="utf-8"
    )
    assert "dog" in graders("report", str(results), "--data", str(moved)).stdout
    moved.write_text(moved.read_text().replace("dog", "cow"))
    assert (
        "is not the data set of these results"
        in graders("report", str(results), "--data", str(moved)).stdout
    )


def test_the_reward_with_which_a_sample_passes_can_be_set(results: Path) -> None:
    assert "reward of at least 1)" in graders("report", str(results), "--no-html").stdout
    ended = graders("report", str(results), "--no-html", "--passing", "0")
    assert "pass@k (reward of at least 0)" in ended.stdout
    assert "1  1.0000" in ended.stdout


def test_a_file_that_is_not_a_results_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"a": 1}\n')
    ended = graders("report", str(path))
    assert ended.returncode == 1
    assert "other.jsonl, line 1, is not a result" in ended.stderr
    assert graders("report", str(tmp_path / "none.jsonl")).returncode == 1


@pytest.mark.parametrize(("flags", "loaded"), [(["--no-html"], False), ([], True)])
def test_the_template_engine_is_loaded_only_for_a_page(
    flags: list[str], loaded: bool, results: Path
) -> None:
    program = (
        "import sys; from graders_engine.cli.main import graders\n"
        "graders(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, "report", str(results), *flags]
    modules = subprocess.check_output(command, text=True).splitlines()[-1].split()
    assert ("jinja2" in modules) is loaded


def test_rows_with_equal_items_are_noticed_until_they_are_grouped(tmp_path: Path) -> None:
    rows = [
        {"item": {"id": line // 4, "label": "cat"}, "model_sample": "cat" if line % 3 else "dog"}
        for line in range(40)
    ]
    data, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out.jsonl"
    score = ("score", "--grader", CHECK, "--data", str(data), "--quiet", "--out")
    assert graders(*score, str(out)).returncode == 0
    hint = "Rows have equal items, as the samples of one prompt do"
    assert hint in graders("report", str(out)).stdout
    assert hint in Path(f"{out}.html").read_text(encoding="utf-8")
    assert hint not in graders("report", str(out), "--group-by", "item.id").stdout
    distinct = [{**row, "item": {"id": line, "label": "cat"}} for line, row in enumerate(rows)]
    write_rows(data, distinct)
    assert graders(*score, str(out), "--overwrite").returncode == 0
    assert hint not in graders("report", str(out)).stdout


def test_the_lowest_rewards_are_said_to_be_of_the_scored_rows_where_others_count(
    tmp_path: Path,
) -> None:
    data, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows: list[dict[str, object]] = [
        {"item": {}, "model_sample": text} for text in ('{"a": "cat"}', "prose", "")
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    grader = CHECK.replace("{{sample.output_text}}", "{{sample.output_json.a}}")
    assert grader != CHECK
    graders("score", "--grader", grader, "--data", str(data), "--out", str(out))
    said = graders("report", str(out)).stdout
    assert "lowest rewards of the scored\n" in said
    assert "unresponsive_reward_error  1, first on line 3: the output is empty\n" in said
    page = (tmp_path / "out.jsonl.html").read_text(encoding="utf-8")
    assert "Lowest rewards of the scored" in page
    assert "the output is empty" in page
