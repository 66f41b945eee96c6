"""The server is killed while files come: each is whole or not there, and none that was answered is lost."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import subprocess
import threading
import time
from pathlib import Path

from tests.server.serving import command, serving

MOMENTS = int(os.environ.get("GRADERS_KILLS", "6"))
"""Kills of servers; `.ci/nightly` has more."""
LONGEST_S = 0.25
"""After so long at most a server is killed; an upload takes some milliseconds."""


class Uploader(threading.Thread):
    """Uploads files of many lengths, one after the other, until the server is gone."""

    def __init__(self, port: int, seed: int) -> None:
        super().__init__()
        self._port, self._random = port, random.Random(seed)  # noqa: S311 - lengths need no secrets
        self.sent: set[str] = set()
        """Digests of what was begun."""
        self.answered: dict[str, str] = {}
        """By id, the digest of what was answered."""

    def run(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                self._upload(os.urandom(self._random.choice((0, 10, 70_000, 2_000_000))))

    def _upload(self, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self.sent.add(digest)
        head = (
            b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nevals\r\n'
            b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        )
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            type_ = {"content-type": "multipart/form-data; boundary=B"}
            connection.request("POST", "/v1/files", head + content + b"\r\n--B--\r\n", type_)
            response = connection.getresponse()
            assert response.status == 200
            self.answered[json.loads(response.read())["id"]] = digest
        finally:
            connection.close()


def kill_while_files_come(folder: Path, seed: int) -> list[Uploader]:
    process = subprocess.Popen(
        command("--jobs", "store"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(" ")[3].rpartition(":")[2])
        uploaders = [Uploader(port, 2 * seed + number) for number in range(2)]
        for uploader in uploaders:
            uploader.start()
        time.sleep(LONGEST_S * (seed + 1) / MOMENTS)
        process.kill()
        for uploader in uploaders:
            uploader.join()
    return uploaders


def test_a_killed_server_leaves_whole_files_and_all_that_it_answered(tmp_path: Path) -> None:
    uploaders = [each for seed in range(MOMENTS) for each in kill_while_files_come(tmp_path, seed)]
    answered = {id_: digest for each in uploaders for id_, digest in each.answered.items()}
    sent = {digest for each in uploaders for digest in each.sent}
    assert answered
    with serving(tmp_path, "--jobs", "store") as server:
        listed = {file["id"]: file for file in server.ask("GET", "/v1/files").json["data"]}
        # No part and no content without a row.
        assert sorted(os.listdir(tmp_path / "store" / "files")) == sorted(listed)
        assert answered.keys() <= listed.keys()
        for id_, file in listed.items():
            content = server.ask("GET", f"/v1/files/{id_}/content").body
            digest = hashlib.sha256(content).hexdigest()
            assert len(content) == file["bytes"]
            assert digest == answered.get(id_, digest)
            assert digest in sent
