"""The training and validation files: form, messages, repetition, types, leaks, tools, length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine.preflight.report import PreflightReport
from tests.preflight.ask import EXACT, SUMS, ask, found, only


def prompt(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def severities(report: PreflightReport, id_: str) -> list[str]:
    return [finding.severity for finding in found(report, id_)]


def lines(report: PreflightReport, id_: str) -> list[int]:
    return [place.line for finding in found(report, id_) for place in finding.where]


def test_good_files_have_no_finding(tmp_path: Path) -> None:
    report = ask(tmp_path, train=SUMS[:50], validation=SUMS[50:], select=("files",))
    assert not report.findings
    assert len(report.fine) == 12


BROKEN = '{"messages": [{"role": "user", "content": "1 + 1?"}], "answer": NaN}\n'
GOOD = "".join(json.dumps(row) + "\n" for row in SUMS)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GOOD + BROKEN, 61),
        (GOOD + '["a", "list"]\n', 61),
        ('{"messages": [}\n' + GOOD, 1),
        (json.dumps(SUMS, indent=2), 0),
        ("\n".join(json.dumps(row, indent=2) for row in SUMS), 0),
    ],
    ids=["NaN", "a list", "a slip", "one array", "over several lines"],
)
def test_what_is_not_one_object_a_line_is_an_error(tmp_path: Path, text: str, line: int) -> None:
    report = ask(tmp_path, train=text)
    assert severities(report, "not-jsonl") == ["error"]
    assert lines(report, "not-jsonl")[0] == line


def test_a_line_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(GOOD.encode() + b'{"messages": "\xff"}\n')
    from graders_engine import Engine

    with Engine() as engine:
        report = engine.preflight(EXACT, train=tmp_path / "rows.jsonl")
    assert lines(report, "not-jsonl") == [61]


def test_a_byte_order_mark_is_only_mentioned(tmp_path: Path) -> None:
    assert severities(ask(tmp_path, train="\ufeff" + GOOD), "not-jsonl") == ["info"]


def test_a_file_that_does_not_exist_is_an_error_and_everything_else_is_still_said(
    tmp_path: Path,
) -> None:
    from graders_engine import Engine

    with Engine() as engine:
        report = engine.preflight({**EXACT, "operation": "eqq"}, train=tmp_path / "none.jsonl")
    assert severities(report, "not-jsonl") == ["error"]
    assert severities(report, "invalid-grader") == ["error"]


def test_a_key_that_stands_twice_in_an_object_is_a_warning(tmp_path: Path) -> None:
    twice = (
        GOOD + '{"messages": [{"role": "user", "content": "x?"}], "answer": "1", "answer": "2"}\n'
    )
    assert lines(ask(tmp_path, train=twice), "duplicate-key") == [61]
    assert not found(ask(tmp_path, train=GOOD), "duplicate-key")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "x", "answer": "1"}, "no key `messages`"),
        ({"messages": "x", "answer": "1"}, "no list"),
        ({"messages": [], "answer": "1"}, "empty"),
        ({"messages": [{"role": "human", "content": "x"}], "answer": "1"}, "'human'"),
        ({"messages": [{"role": "user", "content": {"text": "x"}}], "answer": "1"}, "an object"),
        ({"messages": [{"role": "user", "content": 5}], "answer": "1"}, "an integer"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "1"}],
          "answer": "1"}, "the assistant's"),
    ],
)  # fmt: skip
def test_rows_that_a_model_cannot_be_asked_with_are_an_error(
    tmp_path: Path, row: dict[str, Any], said: str
) -> None:
    report = ask(tmp_path, train=[*SUMS, row])
    finding = only(report, "bad-messages")
    assert finding.severity == "error"
    assert said in finding.message
    assert finding.where[0].line == 61


def test_an_assistant_may_speak_before_the_user(tmp_path: Path) -> None:
    turns = [{"role": "assistant", "content": "Ask."}, {"role": "user", "content": "1 + 1?"}]
    assert not found(
        ask(tmp_path, train=[*SUMS, {"messages": turns, "answer": "2"}]), "bad-messages"
    )


def test_a_system_message_for_a_model_of_the_o_series_is_a_warning(tmp_path: Path) -> None:
    rows = [
        {**row, "messages": [{"role": "system", "content": "Add."}, *row["messages"]]}
        for row in SUMS
    ]
    job = {"model": "o4-mini", "training_file": "a", "validation_file": "b"}
    assert severities(ask(tmp_path, EXACT, rows, job=job), "bad-messages") == ["warning"]
    assert not found(ask(tmp_path, EXACT, rows), "bad-messages")


def test_a_last_message_without_content_is_a_warning_but_an_image_is_content(
    tmp_path: Path,
) -> None:
    image = [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]
    rows = [*SUMS, prompt("  ", answer="1"), {**prompt("", answer="1"), "messages": [
        {"role": "user", "content": image}]}]  # fmt: skip
    assert lines(ask(tmp_path, train=rows), "empty-prompt") == [61]


@pytest.mark.parametrize(
    ("rows", "severity"), [(9, "warning"), (10, "info"), (49, "info"), (50, None)]
)
def test_few_rows_are_said(tmp_path: Path, rows: int, severity: str | None) -> None:
    report = ask(tmp_path, train=SUMS[:rows])
    assert severities(report, "row-count") == ([severity] if severity else [])


def test_more_rows_than_the_service_takes_are_an_error(tmp_path: Path) -> None:
    many = "".join(json.dumps(prompt(f"{n}?", answer=str(n))) + "\n" for n in range(1_001))
    assert severities(ask(tmp_path, validation=many), "row-count") == ["error"]


def test_validation_prompts_that_are_trained_on_are_a_warning(tmp_path: Path) -> None:
    again = prompt("What  is 11 + 12?".upper(), answer="23")
    rows = [*SUMS, prompt("What is 11 + 12?", answer="23")]
    report = ask(tmp_path, train=rows, validation=[again, prompt("Another?", answer="1")])
    finding = only(report, "overlap")
    assert (finding.severity, finding.rows) == ("warning", 1)


def test_prompts_that_are_nearly_the_same_are_only_mentioned(tmp_path: Path) -> None:
    text = "A train leaves at noon and arrives at three, having stopped twice on its way. How long was it? "
    report = ask(
        tmp_path,
        train=[*SUMS, prompt(text * 3, answer="3")],
        validation=[prompt(text * 3 + "!", answer="3")],
    )
    assert severities(report, "overlap") == ["info"]


def test_prompts_of_one_template_do_not_overlap(tmp_path: Path) -> None:
    assert not found(ask(tmp_path, train=SUMS[:50], validation=SUMS[50:]), "overlap")


def test_repeated_prompts_are_a_warning_from_five_per_cent_on(tmp_path: Path) -> None:
    assert severities(ask(tmp_path, train=[*SUMS, *SUMS[:3]]), "duplicate-rows") == ["info"]
    assert severities(ask(tmp_path, train=[*SUMS, *SUMS[:4]]), "duplicate-rows") == ["warning"]


def test_one_question_about_different_images_is_no_repetition(tmp_path: Path) -> None:
    def about(number: int) -> dict[str, Any]:
        image = {"type": "image_url", "image_url": {"url": f"https://x.test/{number}.png"}}
        content = [{"type": "text", "text": "What is this?"}, image]
        return {"messages": [{"role": "user", "content": content}], "answer": str(number)}

    report = ask(tmp_path, train=[about(number) for number in range(60)])
    assert not found(report, "duplicate-rows")
    assert not found(report, "conflicting-references")


def test_one_prompt_with_two_right_answers_is_a_warning(tmp_path: Path) -> None:
    report = ask(tmp_path, train=[*SUMS, {**SUMS[3], "answer": "99"}])
    assert lines(report, "conflicting-references") == [4, 61]
    same = ask(tmp_path, train=[*SUMS, {**SUMS[3], "comment": "seen twice"}])
    assert not found(same, "conflicting-references")


READS = {
    "type": "python",
    "source": 'def grade(sample, item):\n    return float(item["answer"] == sample)',
}


def test_a_field_of_several_types_is_a_warning_where_code_reads_it(tmp_path: Path) -> None:
    rows = [
        {**row, "answer": 7 if number == 2 else row["answer"]} for number, row in enumerate(SUMS)
    ]
    by_code = ask(tmp_path, READS, rows, select=("files",))
    assert severities(by_code, "mixed-types") == ["warning"]
    assert lines(by_code, "mixed-types") == [3]
    by_template = ask(tmp_path, EXACT, rows, select=("files",))
    assert severities(by_template, "mixed-types") == ["info"]


def test_a_field_that_is_a_list_in_some_rows_is_a_warning(tmp_path: Path) -> None:
    rows = [
        {**row, "answer": ["7"] if number < 3 else row["answer"]} for number, row in enumerate(SUMS)
    ]
    assert severities(ask(tmp_path, EXACT, rows, select=("files",)), "mixed-types") == ["warning"]


@pytest.mark.parametrize(
    "text", ["{} Answer: {}", "{}\nThe correct answer is **{}**", "{} (solution = {})"]
)
def test_an_answer_that_the_prompt_announces_is_a_warning(tmp_path: Path, text: str) -> None:
    rows = [prompt(text.format(n, n * 7), answer=str(n * 7)) for n in range(60)]
    leaks = "**" not in text and "{}" in text
    report = ask(tmp_path, train=rows, select=("files",))
    assert severities(report, "answer-in-prompt") == (["warning"] if leaks else [])


def test_an_assistants_turn_that_is_the_answer_is_a_warning(tmp_path: Path) -> None:
    def leaked(number: int) -> dict[str, Any]:
        turns = [("user", f"{number}?"), ("assistant", str(number)), ("user", "Again.")]
        messages = [{"role": role, "content": text} for role, text in turns]
        return {"messages": messages, "answer": str(number)}

    report = ask(tmp_path, train=[leaked(number) for number in range(60)], select=("files",))
    assert severities(report, "answer-in-prompt") == ["warning"]


@pytest.mark.parametrize(
    "row",
    [
        lambda n: prompt(f"Is {n} even? Answer yes or no.", answer="yes"),
        lambda n: prompt(f"Find the number in this text: {n} is what I meant.", answer=str(n)),
        lambda n: prompt(f"{n}? Choose the correct answer: A, B, C or D", answer="ABCD"[n % 4]),
    ],
)
def test_an_answer_that_merely_stands_in_the_prompt_is_no_leak(tmp_path: Path, row: Any) -> None:
    report = ask(tmp_path, train=[row(number) for number in range(60)], select=("files",))
    assert not found(report, "answer-in-prompt")


TOOLS = {**EXACT, "input": "{{sample.output_tools[0].function.arguments}}"}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def test_a_grader_of_tool_calls_needs_tools_in_the_rows(tmp_path: Path) -> None:
    assert severities(ask(tmp_path, TOOLS, select=("files",)), "tools-missing") == ["warning"]
    with_tools = [{**row, "tools": [TOOL]} for row in SUMS]
    assert not found(ask(tmp_path, TOOLS, with_tools, select=("files",)), "tools-missing")
    assert severities(ask(tmp_path, EXACT, with_tools, select=("files",)), "tools-missing") == [
        "info"
    ]


def test_a_prompt_that_no_model_can_read_is_a_warning(tmp_path: Path) -> None:
    rows = [*SUMS, prompt("word " * 170_000, answer="1")]
    report = ask(tmp_path, train=rows, select=("files",))
    assert lines(report, "long-prompts") == [61]
    assert report.measured["prompts"]["max"] == 850_000
