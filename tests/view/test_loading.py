"""The page's address is there at once; what answers for data is loaded when it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from graders_engine.settings import EngineSettings
from graders_engine.view.app import DATA, view_of_folders
from graders_engine.view.context import API
from graders_engine.view.data_routes import data_routes


def test_the_routes_that_are_named_are_those_that_are_loaded(tmp_path: Path) -> None:
    loaded = data_routes(view_of_folders([tmp_path], EngineSettings()))
    assert sorted((route.method, route.pattern.removeprefix(API)) for route in loaded) == sorted(
        DATA
    )
    assert all(route.needs_key and not route.versioned for route in loaded)


def test_neither_a_server_nor_the_list_of_commands_loads_numpy_for_the_page() -> None:
    for code in (
        "import graders_engine.view.app, graders_engine.view.starting",
        "from graders_engine.cli.main import graders; graders(['--help'], standalone_mode=False)",
    ):
        loaded = f"{code}\nimport sys\nassert not {{'numpy', 'scipy'}} & set(sys.modules)"
        ended = subprocess.run(
            [sys.executable, "-c", loaded], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
