"""What is wrong with a cluster, or asked of it, is one sentence; what is right works as it is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from graders_engine.cluster.connection import ClusterOptions
from graders_engine.cluster.joining import connect
from graders_engine.errors import InvalidRequest
from tests.dataset.files import cats, write_rows
from tests.dataset.workers_conformance import timeless
from tests.environment import unmeasured
from tests.judges.judge_server import judge_server
from tests.judges.rows import SCORE
from tests.ray.clusters import (
    OPEN,
    PACKAGE,
    Started,
    cluster,
    command,
    free_port,
    of_another_version,
    run,
    without_this_package,
)

ROWS = 300
PARTS = 100  # more than all workers have at once


@pytest.fixture(scope="module")
def head() -> Iterator[Started]:
    with cluster() as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path, string_check: dict[str, Any]) -> Path:
    """A folder with a grader and rows."""
    (tmp_path / "grader.json").write_text(json.dumps(string_check))
    (tmp_path / "judge.json").write_text(json.dumps(SCORE))
    write_rows(tmp_path / "rows.jsonl", cats(ROWS))
    return tmp_path


def score(*more: object, grader: str = "grader.json", out: str = "out.jsonl") -> list[object]:
    return [
        "score",
        "--grader",
        f"@{grader}",
        "--data",
        "rows.jsonl",
        "--out",
        out,
        "--quiet",
        *more,
    ]


def refusal(folder: Path, *more: object, **environment: str) -> str:
    """What a run says that cannot begin; it leaves nothing."""
    before = set(folder.iterdir())
    ended = run(folder, score(*more), **environment)
    assert (ended.returncode, ended.stdout) == (2, ""), ended
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert {path for path in folder.iterdir() if path.name != "out.jsonl.lock"} == before
    return ended.stderr


@contextmanager
def web_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def silent_server() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:8265", "127.0.0.1:99999"])
def test_what_is_no_address_is_refused(folder: Path, address: str) -> None:
    said = refusal(folder, "--ray-address", address)
    assert said.startswith(f"'{address}' is no address of a Ray cluster: pass HOST:PORT")
    assert "(of RAY_ADDRESS)" in refusal(folder, "--backend", "ray", RAY_ADDRESS=address)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_no_cluster_answers_is_refused(folder: Path, scheme: str) -> None:
    nobody = f"{scheme}127.0.0.1:{free_port()}"
    said = refusal(folder, "--ray-address", nobody)
    assert said.startswith(f"No Ray cluster answers at {nobody} (connection refused): pass HOST")
    said = refusal(folder, "--ray-address", f"{scheme}no-such-host.invalid:6379")
    assert "(there is no such host)" in said
    with web_server() as port:
        said = refusal(folder, "--ray-address", f"{scheme}127.0.0.1:{port}")
        assert "(another server answers, or none)" in said
    with silent_server() as listener:
        said = refusal(folder, "--ray-address", f"{scheme}127.0.0.1:{listener.getsockname()[1]}")
        assert "(no answer in 5 s)" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_an_answer(folder: Path, number: signal.Signals) -> None:
    with silent_server() as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            command(*score("--ray-address", address)), cwd=folder, env={**unmeasured(), **OPEN},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        listener.accept()[0].close()  # it has begun to ask
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert (out, err) == ("", "\nInterrupted. Run the same command again to resume.\n")
    assert not (folder / "out.jsonl").exists()


def test_the_other_port_of_a_cluster_is_named(folder: Path, head: Started) -> None:
    client, port = head.client_address.removeprefix("ray://"), head.address
    assert f"pass ray://{client}." in refusal(folder, "--ray-address", client)
    assert "leave out ray://." in refusal(folder, "--ray-address", f"ray://{port}")


def test_a_head_that_hangs_is_a_sentence(folder: Path, head: Started) -> None:
    found = subprocess.run(
        ["pgrep", "-f", f"gcs_server .*--gcs_server_port={head.address.partition(':')[2]}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    servers = [int(pid) for pid in found.stdout.split()]
    for pid in servers:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert "(no answer in 5 s)" in refusal(folder, "--ray-address", head.address)
    finally:
        for pid in servers:
            os.kill(pid, signal.SIGCONT)


def test_both_ports_of_a_cluster_give_what_this_machine_gives(folder: Path, head: Started) -> None:
    assert run(folder, score("--workers", "1", out="here.jsonl")).returncode == 0
    for number, address in enumerate((head.address, head.client_address)):
        ended = run(folder, score("--ray-address", address, out=f"{number}.jsonl"))
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        there = (folder / f"{number}.jsonl").read_bytes()
        assert timeless(there) == timeless((folder / "here.jsonl").read_bytes())


def test_what_only_the_driver_has_need_not_be_on_a_node(folder: Path, head: Started) -> None:
    with judge_server() as server:
        (folder / "judges.toml").write_text(
            f'[endpoints.default]\nbase_url = "{server.url}"\napi_key_env = "JUDGE_KEY"\n'
        )
        key = "sk-9f2e71c04b"
        for more, environment in (
            (["--config", "judges.toml"], {"JUDGE_KEY": key}),
            ([], {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": key}),
        ):
            options = score(
                "--ray-address",
                head.address,
                "--no-cache",
                "--overwrite",
                *more,
                grader="judge.json",
            )
            ended = run(folder, options, **environment)
            assert ended.returncode == 0, ended
            keys = {asked.headers["authorization"] for asked in server.asked}
            assert keys == {f"Bearer {key}"}
            server.asked.clear()


def test_a_node_without_this_package_is_named_and_a_runtime_environment_is_of_help(
    folder: Path, head: Started, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = without_this_package(tmp_path_factory.mktemp("without"))
    node = head.add("--num-cpus=1", "--resources", '{"bare": 1}', python=python)
    try:
        on_it = ("--ray-address", head.address, "--ray-resource", "bare=1")
        said = refusal(folder, *on_it)
        assert said.startswith("graders-engine is not installed on node ")
        assert "pass --runtime-env FILE" in said
        environment = {"env_vars": {"PYTHONPATH": str(PACKAGE.parent), "SECRET": "hunter-23"}}
        (folder / "env.json").write_text(json.dumps(environment))
        ended = run(folder, score(*on_it, "--runtime-env", "env.json"))
        assert (ended.returncode, ended.stderr) == (0, "")
        (folder / "out.jsonl").unlink()
        (folder / "env.json").write_text(
            json.dumps({**environment, "working_dir": "no-such-folder"})
        )
        ended = run(folder, score(*on_it, "--runtime-env", "env.json", out="other.jsonl"))
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended
        assert "no-such-folder" in ended.stderr
        assert ended.stderr.startswith("The runtime environment of env.json cannot be ")
        assert "hunter-23" not in ended.stderr
    finally:
        head.end(node)


def test_a_node_with_another_version_is_named(
    folder: Path, head: Started, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = of_another_version(tmp_path_factory.mktemp("other") / "packages")
    node = head.add("--num-cpus=1", PYTHONPATH=str(other))
    try:
        said = refusal(folder, "--ray-address", head.address, "--workers", "1")
        assert "of the Ray cluster has graders-engine 0.0." in said
        assert said.endswith("install the same version in both places.\n")
    finally:
        head.end(node)


def test_a_lost_node_leaves_nothing_on_standard_output(folder: Path, head: Started) -> None:
    node = head.add("--num-cpus=1")
    part = (folder / "rows.jsonl").read_text() * PARTS
    options = ["score", "--grader", "@grader.json", "--data", "-", "--out", "out.jsonl", "--quiet"]
    process = subprocess.Popen(
        command(*options, "--ray-address", head.address), cwd=folder, env={**unmeasured(), **OPEN},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(part)
    process.stdin.flush()
    out = folder / "out.jsonl"
    head.wait(lambda: out.exists() and out.stat().st_size, node)
    raylet = subprocess.run(
        ["pgrep", "-P", str(node.pid), "-f", "raylet/raylet"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    os.kill(int(raylet), signal.SIGKILL)
    head.end(node)
    process.stdin.write(part)
    printed, logged = process.communicate(timeout=120)
    assert (process.returncode, printed) == (0, "")
    assert "Raylet is terminated" not in logged  # a line of Ray's own on lost objects may be there
    lines = [json.loads(line)["line"] for line in out.read_text().splitlines()]
    assert lines == list(range(1, 2 * PARTS * ROWS + 1))


def test_a_node_that_starts_too_slowly_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray raises a plain `Exception` for it."""
    ray = pytest.importorskip("ray")

    def late(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(InvalidRequest, match="cannot be reached: The current node timed out"):
        connect(ray, ClusterOptions())
