"""What every sandbox promises, whatever its tier: the results of grades."""

from __future__ import annotations

import json

import pytest

from graders_engine.sandbox.base import Kind, Limits, Program
from graders_engine.sandbox.pool import Pool
from tests.sandbox.pools import ECHO, MIB, Run, grade


def test_a_reward_is_the_float_that_grade_returned(run: Run) -> None:
    async def body(pool: Pool) -> None:
        for want in (0.1, -2.5, 1e300, 5e-324, 0.0, 1):
            result = await grade(pool, ECHO, {"want": want})
            assert result.kind is Kind.VALUE
            assert result.reward == want
            assert result.seconds > 0

    run(body)


def test_grade_gets_sample_and_item_as_they_were(run: Run) -> None:
    sample = {"output_text": "\ud800\x00é\U0001d518", "output_json": [1, None, {"a": 0.1}]}
    source = "import json\ndef grade(s, i): return float(s == i)"

    async def body(pool: Pool) -> None:
        text = json.dumps(sample).encode()
        assert (await pool.grade(Program(source), text, text)).reward == 1.0

    run(body)


def test_a_large_row_comes_through(run: Run) -> None:
    async def body(pool: Pool) -> None:
        source = "def grade(s, i): return float(len(i))"
        assert (await grade(pool, source, "x" * (5 * MIB))).reward == 5 * MIB
        assert (await grade(pool, ECHO, {"want": 1})).reward == 1.0

    run(body)


def test_a_row_that_is_not_read_does_no_harm(run: Run) -> None:
    async def body(pool: Pool) -> None:
        result = await grade(pool, "syntax error", "x" * (5 * MIB))
        assert result.kind is Kind.EXCEPTION
        assert (await grade(pool, "syntax error", 1)).kind is Kind.EXCEPTION

    run(body)


def test_the_failure_of_a_source_without_grade_names_nothing_of_the_engine(run: Run) -> None:
    async def body(pool: Pool) -> None:
        result = await grade(pool, "def grad(s, i): return 1.0")
        assert result.kind is Kind.EXCEPTION
        assert result.details == "the source defines no function named grade"

    run(body)


def test_each_call_runs_the_module_from_the_start(run: Run) -> None:
    source = "calls = 0\ndef grade(s, i):\n    global calls\n    calls += 1\n    return calls"

    async def body(pool: Pool) -> None:
        assert [(await grade(pool, source)).reward for _ in range(3)] == [1.0, 1.0, 1.0]

    run(body)


def test_random_numbers_differ_unless_a_seed_is_given(run: Run) -> None:
    source = "import random, numpy\ndef grade(s, i): return random.random() + numpy.random.random()"

    async def body(pool: Pool) -> None:
        free = {(await grade(pool, source)).reward for _ in range(6)}
        held = {(await grade(pool, source, seed=7)).reward for _ in range(6)}
        assert len(free) == 6
        assert len(held) == 1

    run(body)


def test_an_exception_ends_with_the_traceback_of_user_code_and_nothing_of_ours(run: Run) -> None:
    source = "def grade(sample, item):\n    return inner()\ndef inner():\n    return 1 / 0\n"

    async def body(pool: Pool) -> None:
        result = await grade(pool, source)
        assert result.kind is Kind.EXCEPTION
        assert result.reward is None
        # Where the carets stand, and whether there are any, differs between versions of Python.
        lines = [line for line in result.details.splitlines() if line.strip(" ^~")]
        assert lines == [
            "Traceback (most recent call last):",
            '  File "grader.py", line 2, in grade',
            "    return inner()",
            '  File "grader.py", line 4, in inner',
            "    return 1 / 0",
            "ZeroDivisionError: division by zero",
        ]

    run(body)


def test_an_exception_has_the_name_of_its_type(run: Run) -> None:
    async def body(pool: Pool) -> None:
        missing = await grade(pool, "def grade(s, i): import no_such_module")
        assert missing.exception == "ModuleNotFoundError"
        hostile = (
            "class Meta(type):\n    __name__ = property(lambda cls: 1 / 0)\n"
            "class Odd(Exception, metaclass=Meta): pass\n"
            "def grade(s, i): raise Odd\n"
        )
        odd = await grade(pool, hostile)
        assert (odd.kind, odd.reward, odd.exception) == (Kind.EXCEPTION, None, "exception")
        assert (await grade(pool, ECHO, {"want": 1})).exception == ""

    run(body)


