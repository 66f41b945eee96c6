"""What every test has at hand."""

from __future__ import annotations

import gc
import itertools
import os
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from graders_engine import Engine

# Timing decides no test: an example may take long on a busy machine. The usual run tries the same examples
# each time; `HYPOTHESIS_PROFILE=nightly` tries new ones, and prints how to repeat one that fails.
settings.register_profile(
    "same",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "nightly", settings.get_profile("same"), derandomize=False, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

STRING_CHECK: dict[str, Any] = {
    "type": "string_check",
    "name": "label",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}


TESTS = Path(__file__).parent
OFFLINE = TESTS / "offline"
# Pythons that a test starts find `sitecustomize` there by themselves.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH", "")])
)
runpy.run_path(str(OFFLINE / "sitecustomize.py"))


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores, for `-n auto`: half of the time, tests wait for processes they start."""
    return len(os.sched_getaffinity(0)) + 2


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Neighbouring tests stay on one worker, which makes their servers and browsers once."""
    from xdist.scheduler import WorkStealingScheduling  # type: ignore[import-untyped]

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests start first, so that none is left alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Leave the thousands of collected tests out of each collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def kept_replies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder with a folder for each test: pytest looks through all of its own to name another."""
    folder = tmp_path_factory.mktemp("kept")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def no_judge_of_the_users(monkeypatch: pytest.MonkeyPatch, kept_replies: Iterator[Path]) -> None:
    """What the environment says of judges stays out, and what tests keep stays out of the home folder."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = next(kept_replies)
    folder.mkdir()
    monkeypatch.setenv("GRADERS_CACHE", str(folder / "replies.sqlite"))


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


@pytest.fixture
def string_check() -> dict[str, Any]:
    return dict(STRING_CHECK)


@pytest.fixture
def name_email() -> dict[str, Any]:
    """The multi grader of the API's guide."""
    return {
        "type": "multi",
        "graders": {
            "name": {
                "type": "text_similarity",
                "name": "name_grader",
                "input": "{{sample.output_json.name}}",
                "reference": "{{item.name}}",
                "evaluation_metric": "fuzzy_match",
            },
            "email": {
                "type": "string_check",
                "name": "email_grader",
                "input": "{{sample.output_json.email}}",
                "reference": "{{item.email}}",
                "operation": "eq",
            },
        },
        "calculate_output": "(name + email) / 2",
    }
