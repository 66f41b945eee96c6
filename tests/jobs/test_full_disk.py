"""A job on a disk that is really full: it pauses, and continues when there is room."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import json, subprocess, sys, threading
from pathlib import Path
from graders_engine.jobs.states import resume
from tests.jobs.made import Bench, made_of
from tests.jobs.test_control import has_stalled, wait_for

fill = Path("disk/fill")
if sys.argv[2] == "wait":
    fill.write_bytes(bytes(34 << 20))
bench = Bench(Path("disk/store"))
job_id = bench.job(json.loads(sys.argv[1]))
thread = threading.Thread(target=bench.supervisor().finish, args=(job_id,))
thread.start()
if sys.argv[2] == "fill":
    wait_for(has_stalled(bench, job_id))
    subprocess.run(["dd", "if=/dev/zero", "of=disk/fill", "bs=4k", "status=none"], stderr=subprocess.DEVNULL)
    Path("filled").touch()
thread.join(60)
paused = bench.job_of(job_id)
found = [paused.status, bench.messages(job_id, "warn"), [one.step for one in bench.checkpoints(job_id)]]
fill.unlink()
assert resume(bench.store.jobs, job_id)
done = bench.finish(job_id)
made = made_of(bench, job_id)
made["rollouts"] = [line.decode() for line in made["rollouts"]]
made["csv"] = [line.decode() for line in made["csv"]]
print(json.dumps([*found, done.status, made]))
"""


@pytest.fixture
def on_small_disk(tmp_path: Path) -> list[str]:
    """The beginning of a command that runs in a namespace whose folder `disk` has 40 MiB."""
    (tmp_path / "disk").mkdir()
    mount = "mount -t tmpfs -o size=40m graders disk"
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*namespace, mount], cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs in a namespace of its own")
    return [*namespace, f'{mount} && exec "$@"', "sh"]


@pytest.mark.usefixtures("bench")  # whose environment the workers have
@pytest.mark.parametrize(
    ("script", "how", "kept"),
    [
        ({"weights bytes": 1_500_000}, "wait", 3),
        ({"8": "stall until it is full"}, "fill", 1),
    ],
    ids=["no room for weights", "no room for anything"],
)
def test_a_job_pauses_on_a_full_disk_and_continues_when_there_is_room(
    on_small_disk: list[str],
    tmp_path: Path,
    whole: dict[str, Any],
    script: dict[str, Any],
    how: str,
    kept: int,
) -> None:
    done = subprocess.run(
        [*on_small_disk, sys.executable, "-c", PROGRAM, json.dumps(script), how],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    status, warned, checkpoints, end, made = json.loads(done.stdout)
    assert (status, end) == ("paused", "succeeded")
    assert len(warned) == 1
    assert "The disk is full" in warned[0]
    assert checkpoints == [5, 10, 15][:kept]
    for name in ("steps", "messages", "curve", "tokens"):
        assert made[name] == whole[name]
    for name in ("rollouts", "csv"):
        assert made[name] == [line.decode() for line in whole[name]]
    assert [one[0] for one in made["checkpoints"]] == [one[0] for one in whole["checkpoints"]]
