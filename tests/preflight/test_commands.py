"""The commands that findings show do what the finding says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from graders_engine.cli.main import graders
from tests.preflight.ask import SUMS, ask, only, write_rows
from tests.preflight.graders import HEAD, python

ROUGE = {
    "type": "text_similarity",
    "name": "rouge",
    "evaluation_metric": "rouge_l",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}
SENTENCES = [
    {**row, "answer": f"会議は{1000 + number}年に新しい橋を開いた。"}
    for number, row in enumerate(SUMS[:40])
]


@pytest.mark.parametrize("inline", [False, True], ids=["a file", "JSON"])
def test_a_command_repeats_the_flags_that_change_rewards(tmp_path: Path, inline: bool) -> None:
    (tmp_path / "g.json").write_text(json.dumps(ROUGE))
    grader = json.dumps(ROUGE) if inline else f"@{tmp_path / 'g.json'}"
    rows = str(write_rows(tmp_path / "rows.jsonl", SENTENCES))
    flags = ["--variant", "rouge_l=unicode", "--concurrency", "3"]
    words = ["preflight", "--grader", grader, "--train", rows, "--json", *flags]
    report = json.loads(CliRunner().invoke(graders, words).stdout)
    (finding,) = (one for one in report["findings"] if one["id"] == "weak-contrast")
    command = shlex.split(finding["see"])
    assert command[-2:] == ["--variant", "rouge_l=unicode"]
    shown = CliRunner().invoke(graders, [*command[1:], "--field", "reward"])
    assert "reward   0.92" in shown.stdout


@pytest.mark.parametrize("answer", ["@home", "-"])
def test_a_sample_that_a_flag_would_take_for_a_place_is_shown_as_a_sample(
    tmp_path: Path, answer: str
) -> None:
    source = HEAD + "    return 0.0 if sample['output_text'][0] in '@-' else 1.0\n"
    rows = [{**row, "answer": answer if not number else "x"} for number, row in enumerate(SUMS)]
    report = ask(tmp_path, python(source), rows, reference_field="answer", rows=60)
    command = shlex.split(only(report, "reference-not-rewarded").see)
    assert json.loads(command[command.index("--sample") + 1]) == {"output_text": answer}


def test_unstable_rewards_are_shown_by_several_runs_and_leave_right_answers_unasked(
    tmp_path: Path,
) -> None:
    source = "import random\n" + HEAD
    source += "    return float(sample['output_text'] == item['answer']) * random.random()\n"
    report = ask(tmp_path, python(source), reference_field="answer")
    assert only(report, "unstable").see.startswith("for n in 1 2 3 4; do graders run ")
    assert report.not_checked["reference-not-rewarded"] == "follows from unstable"
