"""Python sources are read the same in one thread and in several."""

from __future__ import annotations

import ast
import gc
import os
import subprocess
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from graders_engine.graders.python_source import read
from graders_engine.language.syntax_tree import expression_tree, module_tree
from graders_engine.preflight.source_flow.read import read as flow_of

ENTRIES = ", ".join(f"{number}: [(a, {{b: [{number}]}})]" for number in range(200))
SOURCE = f"def grade(sample, item):\n    return float(sample['output_text'] == {{{ENTRIES}}})\n"


def at_several_depths(function: Callable[[], object]) -> Counter[str]:
    """What a function gave, or raised, in four threads whose stacks are of different depths."""
    found: list[str] = []

    def call(depth: int) -> None:
        if depth:
            return call(depth - 1)
        for _ in range(10):
            try:
                found.append(repr(function()))
            except (SystemError, RecursionError) as error:
                found.append(repr(error))
        return None

    threads = [threading.Thread(target=call, args=(depth,)) for depth in (0, 20, 40, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(found)


@pytest.fixture(autouse=True)
def code_runs_at_each_collection_of_garbage() -> Iterator[None]:
    """As other packages register it; while it runs, another thread may go on."""

    def callback(phase: str, info: dict[str, int]) -> None:
        pass

    gc.callbacks.append(callback)
    yield
    gc.callbacks.remove(callback)


def test_a_grader_is_valid_in_each_of_several_threads() -> None:
    assert at_several_depths(lambda: read(SOURCE).fault) == {"''": 40}
    assert at_several_depths(lambda: flow_of(SOURCE).known) == {"True": 40}


def test_a_source_is_read_while_another_package_reads_one() -> None:
    ends = threading.Event()

    def others() -> None:
        while not ends.is_set():
            try:
                ast.parse(SOURCE)
            except SystemError:  # what this is about
                continue

    other = threading.Thread(target=others)
    other.start()
    try:
        assert [type(module_tree(SOURCE)) for _ in range(40)] == [ast.Module] * 40
    finally:
        ends.set()
        other.join()


FORKS = """
import gc, os, signal, sys, threading
from graders_engine.language.syntax_tree import module_tree

def reads():
    while True:
        module_tree("x = 1")

threading.Thread(target=reads, daemon=True).start()
sys.setswitchinterval(1e-6)
for _ in range(60):
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        module_tree("x = 1")
        os._exit(0 if gc.isenabled() else 1)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_is_forked_while_a_thread_reads_a_source_can_read_one() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=True, timeout=120)


IN_BETWEEN = """
import faulthandler, os, signal, sys
from graders_engine.language.syntax_tree import module_tree

def handler(number, frame):
    module_tree("x = 1")
    if os.fork() == 0:
        module_tree("x = 1")
        os._exit(0)
    assert os.wait()[1] == 0
    print("handled")

def on_call(frame, event, argument):
    if event == "call" and frame.f_code.co_name == "parse":
        sys.setprofile(None)
        signal.raise_signal(signal.SIGUSR1)

faulthandler.dump_traceback_later(30, exit=True)
signal.signal(signal.SIGUSR1, handler)
sys.setprofile(on_call)
module_tree("x = 1")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_handler_of_a_signal_that_comes_while_a_source_is_read_reads_one_and_forks() -> None:
    command = [sys.executable, "-c", IN_BETWEEN]
    ended = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    assert ended.stdout == "handled\n"


def test_a_string_with_an_invalid_escape_is_read_without_a_warning() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        module_tree("'\\d'")
        expression_tree("'\\d'")
    assert said == []
