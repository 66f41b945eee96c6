"""What `validate` warns of because it is text, a key or a read that was probably meant as something else."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from graders_engine import Engine, InvalidGrader
from graders_engine.cli import main as cli

CHECK = {"type": "string_check", "name": "c", "operation": "eq", "input": "a", "reference": "a"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


def warned(engine: Engine, template: str) -> list[str]:
    return [str(warning) for warning in engine.validate({**CHECK, "input": template}).warnings]


@pytest.mark.parametrize(
    ("template", "cited"),
    [
        ("{% if item.a %}{{item.a}}{% endif %}", "`{% if item.a %}`, which is text here"),
        ("a\n{%- for x in item.xs -%}", "(line 2, column 1)"),
        ("{# a note #}{{item.a}}", "`{# a note #}`, which is text here"),
        ("{# two\nlines #}", "no conditions, loops or comments"),
        ("Grade {item.answer}", "A variable has two braces: {{item.answer}}."),
        ("Grade ${sample.output_text}", "`{sample.output_text}`, which is text here"),
        ('{ item["a b"] }', 'A variable has two braces: {{item["a b"]}}.'),
        (r"\{\{item.a\}\}", "A variable has two braces: {{item.a}}."),
        ("Grade \uff5b\uff5bitem.a\uff5d\uff5d now", "`\uff5b\uff5bitem.a`, which is text here"),
        ("&#123;&#123; sample.output_text &#125;&#125;", "`{{` and `}}`: {{sample.output_text}}."),
        ("&#x7b;&lbrace;item.a}}", "which is text here"),
        ("sample.output_text", "A variable has two braces: {{sample.output_text}}."),
        ("<<item.label>>", "A variable has two braces: {{item.label}}."),
        ("[[ sample.output_json.a ]]", "A variable has two braces: {{sample.output_json.a}}."),
        ("“{{item.a}}”", "typographic quotes are part of the text that is compared"),
        (" \u2018yes\u2019\n", "begins with `\u2018` and ends with `\u2019`"),
        ("{{item.a.strip()}}", "takes `strip()` for a key of the row, but there are no calls"),
        ("{{ item.a + 1 }}", "takes `a + 1` for a key of the row, but there are no expressions"),
        ("{{ item.a == 1 }}", 'write ["a == 1"] to be clear'),
        ("{{ item.a if item.b else item.c }}", "there are no expressions"),
        ("{{ item.a or item.b }}", "takes `a or item` for a key"),
        ("{{ item.a, item.b }}", "takes `a, item` for a key"),
        ("{{ item.a!r }}", "there are no expressions"),
        ("{{ item.a -}}", "there are no expressions"),
        ("{{item.xs.-1}}", "an index from the end is written like [-1]"),
    ],
)
def test_what_was_probably_meant_as_code_is_warned_of(
    engine: Engine, template: str, cited: str
) -> None:
    assert cited in "\n".join(warned(engine, template))


@pytest.mark.parametrize(
    "template",
    [
        "{{item.Input Query}} {{item.Score (1-5)}} {{item.Pros and Cons}} {{item.Q & A}}",
        "{{item.line item.price}}",
        "{{item.#}} {{item.2nd}} {{item.प्रश्न}} {{item.Is it right?}} {{item.a/b}} {{item.e-mail}}",
        '{{item["a + 1"]}} {{item["f()"]}}',
        '{"item": {{item.a}}} {a} {100%} {#1} C# {% 50',
        "{{{item.a}}} {{{{item.a}}}}",
        "{item}",
        "see item.a, sample.txt or &#123;item&#125;",
        "sample.txt",
        "item.1",
        "“{{item.a}}” or {{item.b}}",
        r"\boxed{{item.a}}",
        "\uff3f\uff5bitem\uff5d",
    ],
)
def test_plain_keys_and_texts_are_not_warned_of(engine: Engine, template: str) -> None:
    assert warned(engine, template) == []


def test_paths_that_differ_in_code_points_only_are_warned_of(engine: Engine) -> None:
    composed, decomposed = (unicodedata.normalize(form, "réponse") for form in ("NFC", "NFD"))
    [warning] = warned(engine, f"{{{{item.{composed}}}}} {{{{item.{decomposed}}}}}")
    assert "look the same" in warning
    assert "U+00E9 there, U+0065 U+0301 here" in warning
    assert warned(engine, f"{{{{item.{composed}}}}} {{{{item.{composed}}}}}") == []
    graders = {composed: CHECK, decomposed: CHECK}
    multi = {"type": "multi", "graders": graders, "calculate_output": f"{composed}+{decomposed}"}
    [twin] = engine.validate(multi).warnings
    assert twin.param == f"graders.{decomposed}"
    assert "written with other code points" in twin.message


READS = [
    'item["sample"]["output_text"]',
    'item.get("sample", {}).get("output_text")',
    'item["sample.output_text"]',
    'item.get("sample.output_text", "")',
    '(item or {}).get("sample")',
    'dict(item)["sample"]',
    'item.pop("sample")',
    '"sample" in item',
]


@pytest.mark.parametrize("read", READS)
def test_a_source_that_takes_the_output_from_the_item_is_warned_of(
    engine: Engine, read: str
) -> None:
    for source in (
        f"def grade(sample, item):\n    text = {read}\n    return 1.0\n",
        f"def grade(s, row):\n    item = row\n    text = {read}\n    return 1.0\n",
        f"def grade(sample, item):\n    return text(item)\n\ndef text(item):\n    return {read}\n",
    ):
        [warning] = engine.validate({"type": "python", "source": source}).warnings
        assert 'here it is `sample["output_text"]`' in warning.message
        assert warning.param == "source"


@pytest.mark.parametrize(
    "read",
    [
        'sample["output_text"]',
        'item["samples"]',
        'item["answer"]["sample"]',
        'sample["sample"]',
        'item.get("x", "sample")',
        '"sample" in item["text"]',
    ],
)
def test_other_reads_are_not_warned_of(engine: Engine, read: str) -> None:
    source = f"def grade(sample, item):\n    text = {read}\n    return 1.0\n"
    assert engine.validate({"type": "python", "source": source}).warnings == ()


def test_run_and_score_warn_once(tmp_path: Path) -> None:
    multi = {
        "type": "multi",
        "graders": {"a": {**CHECK, "input": "{% if %}"}, "b": {**CHECK, "reference": "{item.b}"}},
        "calculate_output": "a + b",
    }
    data, out = tmp_path / "rows.jsonl", str(tmp_path / "out.jsonl")
    data.write_text('{"item": {"b": 1}, "model_sample": "x"}\n' * 3)
    score = ["score", "--data", str(data), "--out", out]
    for command in (["run", "--model-sample", "x"], score, ["validate"]):
        ended = CliRunner().invoke(cli.graders, [*command, "--grader", json.dumps(multi)])
        assert ended.exit_code == 0, ended.stderr
        assert ended.stderr.count("warning: 'graders.a.input' has `{% if %}`") == 1
        assert ended.stderr.count("warning: 'graders.b.reference' has `{item.b}`") == 1


def test_what_only_azure_can_run_is_said_so(engine: Engine) -> None:
    evaluator = {"type": "azure_ai_evaluator", "name": "c", "evaluator_name": "builtin.coherence"}
    multi = {"type": "multi", "graders": {"c": evaluator}, "calculate_output": "c"}
    for grader, path in ((evaluator, "type"), (multi, "graders.c.type")):
        with pytest.raises(InvalidGrader) as refused:
            engine.validate(grader)
        [mistake] = refused.value.mistakes
        assert mistake.param == path
        assert "the evaluator 'builtin.coherence' of Azure AI Foundry" in mistake.hint
        assert "runs only in Azure" in mistake.hint


@pytest.mark.parametrize(
    ("head", "warns"),
    [
        ("def grade(item, sample):", True),
        ("def grade(item, output):", True),
        ("def grade(answer, _sample):", True),
        ("def grade(Item, sample, /):", True),
        ("def grade(sample, item):", False),
        ("def grade(_, item):", False),
        ("def grade(*given):", False),
        ("def helper(item, sample): ...\ndef grade(sample, item):", False),
        ("def grade(item, sample): ...\ndef grade(sample, item):", False),
    ],
)
def test_arguments_of_a_source_in_the_wrong_order_are_warned_of(
    engine: Engine, head: str, warns: bool
) -> None:
    response = engine.validate({"type": "python", "source": f"{head}\n    return 1.0\n"})
    said = [str(warning) for warning in response.warnings if "(sample, item)" in str(warning)]
    assert len(said) == warns
    assert all("Write `def grade(sample, item):`, with the sample first." in one for one in said)


def test_score_warns_of_arguments_in_the_wrong_order(tmp_path: Path) -> None:
    (tmp_path / "grader.py").write_text("def grade(item, sample):\n    return 0.0\n")
    (tmp_path / "rows.jsonl").write_text(json.dumps({"item": {}, "model_sample": "x"}) + "\n")
    arguments = ["score", str(tmp_path / "grader.py"), "--data", str(tmp_path / "rows.jsonl")]
    done = CliRunner().invoke(cli.graders, [*arguments, "--out", str(tmp_path / "out.jsonl")])
    assert "as if the item came first (line 1)" in done.output
