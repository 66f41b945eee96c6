"""The port: what every sandbox promises, whoever runs it and whatever its tier."""

from __future__ import annotations

import asyncio
import glob
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine.sandbox.base import (
    GradeResult,
    Kind,
    Limits,
    Program,
    SandboxUnavailable,
    WorkerLost,
)
from graders_engine.sandbox.pool import Pool
from tests.sandbox.test_leaks import below

MIB = 1 << 20
ECHO = "def grade(sample, item): return item['want']"
Body = Callable[[Pool], Awaitable[None]]


def orphans() -> list[str]:
    """Grades without a template, found by the folder they work in."""
    links = glob.glob("/proc/[0-9]*/cwd")
    return [f for f in map(_target, links) if "/graders-" in f and f.endswith("(deleted)")]


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(100):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come about")


def available(tier: str) -> bool:
    async def attempt() -> bool:
        pool = Pool(tier, concurrency=1)
        try:
            return (await grade(pool, ECHO, {"want": 1})).reward == 1.0
        except SandboxUnavailable:
            return False
        finally:
            await pool.close()

    return asyncio.run(attempt())


async def grade(pool: Pool, source: str, item: Any = None, **more: Any) -> GradeResult:
    return await pool.grade(
        Program(source, **more), b'{"output_text": "x"}', json.dumps(item).encode()
    )


@pytest.fixture(params=["namespaces", "landlock", "none"])
def tier(request: pytest.FixtureRequest, known: dict[str, bool]) -> str:
    name = str(request.param)
    if name not in known:
        known[name] = available(name)
    if not known[name]:
        pytest.skip(f"this machine has no {name} tier")
    return name


@pytest.fixture(scope="session")
def known() -> dict[str, bool]:
    return {}


@pytest.fixture
def run(tier: str) -> Callable[..., None]:
    def with_pool(body: Body, limits: Limits | None = None, concurrency: int = 1) -> None:
        async def main() -> None:
            pool = Pool(tier, limits or Limits(wall_s=10.0), concurrency)
            try:
                await body(pool)
            finally:
                await pool.close()

        asyncio.run(main())

    return with_pool


class Environment:
    """A virtual environment without packages, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        home = os.path.dirname(os.path.realpath(sys.executable))
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
        (folder / "pyvenv.cfg").write_text(f"home = {home}\n")

    def with_modules(self, modules: dict[str, str]) -> str:
        """Its interpreter, after writing these modules into it."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = self._folder / "lib" / version / "site-packages"
        for name, source in modules.items():
            (packages / name).parent.mkdir(parents=True, exist_ok=True)
            (packages / name).write_text(source)
        return str(self._folder / "bin" / "python")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "env")


Run = Callable[..., None]


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


def test_each_call_starts_anew(run: Run) -> None:
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
def test_a_bad_return_says_what_came(run: Run, source: str, words: str) -> None:
    async def body(pool: Pool) -> None:
        result = await grade(pool, source)
        assert result.kind is Kind.BAD_RETURN
        assert words in result.details

    run(body)


def test_each_limit_has_its_own_words(run: Run) -> None:
    async def body(pool: Pool) -> None:
        for source, kind, words in (
            ("while True: pass", Kind.TIMEOUT, "killed after 0.5 s"),
            ("x = bytearray(1 << 30)", Kind.MEMORY, "memory limit of 128 MiB passed"),
            ("open('f', 'wb').write(b'x' * (9 << 20))", Kind.DISK, "disk limit of 8 MiB passed"),
            ("while True: print('x' * 9999)", Kind.OUTPUT, "output limit of 1 MiB passed"),
        ):
            result = await grade(pool, f"{source}\ndef grade(s, i): return 1.0")
            assert (result.kind, result.reward) == (kind, None), result
            assert result.details.startswith(words)

    limits = Limits(wall_s=0.5, memory_bytes=128 * MIB, disk_bytes=8 * MIB, output_bytes=MIB)
    run(body, limits)


def test_a_death_says_how(run: Run) -> None:
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
    source = "import os\npid = os.getppid()\nprint('ran')\ndef grade(s, i): return 1.0"

    async def body(pool: Pool) -> None:
        outputs = [(await grade(pool, source)).stdout for _ in range(3)]
        assert outputs == ["ran\n"] * 3

    run(body)


def test_no_environment_of_the_host_is_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADERS_SECRET", "secret")
    source = "import os\ndef grade(s, i): return float('GRADERS_SECRET' in os.environ)"

    async def body(pool: Pool) -> None:
        assert (await grade(pool, source)).reward == 0.0

    run(body)


def test_grades_run_side_by_side_up_to_the_limiter(run: Run) -> None:
    async def body(pool: Pool) -> None:
        source = "import time\ndef grade(s, i):\n    time.sleep(0.5)\n    return 1.0"
        await asyncio.gather(*(grade(pool, source) for _ in range(2)))
        started = time.monotonic()
        await asyncio.gather(*(grade(pool, source) for _ in range(4)))
        assert 1.0 <= time.monotonic() - started < 1.8

    run(body, concurrency=2)


def test_many_programs_share_few_workers(run: Run) -> None:
    async def body(pool: Pool) -> None:
        for _ in range(2):
            for k in range(12):
                result = await grade(pool, f"def grade(s, i): return {k}")
                assert result.reward == k
        assert len(pool.workers) <= 4

    run(body)


def test_a_worker_that_is_lost_costs_nothing_but_time(run: Run) -> None:
    async def body(pool: Pool) -> None:
        assert (await grade(pool, ECHO, {"want": 1})).reward == 1.0
        os.kill(pool.workers[0].pid, signal.SIGKILL)
        assert (await grade(pool, ECHO, {"want": 2})).reward == 2.0

    run(body)


