"""How right answers are made wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from graders_engine.preflight.corruptions.catalog import BY_NAME, OPERATORS, corruptions_of
from graders_engine.preflight.corruptions.operator import Answer
from graders_engine.preflight.corruptions.plan import NAME, RIGHT
from graders_engine.preflight.corruptions.text import another_number
from graders_engine.preflight.corruptions.tolerance import variants
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import Call, calls_of, same_answer, with_calls
from tests.preflight.ask import EXACT, ask
from tests.preflight.attacks.graders import PEOPLE


def changed(
    operator: str, answer: Sample, *others: Sample, closed: bool = False, tools: Sequence[str] = ()
) -> dict[str, Any]:
    found = BY_NAME[operator].change(Answer(answer, others, closed, tools))
    return {one.field: one.sample for one in found}


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ("42", "52"),
        ("9.5", "8.5"),
        ("7,215.85", "8,215.85"),
        ("-3", "-4"),
        ("0.07", "0.08"),
        ("first 12, then 30", "first 12, then 40"),
        ("2024-03-28", "2024-03-01"),
        ("on 2024-03-05.", "on 2024-03-06."),
        (7215.85, 8215.85),
        (12, 22),
        (0, 1),
        (True, None),
        (None, None),
        ("none", None),
    ],
)
def test_the_leading_digit_of_the_last_number_is_another_one(value: Any, other: Any) -> None:
    assert another_number(value) == other


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("Yes", "No"),
        ("It is true.", "It is false."),
        ("The seller must pay.", "The seller must not pay."),
        ("They shall not leave.", "They shall leave."),
        ("TRUE", "FALSE"),
    ],
)
def test_a_text_is_negated(text: str, negated: str) -> None:
    assert changed("negation", text) == {"the text": negated}


def test_only_the_answer_of_a_text_that_reasons_is_changed() -> None:
    text = "There are 3 apples, which is not few.\n#### 12"
    assert changed("number", text) == {"the text": "There are 3 apples, which is not few.\n#### 22"}
    assert not changed("negation", text)
    assert changed("number", "<answer>12</answer>") == {"the text": "<answer>22</answer>"}


def test_parts_of_json_are_changed_one_by_one() -> None:
    answer = json.dumps({"total": 12, "items": [{"price": "3"}], "paid": True})
    assert changed("number", answer) == {
        "total": json.dumps({"total": 22, "items": [{"price": "3"}], "paid": True}),
        "items[].price": json.dumps({"total": 12, "items": [{"price": "4"}], "paid": True}),
    }
    assert list(changed("negation", answer)) == ["paid"]
    assert list(changed("drop-key", answer)) == ["total", "items", "paid"]


def test_a_key_takes_the_value_of_another_row() -> None:
    found = changed("other-value", '{"a": 1, "b": 2}', '{"a": 1, "b": 3}', '{"a": 4, "b": null}')
    assert found == {"a": '{"a": 4, "b": 2}', "b": '{"a": 1, "b": 3}'}


def test_two_texts_are_exchanged() -> None:
    assert changed("swap-fields", '{"a": "x", "b": "y", "c": 1}') == {
        "a and b": '{"a": "y", "b": "x", "c": 1}'
    }
    assert not changed("swap-fields", '{"a": "x", "b": "x"}')


def test_a_key_is_added_where_the_schema_allows_none() -> None:
    assert not changed("extra-key", '{"a": 1}')
    assert changed("extra-key", '{"a": 1}', closed=True) == {
        "the answer": '{"a": 1, "comment": "no"}'
    }


def test_lists_lose_repeat_and_reorder_their_elements() -> None:
    answer = '{"tags": ["a", "b"]}'
    assert changed("list-drop", answer) == {"tags": '{"tags": ["a"]}'}
    assert changed("list-duplicate", answer) == {"tags": '{"tags": ["a", "b", "b"]}'}
    assert changed("list-reorder", answer) == {"tags": '{"tags": ["b", "a"]}'}
    assert changed("list-drop", '["a", "b"]') == {"the list": '["a"]'}


def test_calls_change_their_arguments_and_their_number() -> None:
    answer = with_calls([Call("find", {"city": "Bonn", "days": 3})])
    found = changed("argument", answer)
    assert calls_of(found["find.city"]) == [("find", {"city": "something else", "days": 3})]
    assert calls_of(found["find.days"]) == [("find", {"city": "Bonn", "days": 4})]
    assert not calls_of(changed("call-drop", answer)["the calls"])
    assert len(calls_of(changed("call-twice", answer)["the calls"])) == 2
    assert calls_of(changed("call-name", answer)["find"])[0].name == "find_other"


@pytest.mark.parametrize(
    ("tools", "other"), [((), ["find_other"]), (("find",), []), (("find", "book"), ["book"])]
)
def test_another_tool_is_one_that_the_model_is_given(
    tools: tuple[str, ...], other: list[str]
) -> None:
    found = changed("call-name", with_calls([Call("find", {})]), tools=tools)
    assert [calls_of(one)[0].name for one in found.values()] == other


PROGRAM = "def f(x):\n    if x < 3:\n        x = 0\n    return x"


def test_programs_change_what_they_do() -> None:
    assert changed("code-comparison", PROGRAM) == {"the text": PROGRAM.replace("<", ">=")}
    assert changed("code-constant", PROGRAM) == {"the text": PROGRAM.replace("3", "4")}
    assert changed("code-last-line", PROGRAM) == {"the text": PROGRAM.rpartition("\n")[0]}
    fenced = f"```python\n{PROGRAM}\n```"
    assert changed("code-last-line", fenced)["the text"].endswith("x = 0\n```")


def test_short_texts_are_neither_cut_nor_shuffled() -> None:
    assert not changed("cut-half", "one two three four five")
    assert changed("cut-half", "one two three four five six") == {"the text": "one two three"}
    assert not changed("word-order", "one two three")
    assert sorted(changed("word-order", "one two three four")["the text"].split()) == [
        "four", "one", "three", "two",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        "The total is 12 and it is due.", '{"a": "yes", "b": [1, 2], "c": {"d": "2024-01-01"}}', PROGRAM,
        with_calls([Call("find", {"city": "Bonn"})]), "word", "",
    ],
)  # fmt: skip
def test_no_corruption_says_what_the_answer_says(answer: Sample) -> None:
    for one in corruptions_of(Answer(answer, ['{"a": "no"}'])):
        assert not same_answer(answer, one.sample), one


def test_each_operator_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(OPERATORS)


def test_corruptions_are_drawn_evenly_over_operators_and_fields(tmp_path: Path) -> None:
    rows = [
        {"expected": {f"k{n}": f"the {n} is {n * at + 11} days" for n in range(12)}}
        for at in range(30)
    ]
    report = ask(
        tmp_path, EXACT, rows, reference_field="expected", select=("corruption-unnoticed",)
    )
    labels = [trial.ask.label for trial in report.inputs.trials[NAME]]
    counts = Counter(label for label in labels if label != RIGHT)
    assert sum(counts.values()) == 120
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_right_answer_is_written_in_other_ways() -> None:
    assert dict(variants("it is 7215.85")) == {
        "trailing newline": "it is 7215.85\n",
        "code fence": "```\nit is 7215.85\n```",
        "The answer is X.": "The answer is it is 7215.85.",
        "**bold**": "**it is 7215.85**",
        "upper case": "IT IS 7215.85",
        "7,215.85 for 7215.85": "it is 7,215.85",
    }
    assert list(dict(variants('{"a": 1, "b": 2}'))) == [
        "trailing newline", "indented JSON", "other key order", "code fence",
    ]  # fmt: skip


def test_tolerance_is_the_share_of_the_reward_that_is_kept(tmp_path: Path) -> None:
    report = ask(tmp_path, EXACT, PEOPLE, reference_template="{{item.expected.name}}")
    assert "tolerance" not in report.measured  # no right answer is rewarded
    rows = [{"answer": person["expected"]["name"]} for person in PEOPLE]
    kept = {
        one["name"]: one["kept"]
        for one in ask(tmp_path, {**EXACT, "operation": "ilike"}, rows).measured["tolerance"]
    }
    others = ("code fence", "The answer is X.", "**bold**", "upper case")
    assert kept == dict.fromkeys(("trailing newline", *others), 1.0)
