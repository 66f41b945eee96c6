"""A trainer that trains nothing: its "weights" are a number that follows from the seed and the steps.

What it does besides that, `hyperparameters["script"]` says, as JSON::

    {"4": "stall"}                      do this after the rollouts of step 4, before the step's report
    {"check": "line 3 is too long"}     the check refuses the training file
    {"kill": ["both", "os.rename", "tmp-step-5"]}
                                        kill this process, the one that has started it, or both, when
                                        Python reports ("audits") this event with this text for the first time

The trainer's own moments are audited, too, as `trainer`.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.training.rows import invalid_file
from graders_engine.training.trainer import (
    JobSpec,
    Plan,
    Report,
    Resumed,
    Rollout,
    StepReport,
    TrainingFailed,
    TrainingPaused,
)

KILLED = "killed"
"""A file in the job's folder, from the kill on."""
AGAIN = "again"
"""A file in the job's folder: as long as it is there, what the script says is not done."""
ROWS = 4


class ScriptedTrainer:
    """See above."""

    def check(self, spec: JobSpec) -> None:
        script = json.loads(str(spec.hyperparameters.get("script", "{}")))
        if "check" in script:
            raise invalid_file("training_file", script["check"])

    def train(self, spec: JobSpec, resumed: Resumed | None, report: Report) -> None:
        script = json.loads(str(spec.hyperparameters.get("script", "{}")))
        if "kill" in script and not Path(KILLED).exists():
            sys.addaudithook(killer(*script["kill"]))
        with suppress(Returned):
            Run(spec, resumed, report, script).train()


class Returned(Exception):
    """Raised to return from `train` too early."""


class Run:
    """The work of one `train`."""

    def __init__(
        self, spec: JobSpec, resumed: Resumed | None, report: Report, script: dict[str, Any]
    ) -> None:
        self.spec, self.report, self.script = spec, report, script
        self.rewards = spec.method == "reinforcement"
        self.steps = int(spec.hyperparameters["steps"])
        self.interval = int(spec.hyperparameters["eval_interval"])
        self.step = 0
        Path(f"given{os.environ.get('RANK', '')}.json").write_bytes(
            msgspec.json.encode([spec, dict(os.environ)])
        )
        self.weights = hashlib.sha256(f"seed {spec.seed}".encode()).hexdigest()
        if resumed is not None:
            self.step = resumed.step
            self.weights = (resumed.folder / "model" / "weights").read_text()
            assert json.loads((resumed.folder / "state" / "state").read_text()) == resumed.step

    def train(self) -> None:
        self.report.plan(
            Plan(self.steps, ROWS, "cpu", 1, rollouts_per_step=ROWS if self.rewards else None)
        )
        while self.step < self.steps:
            self.one_step(self.step + 1)
            if self.step == self.steps:
                break
            if self.report.wanted:
                self.keep({})
                return
        sys.audit("trainer", "returns")

    def one_step(self, step: int) -> None:
        sys.audit("trainer", f"step {step} begins")
        if self.script.get(str(step)) == "return":
            raise Returned
        weights = hashlib.sha256(f"{self.weights} {step}".encode()).hexdigest()
        rewards = [int(weights[8 * n : 8 * n + 8], 16) / 2**32 for n in range(ROWS)]
        mean = sum(rewards) / ROWS
        if self.rewards:
            self.report.rollouts(
                [
                    Rollout(step, "train", n + 1, {"n": n}, weights[n], reward, {}, {})
                    for n, reward in enumerate(rewards)
                ]
            )
        sys.audit("trainer", f"rollouts of {step}")
        act(self.script.get(str(step)), step)
        values = {"reward_mean": mean} if self.rewards else {"loss": mean, "token_accuracy": mean}
        if self.spec.method == "dpo":
            values |= {"preference_accuracy": mean / 4, "preference_margin": mean - 0.5}
        validates = step % self.interval == 0
        valid = {name: value / 2 for name, value in values.items()} if validates else {}
        local = {"frac_zero_std": self.script.get("frac_zero_std", 0.0)}
        if self.script.get(str(step)) == "skip a step":
            step += 1
        self.report.step(StepReport(step, values, valid, 10 * step, {"local": local}))
        sys.audit("trainer", f"reported {step}")
        self.step, self.weights = step, weights
        if validates or step == self.steps:
            self.keep(valid)

    def keep(self, valid: dict[str, float]) -> None:
        final = self.step == self.steps
        self.report.checkpoint(self.step, self.write, valid, final=final)
        sys.audit("trainer", f"kept {self.step}")

    def write(self, folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "state").mkdir()
        (folder / "state" / "state").write_text(json.dumps(self.step))
        action = None if Path(AGAIN).exists() else self.script.get(f"write {self.step}")
        if action == "no weights":
            return
        (folder / "model" / "more").write_bytes(b"0" * int(self.script.get("weights bytes", 0)))
        with (folder / "model" / "weights").open("w") as file:
            file.write(self.weights[:32])
            file.flush()
            sys.audit("trainer", f"half of {self.step}")
            if action == "full disk":
                Path("/dev/full").write_text(self.weights)
            if action == "full disk, as a library says it":
                raise RuntimeError("Error while serializing: I/O error: (os error 28)")
            file.write(self.weights[32:])


def act(action: str | None, step: int) -> None:
    """Do what the script says at a step, unless that is over."""
    if action is None or Path(AGAIN).exists():
        return
    if action in ("return", "skip a step"):
        return
    actions: dict[str, Callable[[], object]] = {
        "stall": stall,
        "stall until it is full": stall_until_it_is_full,
        "stall deaf": stall_deaf,
        "fork and die once": lambda: fork_and_die_once(step),
        "stop itself": stop_itself,
        "die": die,
        "die once": lambda: die_once(step),
        "fail": fail,
        "outage": outage,
        "error": lambda: 1 / 0,
        "print much, then an error": lambda: sys.stdout.write("loss " * 1_000) / 0,
        "full disk": full,
        "import what is not installed": lambda: importlib.import_module("no_such_package"),
    }
    actions[action]()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(step: int) -> None:
    died = Path(f"died-{step}")
    if not died.exists():
        died.touch()
        die()


def fork_and_die_once(step: int) -> None:
    """Die, with a process left that has all open files, as loaders of data are."""
    if not Path(f"died-{step}").exists() and os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    die_once(step)


def stall() -> None:
    """Wait until the script is over."""
    Path("stalled").touch()
    while not Path(AGAIN).exists():
        time.sleep(0.02)


def stall_until_it_is_full() -> None:
    """Wait until the test, two folders above the store, has filled the disk."""
    Path("stalled").touch()
    filled = Path.cwd().parents[2].parent / "filled"
    while not filled.exists():
        time.sleep(0.02)


def stall_deaf() -> None:
    """Wait as what knows no interrupt, with a process of its own."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    stall()


def stop_itself() -> None:
    """Be as a process that the system does not let run."""
    Path("stalled").touch()
    os.kill(os.getpid(), signal.SIGSTOP)


def fail() -> None:
    raise TrainingFailed("grader_failing", "The grader fails on most rows.", "method.grader")


def outage() -> None:
    raise TrainingPaused("The judge did not answer for 50% of the rows of this step.")


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def killer(who: str, event: str, text: str) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that kills when an event comes whose arguments hold a text."""
    done = False

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if done or name != event or not any(text in str(one) for one in arguments):
            return
        done = True
        Path(KILLED).touch()
        if who in ("server", "both"):
            os.kill(os.getppid(), signal.SIGKILL)
        if who in ("worker", "both"):
            os.kill(os.getpid(), signal.SIGKILL)

    return hook
