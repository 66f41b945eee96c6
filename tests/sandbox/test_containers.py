"""In a container, `graders sandbox` says which tier there is and why, and no outage becomes a zero."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from graders_engine.guides import text_of
from tests.sandbox.contained import (
    DOCKER_CAPABILITIES,
    DOCKER_REFUSED,
    ENOSYS,
    EPERM,
    NO_LANDLOCK,
    SYS_ADMIN,
    Container,
)
from tests.sandbox.world import PACKAGES, World

CAPABILITIES = list(DOCKER_CAPABILITIES)
PYTHON = {"type": "python", "name": "p", "source": "def grade(sample, item):\n    return 0.5"}
GRADE = ("run", json.dumps(PYTHON), "--model-sample", "x", "--item", "{}")
STARTER = str(Path(__file__).with_name("contained.py"))


class Contained:
    """`graders` in a container, run by root or by a user."""

    def __init__(self, world: World, container: Container) -> None:
        self._world, self._container = world, container
        container.user = world.user or 0

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        setup = json.dumps(asdict(self._container))
        whole = [
            sys.executable,
            STARTER,
            setup,
            self._world.python,
            "-m",
            "graders_engine",
            *command,
        ]
        here = Path(__file__).parents[2]
        path = os.pathsep.join([self._world.engine, str(here), PACKAGES])
        environment = {"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            whole,
            capture_output=True,
            text=True,
            cwd="/",
            env=environment,
            timeout=200,
            check=False,
        )

    def tiers(self) -> dict[str, dict[str, Any]]:
        """What `graders sandbox` says of each tier, all checks of those that there are passed."""
        done = self.run("sandbox", "--json")
        assert "Traceback" not in done.stderr, done.stderr
        found = json.loads(done.stdout)
        for tier in found["tiers"]:
            assert [check for check in tier["checks"] if not check["passed"]] == []
        assert found["proved"] is any(tier["available"] for tier in found["tiers"])
        assert done.returncode == (0 if found["proved"] else 1)
        return {tier["name"]: tier for tier in found["tiers"]}

    def assert_graded(self) -> None:
        done = self.run(*GRADE)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["reward"] == 0.5

    def assert_refused(self, *reasons: str) -> None:
        """A grade is an outage and no reward, and both the response and a data set say why."""
        done = self.run(*GRADE)
        errors = json.loads(done.stdout)["metadata"]["errors"]
        assert errors["python_grader_server_error_type"] == "sandbox_unavailable"
        for reason in reasons:
            assert reason in done.stderr


Make = Callable[[str, Container], Contained]


@pytest.fixture
def contained(worlds: Callable[[str], World]) -> Make:
    if os.geteuid() or sys.platform != "linux":
        pytest.skip("needs root, to give up what a container lacks")
    return lambda role, container: Contained(worlds(role), container)


@pytest.mark.parametrize("role", ["root", "user"])
def test_dockers_default_profile_leaves_landlock(contained: Make, role: str) -> None:
    docker = contained(role, Container(DOCKER_REFUSED, CAPABILITIES))
    tiers = docker.tiers()
    assert tiers["landlock"]["available"], tiers["landlock"]
    reason = tiers["namespaces"]["unavailable_because"]
    assert "unshare: Operation not permitted" in reason
    assert "filter of system calls" in reason
    assert "graders guide containers" in reason
    docker.assert_graded()


@pytest.mark.parametrize("role", ["root", "user"])
def test_an_old_profile_without_landlock_leaves_no_tier_and_no_reward(
    contained: Make, role: str
) -> None:
    refused = {**DOCKER_REFUSED, **dict.fromkeys(NO_LANDLOCK, EPERM)}
    docker = contained(role, Container(refused, CAPABILITIES))
    tiers = docker.tiers()
    assert not any(tier["available"] for tier in tiers.values())
    assert "refuses Landlock's three calls" in tiers["landlock"]["unavailable_because"]
    docker.assert_refused(
        "no sandbox for python graders works", "refuses new namespaces", "refuses Landlock"
    )


def test_an_ordinary_user_without_dockers_profile_has_namespaces(contained: Make) -> None:
    pod = contained("user", Container(capabilities=[], privileges=False))
    assert pod.tiers()["namespaces"]["available"]
    pod.assert_graded()


def test_root_without_its_capabilities_is_told_to_be_somebody_else(contained: Make) -> None:
    docker = contained("root", Container(capabilities=CAPABILITIES))
    tiers = docker.tiers()
    reason = tiers["namespaces"]["unavailable_because"]
    assert "root has no CAP_SYS_ADMIN here: run as another user" in reason
    assert tiers["landlock"]["available"]
    docker.assert_graded()


NEEDED = ["mount", "mount_setattr", "pivot_root", "sethostname", "setns", "umount2", "unshare"]
"""What a profile has to allow beyond Docker's, by the guide to containers."""


@pytest.mark.parametrize("call", [call for call in NEEDED if call != "sethostname"])
def test_each_system_call_of_the_recipe_is_needed(contained: Make, call: str) -> None:
    pod = contained("user", Container({call: EPERM}, [], privileges=False))
    done = pod.run(*GRADE, "--sandbox", "namespaces")
    assert call.rstrip("2") in done.stderr
    assert json.loads(done.stdout)["metadata"]["errors"]["python_grader_server_error"]


