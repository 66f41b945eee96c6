"""The whole story of a model with the stock SDK, against a real server: `whole_story.py` tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from graders_engine.inference.gpu import leave
from tests.server.serving import serving

CONFIG = """
[base_models.base]
path = "{path}"
learning_rate = 5e-3
max_completion_tokens = 60
[projects.research]
api_key_env = "KEY_THEIRS"
[inference]
idle_s = 30
"""
KEYS = {
    "KEY_MINE": "sk-mine",
    "KEY_THEIRS": "sk-theirs",
    "KEY_ADMIN": "sk-admin",
    "THEIRS": "research",
}


def test_one_script_trains_asks_shares_takes_back_evaluates_and_judges(
    base: Path, tmp_path: Path
) -> None:
    (tmp_path / "graders.toml").write_text(CONFIG.format(path=base), encoding="utf-8")
    of_server = {
        "GRADERS_API_KEY": "sk-mine",
        "GRADERS_ADMIN_KEY": "sk-admin",
        "KEY_THEIRS": "sk-theirs",
    }
    try:
        with serving(tmp_path, "--jobs", "store", **of_server) as server:
            script = [sys.executable, str(Path(__file__).with_name("whole_story.py")), server.url]
            done = subprocess.run(
                script, env={**os.environ, **KEYS}, capture_output=True, text=True, check=False
            )
    finally:
        leave(tmp_path / "store" / "inference")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(": the whole story.\n")
