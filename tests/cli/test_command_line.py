"""The command line understands what the official one sends, and reports mistakes in sentences."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from graders_engine.cli import main as cli
from graders_engine.cli import request
from graders_engine.cli.request import read_request
from graders_engine.errors import InvalidRequest
from tests import forked

CASES = json.loads(
    (Path(__file__).parent.parent / "compliance" / "command_line.json").read_text(encoding="utf-8")
)
NEEDED: dict[str, list[tuple[str, ...]]] = {
    "run": [("grader",), ("model_sample", "sample")],
    "validate": [("grader",)],
}
CHECK = (
    '{input: "{{sample.output_text}}", name: n, operation: eq, reference: cat, type: string_check}'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the cases name, as the working directory."""
    (tmp_path / "graders").mkdir()
    (tmp_path / "g.py").write_text("def grade(sample, item):\n    return 1.0\n")
    (tmp_path / "item.json").write_text('{"a":"hello","n":1}\n')
    (tmp_path / "handles.json").write_text('{"handle": "@john.doe"}')
    (tmp_path / "latin.json").write_bytes(b'{"name": "caf\xe9"}')
    (tmp_path / "graders" / "python.yaml").write_text(
        'type: python\nname: "@handle"\nsource: "@g.py"\n'
    )
    (tmp_path / "graders" / "g.py").write_text("def grade(sample, item):\n    return 0.5\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def graders(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real command."""
    return forked.graders(*arguments, given=stdin or "")


def understood(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    """The request that our flags and standard input make; None if they are rejected."""
    stdin = folder / "stdin"
    stdin.write_text(case.get("stdin", ""), encoding="utf-8")
    name, *arguments = case["arguments"]
    command = cli.graders.get_command(click.Context(cli.graders), name)
    assert command is not None
    with stdin.open(encoding="utf-8") as opened:
        monkeypatch.setattr(sys, "stdin", opened)
        try:
            flags = command.make_context(name, list(arguments)).params
            return read_request({key: flags.get(key) for key in request.KEYS}, NEEDED[name])
        except (InvalidRequest, click.UsageError):
            return None


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_command_is_understood_as_by_the_official_one(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    assert understood(case, monkeypatch, folder) == case.get("ours", case.get("sent"))


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if "sent" in case],
    ids=[case["name"] for case in CASES if "sent" in case],
)
def test_the_real_command_fails_where_the_official_one_does(
    case: dict[str, Any], folder: Path
) -> None:
    """It succeeds if the document is a valid grader."""
    ended = graders(*case["arguments"], stdin=case.get("stdin"))
    sound = case["sent"] and (case["sent"]["grader"] or {}).get("operation")
    assert ended.returncode == (0 if sound else 2)
    assert "Traceback" not in ended.stderr


def test_run_prints_the_response_with_its_keys_in_the_served_order() -> None:
    ended = graders("run", "--grader", CHECK, "--model-sample", "cat")
    assert list(json.loads(ended.stdout)) == [
        "reward",
        "metadata",
        "sub_rewards",
        "model_grader_token_usage_per_model",
    ]
    assert ended.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["--field", "reward"], "1.0\n"),
        (["--transform", "reward"], "1.0\n"),
        (["--field", "metadata.name"], "n\n"),
        (["--field", "metadata.scores", "--format", "jsonl"], "{}\n"),
        (["--field", "reward", "--format", "yaml"], "1.0\n"),
        (["--field", "metadata.token_usage"], "null\n"),
    ],
)
def test_one_value_is_printed_bare(arguments: list[str], printed: str) -> None:
    ended = CliRunner().invoke(
        cli.graders, ["run", "--grader", CHECK, "--model-sample", "cat", *arguments]
    )
    assert ended.stdout == printed


def test_yaml_output_reads_back_as_the_same_response() -> None:
    from ruamel.yaml import YAML

    both = [
        CliRunner().invoke(
            cli.graders, ["run", "--grader", CHECK, "--model-sample", "cat", "--format", form]
        )
        for form in ("yaml", "json")
    ]
    yaml, plain = YAML(typ="safe").load(both[0].stdout), json.loads(both[1].stdout)
    yaml["metadata"]["execution_time"] = plain["metadata"]["execution_time"]
    assert yaml == plain


@pytest.mark.parametrize("field", ["rewards", "reward.x", "metadata.nam"])
def test_a_missing_field_is_named_in_the_error(field: str) -> None:
    ended = CliRunner().invoke(
        cli.graders, ["run", "--grader", CHECK, "--model-sample", "x", "--field", field]
    )
    assert ended.exit_code == 2
    assert f"--field {field}: the response has no" in ended.stderr


def test_a_grader_that_fails_on_the_row_gives_a_result_with_the_reason() -> None:
    grader = CHECK.replace("reference: cat", 'reference: "{{item.label}}"')
    ended = CliRunner().invoke(
        cli.graders, ["run", "--grader", grader, "--model-sample", "", "--field", "reward"]
    )
    assert ended.exit_code == 0
    assert ended.stdout == "0.0\n"
    assert (
        "invalid_variable_error: `item.label`: `item` has no key `label` (it is empty)"
        in ended.stderr
    )
    assert "unresponsive_reward_error\n" in ended.stderr


