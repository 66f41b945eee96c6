"""What programs import, and with which interpreter."""

from __future__ import annotations

import sys

import pytest

from graders_engine.sandbox.base import Program, SandboxUnavailable
from graders_engine.sandbox.pool import Pool
from tests.sandbox.pools import ECHO, Environment, Run, grade


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


def test_an_interpreter_that_does_not_run_is_an_error(run: Run) -> None:
    async def body(pool: Pool) -> None:
        with pytest.raises(SandboxUnavailable, match="/nowhere/python"):
            await grade(pool, ECHO, {"want": 1}, interpreter="/nowhere/python")
        here = await grade(pool, ECHO, {"want": 1}, interpreter=sys.executable)
        assert here.reward == 1.0

    run(body)