def test_a_worker_that_is_lost_twice_is_said_to_be(run: Run) -> None:
    async def body(pool: Pool) -> None:
        async def kill_all() -> None:
            while True:
                await asyncio.sleep(0.02)
                for worker in pool.workers:
                    worker.kill()

        killer = asyncio.create_task(kill_all())
        with pytest.raises(WorkerLost):
            await grade(pool, "import time\ndef grade(s, i):\n    time.sleep(5)\n    return 1.0")
        killer.cancel()
        assert (await grade(pool, ECHO, {"want": 2})).reward == 2.0

    run(body)


def test_a_call_that_is_cancelled_ends_its_grade(run: Run) -> None:
    async def body(pool: Pool) -> None:
        task = asyncio.create_task(grade(pool, "while True: pass"))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await grade(pool, ECHO, {"want": 1})).reward == 1.0

    before = below(os.getpid())
    run(body)
    wait_until(lambda: below(os.getpid()) <= before and not orphans())


def test_what_a_grade_imports_is_not_there_for_the_next(run: Run) -> None:
    source = (
        "import sys, xml\nbefore = 'xml.dom.minidom' in sys.modules\n"
        "def grade(s, i):\n    __import__('.'.join(['xml', 'dom', 'minidom']))\n    return float(before)"
    )

    async def body(pool: Pool) -> None:
        assert [(await grade(pool, source)).reward for _ in range(8)] == [0.0] * 8

    run(body)


def test_modules_that_an_attribute_imports_are_there_before_the_first_grade(
    run: Run, environment: Environment
) -> None:
    lazy = (
        "def __getattr__(name):\n    import importlib\n"
        "    return importlib.import_module('lazy.' + name)\n"
    )
    interpreter = environment.with_modules({"lazy/__init__.py": lazy, "lazy/part.py": "VALUE = 1"})
    source = (
        "import sys, lazy as other\nbefore = 'lazy.part' in sys.modules\n"
        "def grade(s, i): return other.part.VALUE if before else 0.0"
    )

    async def body(pool: Pool) -> None:
        assert (await grade(pool, source, interpreter=interpreter)).reward == 1.0

    run(body)


def test_attributes_that_plain_python_lacks_are_lacking(run: Run) -> None:
    source = (
        "import xml\ndef grade(s, i):\n"
        "    try: xml.dom.minidom\n    except AttributeError: return 1.0\n    return 0.0"
    )

    async def body(pool: Pool) -> None:
        assert (await grade(pool, source)).reward == 1.0

    run(body)


def test_a_closed_sandbox_says_so(run: Run) -> None:
    async def body(pool: Pool) -> None:
        await pool.close()
        with pytest.raises(SandboxUnavailable, match="closed"):
            await grade(pool, ECHO, {"want": 1})
        await pool.close()

    run(body)


def test_a_sandbox_closed_under_a_call_ends_the_call(run: Run) -> None:
    async def body(pool: Pool) -> None:
        task = asyncio.create_task(grade(pool, "while True: pass"))
        await asyncio.sleep(0.3)
        await pool.close()
        with pytest.raises(SandboxUnavailable, match="closed"):
            await asyncio.wait_for(task, 5)

    run(body)


def test_imports_that_start_threads_get_a_warning(run: Run, environment: Environment) -> None:
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    interpreter = environment.with_modules({"threaded.py": thread})

    async def body(pool: Pool) -> None:
        program = Program("import threaded\ndef grade(s, i): return 1.0", interpreter=interpreter)
        assert (await pool.grade(program, b"1", b"1")).reward == 1.0
        assert pool.warnings(program) == [
            "its imports left threads running (1), which grades do not have: they may hang"
        ]

    run(body)


def test_an_interpreter_that_does_not_run_is_said_to(run: Run) -> None:
    async def body(pool: Pool) -> None:
        with pytest.raises(SandboxUnavailable, match="/nowhere/python"):
            await grade(pool, ECHO, {"want": 1}, interpreter="/nowhere/python")
        here = await grade(pool, ECHO, {"want": 1}, interpreter=sys.executable)
        assert here.reward == 1.0

    run(body)


@pytest.mark.parametrize("name", ["json", "not a name", "", "a.b"])
def test_a_module_name_that_would_hide_another_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be called"):
        Program(ECHO, name=name)


@pytest.mark.parametrize("field", ["wall_s", "memory_bytes", "disk_bytes", "cpus", "processes"])
def test_a_limit_of_nothing_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Limits(**{field: 0})


def test_what_is_too_large_is_a_result_in_words(run: Run) -> None:
    async def body(pool: Pool) -> None:
        source = await grade(pool, "#" * (1 << 20) + "\ndef grade(s, i): return 1.0")
        assert (source.kind, source.reward) == (Kind.EXCEPTION, None)
        assert "at most" in source.details
        row = await pool.grade(Program(ECHO), b" " * (200 << 20), b" " * (100 << 20))
        assert (row.kind, row.reward) == (Kind.EXCEPTION, None)
        assert "at most" in row.details

    run(body)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_the_engines_side_can_be_imported_where_there_is_no_sandbox(platform: str) -> None:
    """Imported as if on another system: without `resource` and `fcntl`, and with no C library."""
    code = (
        "import sys, asyncio, ctypes, shutil\n"  # which looks for Windows' own modules there
        f"sys.platform = {platform!r}\n"
        "sys.modules['resource'] = sys.modules['fcntl'] = None\n"
        "ctypes.CDLL = None\n"
        "from graders_engine.sandbox import base, images, pool, probe\n"
        "async def main():\n"
        "    try:\n"
        "        await pool.Pool().grade(base.Program('x'), b'1', b'1')\n"
        "    except base.SandboxUnavailable as error:\n"
        "        print(error)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "python graders need Linux" in done.stdout, done.stderr
