"""The tiers of this machine are found by trying them."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from graders_engine.sandbox import advice, disk_use, probe, process
from graders_engine.sandbox.base import Program, SandboxUnavailable
from graders_engine.sandbox.inside import syscalls
from graders_engine.sandbox.inside.plan import Plan
from graders_engine.sandbox.pool import Pool
from graders_engine.sandbox.process import Worker


@pytest.fixture(scope="module")
def tiers() -> list[probe.Tier]:
    return probe.report()


def test_the_tiers_come_in_order_of_strength(tiers: list[probe.Tier]) -> None:
    assert [t.name for t in tiers] == ["namespaces", "landlock"]


def test_an_available_tier_has_passed_its_self_test(tiers: list[probe.Tier]) -> None:
    for tier in tiers:
        if tier.available:
            assert len(tier.checks) == 10
            assert [c for c in tier.checks if not c.passed] == []
            assert tier.is_proved
        else:
            assert tier.unavailable_because


def test_each_tier_lists_what_it_covers_and_what_not(tiers: list[probe.Tier]) -> None:
    for tier in tiers:
        assert len(tier.covers) >= 5
        assert len(tier.does_not_cover) >= 3


async def first_tier(tier: str) -> str:
    pool = Pool(tier, concurrency=2)
    try:
        calls = [pool.grade(Program("def grade(s, i): return 1.0"), b"1", b"1") for _ in range(4)]
        assert all(v.reward == 1.0 for v in await asyncio.gather(*calls))
        return pool.tier
    finally:
        await pool.close()


def refuse(monkeypatch: pytest.MonkeyPatch, *refused: str) -> None:
    """As if this machine had no such tiers."""
    start = Worker.start

    async def start_or_refuse(self: Worker) -> None:
        if self.plan.tier in refused:
            self.discard()
            raise SandboxUnavailable(f"unshare: no {self.plan.tier}")
        await start(self)

    monkeypatch.setattr(process.Worker, "start", start_or_refuse)


def test_auto_takes_the_strongest_available(tiers: list[probe.Tier]) -> None:
    available = [t.name for t in tiers if t.available]
    if not available:
        pytest.skip("this machine has no sandbox")
    assert asyncio.run(first_tier("auto")) == available[0]


def test_auto_takes_the_weaker_where_the_stronger_is_refused(
    monkeypatch: pytest.MonkeyPatch, tiers: list[probe.Tier]
) -> None:
    if not tiers[1].available:
        pytest.skip("this machine has no Landlock")
    refuse(monkeypatch, "namespaces")
    assert asyncio.run(first_tier("auto")) == "landlock"


def test_auto_never_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "namespaces", "landlock")
    with pytest.raises(SandboxUnavailable) as caught:
        asyncio.run(first_tier("auto"))
    message = str(caught.value)
    assert "no sandbox for python graders works on this machine" in message
    assert "namespaces: unshare" in message
    assert "landlock: unshare" in message
    assert "--sandbox none" in message


def test_none_is_used_only_by_name() -> None:
    assert asyncio.run(first_tier("none")) == "none"


@pytest.mark.parametrize("platform", ["darwin", "freebsd14", "win32"])
@pytest.mark.parametrize("tier", ["auto", "namespaces", "landlock"])
def test_other_systems_are_refused_with_advice(
    monkeypatch: pytest.MonkeyPatch, platform: str, tier: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(SandboxUnavailable, match="Linux container"):
        advice.refuse(tier)


MACHINES = ["riscv64", "ppc64le", "s390x", "armv7l", "loongarch64"]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_whose_system_calls_are_not_known_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr(syscalls, "machine", lambda: machine)
    for tier in ("auto", "namespaces", "landlock"):
        with pytest.raises(
            SandboxUnavailable, match=f"this is {machine}, whose system calls"
        ) as caught:
            asyncio.run(first_tier(tier))
        assert "`--sandbox none`" in str(caught.value)
    assert all(machine in tier.unavailable_because for tier in probe.report())


@pytest.mark.parametrize("machine", MACHINES)
def test_without_a_sandbox_any_linux_machine_runs_python_graders(
    monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr(syscalls, "machine", lambda: machine)
    assert asyncio.run(first_tier("none")) == "none"


def test_a_python_of_32_bits_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "maxsize", (1 << 31) - 1)
    assert not syscalls.is_known()
    with pytest.raises(OSError, match="32-bit Python"):
        syscalls.native()


@pytest.mark.parametrize(
    ("tier", "said"),
    [
        ("auto", "python graders need /proc, and nothing is there: mount it with"),
        ("namespaces", "nothing is mounted at /proc"),
        ("none", "nothing is mounted at /proc"),
    ],
)
def test_without_proc_a_row_has_no_reward_and_the_reason_is_true(
    tier: str, said: str, tmp_path: Path
) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = "mount -t tmpfs graders /proc"
    if subprocess.run([*namespace, mount], capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs in a namespace of its own")
    (tmp_path / "rows.jsonl").write_text('{"item": {}, "model_sample": ""}\n')
    grader = '{"type": "python", "source": "def grade(s, i): return 1.0"}'
    asked = ["score", "--grader", grader, "--data", "rows.jsonl", "--out", "out.jsonl"]
    command = shlex.join([sys.executable, "-m", "graders_engine", *asked, "--sandbox", tier])
    subprocess.run([*namespace, f"{mount} && {command}"], cwd=tmp_path, capture_output=True)
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    assert json.loads(line)["reward"] is None
    assert said in line
    assert "FileNotFoundError" not in line


def test_an_unknown_tier_is_refused_at_once() -> None:
    async def make() -> None:
        Pool("paper")

    with pytest.raises(ValueError, match="paper"):
        asyncio.run(make())


def plan(folder: str = "") -> Plan:
    return Plan(
        tier="none",
        readable=[],
        module_path=[],
        prefix="",
        folder=folder,
        host_id=0,
        affinity=[],
        memory_bytes=1,
        disk_bytes=1,
        output_bytes=1,
        processes=1,
        cpu_s=1,
    )


def test_a_plan_is_sent_as_it_is() -> None:
    assert vars(Plan(**vars(plan()))) == vars(plan())


def test_a_scratch_folder_that_its_ending_engine_has_removed_holds_nothing(tmp_path: Path) -> None:
    assert not disk_use.exceeds(plan(str(tmp_path / "removed")), [])
