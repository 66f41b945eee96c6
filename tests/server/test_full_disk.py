"""A server on a full disk: it begins with the room that it kept, so that clients can delete something."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.serving import command, running
from tests.server.test_store_faults import FORM, upload

MADE = """
from pathlib import Path
from graders_engine.storage.store import Store
with Store(Path("disk/store")) as store, store.serve():
    part = store.files.new_part()
    part.write(b"x" * 300_000)
    store.files.add(part, project="default", purpose="evals", name="large")
"""


@pytest.fixture
def on_small_disk(tmp_path: Path) -> list[str]:
    """The beginning of a command whose last part is a shell's script; its folder `disk` has 3 MiB."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "made.py").write_text(MADE, encoding="utf-8")
    mount = "mount -t tmpfs -o size=3m graders disk"
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*namespace, mount], cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs in a namespace of its own")
    return [*namespace, f"{mount} && "]


def script(*steps: str) -> str:
    return "; ".join(steps)


MAKE = shlex.join([sys.executable, "made.py"])
FILL = "dd if=/dev/zero of=disk/fill bs=4k status=none 2>&- || true"
SERVE = f"exec {shlex.join(command('--jobs', 'disk/store'))}"


def test_a_server_begins_on_a_full_disk_and_lets_clients_delete(
    tmp_path: Path, on_small_disk: list[str]
) -> None:
    *beginning, mount = on_small_disk
    started = [*beginning, mount + script(MAKE, FILL, SERVE)]
    with running(tmp_path, started, {}) as server:
        (large,) = server.ask("GET", "/v1/files").json["data"]
        too_long = FORM.replace(b"\n\r\n--b--", b"x" * 2_000_000 + b"\n\r\n--b--")
        form = {"content-type": "multipart/form-data; boundary=b"}
        refused = server.ask("POST", "/v1/files", too_long, form)
        assert (refused.status, refused.error["code"]) == (500, "storage_error")
        assert "The disk is full: delete files or runs" in refused.error["message"]
        assert server.ask("DELETE", f"/v1/files/{large['id']}").status == 200
        assert upload(server).status == 200


@pytest.mark.parametrize("before", [[], [MAKE, "rm disk/store/reserve"]], ids=["new", "no reserve"])
def test_without_room_the_server_says_how_much_it_needs_and_what_to_do(
    before: list[str], tmp_path: Path, on_small_disk: list[str]
) -> None:
    *beginning, mount = on_small_disk
    started = [*beginning, mount + script(*before, FILL, SERVE)]
    ended = subprocess.run(
        started, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    said = " ".join(ended.stderr.split())
    assert said.startswith("The disk of disk/store is full. A server needs 2 MiB there:")
    assert "it keeps in disk/store/reserve" in said
    assert said.endswith("or name a folder on another one with --jobs.")