def test_a_syntax_error_shows_its_caret(run: Run) -> None:
    async def body(pool: Pool) -> None:
        result = await grade(pool, "def grade(sample, item) return 1")
        assert result.kind is Kind.EXCEPTION
        assert "    def grade(sample, item) return 1\n" in result.details
        assert "^" in result.details

    run(body)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "def grade(s, i): return None",
            "grade returned NoneType: must be real number, not NoneType",
        ),
        ("def grade(s, i): return '1.0'", "grade returned str"),
        ("def grade(s, i): return float('nan')", "grade returned nan; a finite number is wanted"),
        ("async def grade(s, i): return 1.0", "grade returned coroutine"),
        ("def grade(s, i): return 10 ** 400", "grade returned int: int too large"),
    ],
)
def test_a_bad_return_is_named_with_its_type(run: Run, source: str, words: str) -> None:
    async def body(pool: Pool) -> None:
        result = await grade(pool, source)
        assert result.kind is Kind.BAD_RETURN
        assert words in result.details

    run(body)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("while True: pass", Kind.TIMEOUT, "killed after 0.5 s"),
        ("x = bytearray(1 << 30)", Kind.MEMORY, "memory limit of 128 MiB passed"),
        ("open('f', 'wb').write(b'x' * (9 << 20))", Kind.DISK, "disk limit of 8 MiB passed"),
        ("while True: print('x' * 9999)", Kind.OUTPUT, "output limit of 1 MiB passed"),
    ],
)
def test_each_limit_has_its_own_words(run: Run, code: str, kind: Kind, words: str) -> None:
    async def body(pool: Pool) -> None:
        result = await grade(pool, f"{code}\ndef grade(s, i): return 1.0")
        assert (result.kind, result.reward) == (kind, None), result
        assert result.details.startswith(words)

    wall_s = 0.5 if kind is Kind.TIMEOUT else 60.0
    run(body, Limits(wall_s=wall_s, memory_bytes=128 * MIB, disk_bytes=8 * MIB, output_bytes=MIB))


def test_a_death_is_explained(run: Run) -> None:
    async def body(pool: Pool) -> None:
        crash = await grade(pool, "import ctypes\ndef grade(s, i): ctypes.string_at(0)")
        leave = await grade(pool, "import os\ndef grade(s, i): os._exit(3)")
        assert crash.kind is leave.kind is Kind.DIED
        assert "SIGSEGV" in crash.details
        assert "exited with code 3" in leave.details

    run(body)


def test_what_is_printed_is_kept_apart_and_never_counts(run: Run) -> None:
    source = "import sys\nprint('top')\ndef grade(s, i):\n    print('0.9', file=sys.stderr)\n    return 0.5"

    async def body(pool: Pool) -> None:
        result = await grade(pool, source)
        assert (result.reward, result.stdout, result.stderr) == (0.5, "top\n", "0.9\n")

    run(body)


def test_beginning_and_end_of_much_output_are_kept(run: Run) -> None:
    source = "def grade(s, i):\n    for k in range(100_000): print(k)\n    return 1.0"

    async def body(pool: Pool) -> None:
        result = await grade(pool, source)
        assert result.reward == 1.0
        assert result.stdout.startswith("0\n1\n")
        assert result.stdout.endswith("99998\n99999\n")
        assert "bytes left out" in result.stdout
        assert len(result.stdout) < 2 * 8192 + 100

    run(body)


def test_what_was_printed_before_the_end_is_not_lost(run: Run) -> None:
    async def body(pool: Pool) -> None:
        result = await grade(pool, "print('here')\nwhile True: pass")
        assert (result.kind, result.stdout) == (Kind.TIMEOUT, "here\n")

    run(body, Limits(wall_s=0.3))


def test_the_template_never_runs_a_line_of_the_source(run: Run) -> None:
    source = "import sys\nsys.runs = getattr(sys, 'runs', 0) + 1\ndef grade(s, i): return sys.runs"

    async def body(pool: Pool) -> None:
        assert [(await grade(pool, source)).reward for _ in range(6)] == [1.0] * 6

    run(body)


def test_no_environment_of_the_host_is_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADERS_SECRET", "secret")
    source = "import os\ndef grade(s, i): return float('GRADERS_SECRET' in os.environ)"

    async def body(pool: Pool) -> None:
        assert (await grade(pool, source)).reward == 0.0

    run(body)


@pytest.mark.parametrize("name", ["json", "not a name", "", "a.b"])
def test_a_module_name_that_would_hide_another_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be called"):
        Program(ECHO, name=name)


@pytest.mark.parametrize("field", ["wall_s", "memory_bytes", "disk_bytes", "cpus", "processes"])
def test_a_limit_of_nothing_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Limits(**{field: 0})


def test_what_is_too_large_is_a_result_with_the_limit(run: Run) -> None:
    async def body(pool: Pool) -> None:
        source = await grade(pool, "#" * (1 << 20) + "\ndef grade(s, i): return 1.0")
        assert (source.kind, source.reward) == (Kind.EXCEPTION, None)
        assert "at most" in source.details
        row = await pool.grade(Program(ECHO), b" " * (200 << 20), b" " * (100 << 20))
        assert (row.kind, row.reward) == (Kind.EXCEPTION, None)
        assert "at most" in row.details

    run(body)