SEES_NAME = {
    **PYTHON,
    "source": "import os\ndef grade(sample, item):\n    return float(os.uname().nodename == item['name'])",
}


@pytest.mark.parametrize("error", [EPERM, ENOSYS])
def test_where_a_filter_refuses_the_name_alone_the_strong_tier_works_and_says_what_is_seen(
    contained: Make, error: int
) -> None:
    podman = contained("user", Container({"sethostname": error}, [], privileges=False))
    tier = podman.tiers()["namespaces"]
    assert tier["available"], tier
    assert len(tier["checks"]) == 10
    assert any("seeing the host's name" in line for line in tier["does_not_cover"])
    item = json.dumps({"name": os.uname().nodename})
    done = podman.run(
        *("run", json.dumps(SEES_NAME), "--model-sample", "x", "--item", item),
        *("--sandbox", "namespaces"),
    )
    assert json.loads(done.stdout)["reward"] == 1.0, done.stderr


def test_a_name_of_its_own_is_not_said_to_be_seen(contained: Make) -> None:
    pod = contained("user", Container(capabilities=[], privileges=False))
    tier = pod.tiers()["namespaces"]
    assert tier["available"], tier
    assert not any("seeing the host's name" in line for line in tier["does_not_cover"])
    item = json.dumps({"name": "grader"})
    done = pod.run(
        *("run", json.dumps(SEES_NAME), "--model-sample", "x", "--item", item),
        *("--sandbox", "namespaces"),
    )
    assert json.loads(done.stdout)["reward"] == 1.0, done.stderr


def test_the_system_calls_of_the_recipe_are_enough(contained: Make) -> None:
    refused = {name: error for name, error in DOCKER_REFUSED.items() if name not in NEEDED}
    pod = contained("user", Container(refused, [], privileges=False))
    done = pod.run(*GRADE, "--sandbox", "namespaces")
    assert json.loads(done.stdout)["reward"] == 0.5, done.stderr
    page = text_of("containers")
    for call in NEEDED:
        assert f'"{call}"' in page


def test_dockers_profile_refuses_the_root_even_of_who_may_administer(contained: Make) -> None:
    """With --cap-add SYS_ADMIN the profile allows all that the sandbox asks for but `pivot_root`."""
    docker = contained("root", Container({"pivot_root": EPERM}, [*CAPABILITIES, SYS_ADMIN]))
    tiers = docker.tiers()
    assert "pivot_root: Operation not permitted" in tiers["namespaces"]["unavailable_because"]
    assert "filter of system calls" in tiers["namespaces"]["unavailable_because"]
    docker.assert_graded()


def test_root_that_may_administer_has_namespaces_without_dockers_profile(contained: Make) -> None:
    docker = contained("root", Container(capabilities=[*CAPABILITIES, SYS_ADMIN]))
    tiers = docker.tiers()
    assert tiers["namespaces"]["available"], tiers["namespaces"]
    docker.assert_graded()


@pytest.mark.parametrize("role", ["root", "user"])
def test_a_root_that_cannot_be_written_changes_nothing(contained: Make, role: str) -> None:
    temporary = "/tmp"  # noqa: S108 - a file system of its own
    kept = [PACKAGES] if Path(PACKAGES).is_relative_to(temporary) else []
    pod = contained(role, Container(read_only=True, writable=[temporary], kept=kept))
    tiers = pod.tiers()
    assert all(tier["available"] for tier in tiers.values()), tiers
    pod.assert_graded()


def test_where_nothing_can_be_written_landlock_asks_for_a_folder(contained: Make) -> None:
    pod = contained("user", Container(DOCKER_REFUSED, [], read_only=True, privileges=False))
    reason = pod.tiers()["landlock"]["unavailable_because"]
    assert "No usable temporary directory" in reason or "Read-only file system" in reason
    assert "TMPDIR" in reason
    pod.assert_refused("TMPDIR")


@pytest.mark.parametrize("role", ["root", "user"])
def test_a_kernel_without_mount_setattr_and_landlock_as_gvisor_gives_no_reward(
    contained: Make, role: str
) -> None:
    gvisor = contained(role, Container({**NO_LANDLOCK, "mount_setattr": ENOSYS}))
    tiers = gvisor.tiers()
    assert not any(tier["available"] for tier in tiers.values())
    assert "needs the system call mount_setattr" in tiers["namespaces"]["unavailable_because"]
    assert "gVisor" in tiers["namespaces"]["unavailable_because"]
    assert "needs Linux 5.13 or newer" in tiers["landlock"]["unavailable_because"]
    gvisor.assert_refused("mount_setattr", "5.13")


def test_a_kernel_without_landlock_alone_has_namespaces(contained: Make) -> None:
    old = contained("user", Container(dict(NO_LANDLOCK)))
    tiers = old.tiers()
    assert tiers["namespaces"]["available"], tiers["namespaces"]
    assert not tiers["landlock"]["available"]
    old.assert_graded()