def test_the_details_of_several_parts_stand_below_their_flag() -> None:
    a, b = (CHECK.replace("cat", f'"{{{{item.{key}}}}}"') for key in "ab")
    multi = f"{{type: multi, graders: {{a: {a}, b: {b}}}, calculate_output: a + b}}"
    ended = CliRunner().invoke(cli.graders, ["run", "--grader", multi, "--model-sample", "x"])
    lines = (f"    {key}: `item.{key}`: `item` has no key `{key}` (it is empty)" for key in "ab")
    assert ended.stderr == "\n".join(["invalid_variable_error:", *lines, ""])


def test_validate_echoes_the_grader_and_warns() -> None:
    multi = f"{{type: multi, graders: {{a: {CHECK}, b-c: {CHECK}}}, calculate_output: a}}"
    ended = CliRunner().invoke(cli.graders, ["validate", "--grader", multi])
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["grader"]["calculate_output"] == "a"
    assert "'graders.b-c' is run, but 'calculate_output' does not use it." in ended.stderr
    assert "A formula cannot name 'b-c'" in ended.stderr


def test_validate_prints_every_mistake_with_path_caret_and_suggestion() -> None:
    grader = {
        "type": "multi",
        "graders": {
            "a": {
                "type": "string_check",
                "input": "{{ items.x }}",
                "refrence": "x",
                "operation": "equals",
            }
        },
        "calculate_output": "a + bb",
    }
    ended = CliRunner().invoke(cli.graders, ["validate", "--grader", json.dumps(grader)])
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        "The grader has 5 mistakes:\n"
        "\n"
        "graders.a.input\n"
        "  Invalid 'graders.a.input': unknown namespace `items`: did you mean `item`? (line 1, column 4).\n"
        "  {{ items.x }}\n"
        "     ^^^^^\n"
        "\n"
        "graders.a.operation\n"
        "  Invalid value: 'equals'. Supported values are: 'eq', 'ne', 'like', and 'ilike'.\n"
        "  Did you mean 'eq'?\n"
        "\n"
        "graders.a.reference\n"
        "  Missing required parameter: 'graders.a.reference'.\n"
        "\n"
        "graders.a.refrence\n"
        "  Unknown parameter: 'graders.a.refrence'. Did you mean 'reference'?\n"
        "\n"
        "calculate_output\n"
        "  Invalid 'calculate_output': no grader has the key `bb` (there are: a) (line 1, column 5).\n"
        "  a + bb\n"
        "      ^^\n"
    )


def test_the_error_about_an_unquoted_template_shows_how_to_quote_it() -> None:
    for grader in ("{input: {{sample.output_text}}}", "input: {{item.a}} and more"):
        ended = CliRunner().invoke(cli.graders, ["validate", "--grader", grader])
        assert ended.exit_code == 2
        assert (
            'A template must be in quotes, as in {input: "{{sample.output_text}}"}.' in ended.stderr
        )


def test_an_alias_bomb_is_rejected_before_it_expands() -> None:
    bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    ended = CliRunner().invoke(cli.graders, ["validate", "--grader", bomb])
    assert ended.exit_code == 2
    assert "repeated aliases included" in ended.stderr


def test_schema_is_a_json_schema_that_accepts_a_grader() -> None:
    ended = CliRunner().invoke(cli.graders, ["schema"])
    schema = json.loads(ended.stdout)
    assert schema["$schema"].endswith("2020-12/schema")
    assert "MultiGrader" in schema["$defs"]


def test_help_names_every_command() -> None:
    ended = graders("--help")
    assert ended.returncode == 0
    for name in cli.COMMANDS:
        assert f"\n  {name} " in ended.stdout
        assert CliRunner().invoke(cli.graders, [name, "--help"]).exit_code == 0


def test_an_unknown_command_is_rejected() -> None:
    assert CliRunner().invoke(cli.graders, ["evaluate"]).exit_code == 2


def test_a_silent_pipe_does_not_hang_a_complete_request(monkeypatch: pytest.MonkeyPatch) -> None:
    program = [
        sys.executable,
        "-m",
        "graders_engine",
        "run",
        "--grader",
        CHECK,
        "--model-sample",
        "cat",
    ]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        answer = process.stdout.read()
        warning = process.stderr.read()
    assert json.loads(answer)["reward"] == 1.0
    assert "standard input is open but silent" in warning


def test_standard_input_that_is_not_a_file_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("{}"))
    assert not request.stdin_has_document(complete=False)
    with Path("/dev/null").open(encoding="utf-8") as null:
        monkeypatch.setattr(sys, "stdin", null)
        assert not request.stdin_has_document(complete=False)


def test_text_that_the_terminal_cannot_print_is_escaped() -> None:
    grader = json.dumps(
        {"type": "string_check", "input": "{{item.\ud800}}", "reference": "", "operation": "eq"}
    )
    ended = graders("run", "--grader", grader, "--model-sample", "x")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("score --ray-cpus two", "'--ray-cpus': 'two' is not a number."),
        ("score --ray-cpus 0", "'--ray-cpus': 0.0 is not above 0."),
        ("score --workers many", "'--workers': 'many' is not a whole number."),
        ("score --workers 0", "'--workers': 0 is less than 1."),
        ("serve --port 65536", "'--port': 65536 is not from 0 to 65535."),
    ],
)
def test_a_number_that_is_none_or_out_of_bounds_is_told_in_plain_words(
    options: str, said: str
) -> None:
    ended = CliRunner().invoke(cli.graders, options.split())
    assert ended.exit_code == 2
    assert ended.stderr.endswith(f"Error: Invalid value for {said}\n"), ended.stderr
