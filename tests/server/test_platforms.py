"""The server's help is shown where its packages are lacking; `tests/platforms` serves on other systems."""

from __future__ import annotations

import subprocess
import sys


def test_the_commands_help_needs_none_of_the_servers_packages() -> None:
    code = (
        "import sys\n"
        "for name in 'uvicorn', 'httptools', 'prometheus_client', 'starlette':\n"
        "    sys.modules[name] = None\n"
        "from graders_engine.cli.main import main\n"
        "main()\n"
    )
    asked = [sys.executable, "-c", code, "serve"]
    shown = subprocess.run([*asked, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "33554432" in shown.stdout
    refused = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "pip install '.[server]'" in refused.stderr
