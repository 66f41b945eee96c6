"""Python and judged graders over Ray keep every promise of a run on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import BudgetSpent, DataSetError, Engine
from graders_engine.cluster import actors
from graders_engine.cluster.connection import ClusterOptions
from graders_engine.cluster.sandbox import ClusterSandbox
from graders_engine.dataset.results.line import results_in
from graders_engine.dataset.results.meta import GRADED_ON
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import RunStopped
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.scripted import Scripted
from graders_engine.outcome import Usage
from graders_engine.sandbox import images
from tests.dataset.judged import JUDGED
from tests.dataset.workers_conformance import timeless
from tests.sandbox.pools import Environment

ROWS = 120
PYTHON = {
    "type": "python",
    "name": "code",
    "source": "def grade(sample, item):\n    return 1 / item['n'] if item['n'] != 50 else 1 / 0\n",
}
SLOW = {
    "type": "python",
    "name": "slow",
    "source": "import time\ndef grade(sample, item):\n    time.sleep(0.05)\n    return 1 / item['n']\n",
}
BOTH = {
    "type": "multi",
    "name": "both",
    "graders": {"code": PYTHON, "judged": JUDGED},
    "calculate_output": "(code + judged) / 2",
}
DEADLY = """
import os, signal
def grade(sample, item):
    here = item["marker"]
    if here and not (item["once"] and os.path.exists(here)):
        open(here, "a").close()
        actor = os.getpid()
        while not open(f"/proc/{actor}/cmdline").read().startswith("ray::"):
            actor = int(open(f"/proc/{actor}/stat").read().rpartition(")")[2].split()[1])
        os.kill(actor, signal.SIGKILL)
    return item["n"] / 100
"""
TOKENS = 30


def judged_number(request: ModelRequest) -> ModelReply:
    number = int(str(request.messages[-1].parts[-1].text).split()[-1])  # type: ignore[union-attr] # all are texts
    text = json.dumps({"result": number / 200, "reasoning_steps": []})
    return ModelReply(text, "judge", Usage(20, TOKENS, 10))


def write(path: Path, count: int = ROWS, **item: Any) -> Path:
    rows = [{"item": {"n": n, **item}, "model_sample": str(n)} for n in range(1, count + 1)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def scored(
    grader: dict[str, Any], data: Path, out: Path, engine: Engine | None = None, **more: Any
) -> Tally:
    if engine is not None:
        return score_file(engine, grader, data, out, **more)
    with Engine(judges=Scripted(judged_number)) as own:
        return score_file(own, grader, data, out, **more)


def require_equal(there: Path, here: Path, cluster: str = ClusterOptions().name) -> None:
    assert timeless(there.read_bytes()) == timeless(here.read_bytes())
    metas = [json.loads(Path(f"{out}.meta.json").read_bytes()) for out in (there, here)]
    assert metas[0].pop(GRADED_ON)[-1] == cluster
    assert metas[0] == metas[1]


@pytest.mark.parametrize("grader", [PYTHON, BOTH], ids=["python", "multi"])
def test_the_results_are_those_of_this_machine(
    two_nodes: Any, tmp_path: Path, grader: dict[str, Any]
) -> None:
    data = write(tmp_path / "rows.jsonl")
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    expected = scored(grader, data, here)
    tally = scored(grader, data, there, cluster=ClusterOptions(), workers=2)
    assert (tally.scored, tally.rows) == (expected.scored, ROWS) == (ROWS - 1, ROWS)
    require_equal(there, here)


def test_an_actor_that_dies_costs_nothing(two_nodes: Any, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [json.loads(line) for line in write(data).read_text().splitlines()]
    for row in rows:
        deadly = row["item"]["n"] in (7, 60)
        marker = str(tmp_path / f"died of {row['item']['n']}") if deadly else ""
        row["item"] |= {"marker": marker, "once": True}
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    grader = {"type": "python", "name": "deadly", "source": DEADLY}
    with Engine(sandbox="none") as engine:
        tally = scored(
            grader, data, tmp_path / "out.jsonl", engine, cluster=ClusterOptions(), workers=2
        )
    assert (tmp_path / "died of 7").exists()
    assert (tmp_path / "died of 60").exists()
    assert (tally.scored, tally.failed) == (ROWS, 0)
    rewards = [result.reward for _, result in results_in(tmp_path / "out.jsonl")]
    assert rewards == [n / 100 for n in range(1, ROWS + 1)]


def test_a_row_that_actors_die_of_is_found_and_fails_alone(two_nodes: Any, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [json.loads(line) for line in write(data).read_text().splitlines()]
    for row in rows:
        marker = str(tmp_path / "marker") if row["item"]["n"] == 33 else ""
        row["item"] |= {"marker": marker, "once": False}
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    grader = {"type": "python", "name": "deadly", "source": DEADLY}
    with Engine(sandbox="none") as engine:
        tally = scored(
            grader, data, tmp_path / "out.jsonl", engine, cluster=ClusterOptions(), workers=2
        )
    assert (tally.scored, tally.failed) == (ROWS - 1, 1)
    [failed] = [r for _, r in results_in(tmp_path / "out.jsonl") if r.status == "failed"]
    assert (failed.line, failed.blame) == (33, "infrastructure")
    [details] = failed.flags.values()
    assert "the row or the grader made it die" in details


def test_a_node_that_is_taken_away_costs_nothing(two_nodes: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl", 200)
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    scored(SLOW, data, here)
    doomed = two_nodes.add_node(num_cpus=2)
    two_nodes.wait_for_nodes()
    told: list[int] = []

    def lose_a_node(done: int, size: int | None, tally: Tally) -> None:
        told.append(done)
        if len(told) == 2:
            two_nodes.remove_node(doomed, allow_graceful=False)

    tally = scored(SLOW, data, there, cluster=ClusterOptions(), workers=4, on_progress=lose_a_node)
    assert len(told) > 4
    assert tally.failed == 0
    require_equal(there, here)


def test_a_killed_driver_goes_on_where_it_was(two_nodes: Any, tmp_path: Path) -> None:
    (tmp_path / "grader.json").write_text(json.dumps(SLOW))
    data = write(tmp_path / "rows.jsonl", 300)
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    scored(SLOW, data, here)
    command = [
        *(sys.executable, "-m", "graders_engine", "score", "--grader", f"@{tmp_path}/grader.json"),
        *("--data", str(data), "--out", str(there), "--backend", "ray", "--workers", "2"),
        *("--ray-address", two_nodes.address, "--quiet"),
    ]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE)
    wait_until(lambda: there.exists() and there.read_bytes().count(b"\n") > 20, driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    kept = there.read_bytes().count(b"\n")
    assert 20 < kept < 300
    subprocess.run(command, check=True, timeout=200)
    require_equal(there, here, ClusterOptions(two_nodes.address).name)


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not holds():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_rows_that_were_graded_before_an_interrupt_are_kept(two_nodes: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl")
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    scored(BOTH, data, here)

    def interrupt(done: int, size: int | None, tally: Tally) -> None:
        if tally.rows >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scored(BOTH, data, there, cluster=ClusterOptions(), workers=2, on_progress=interrupt)
    assert there.read_bytes().count(b"\n") >= 32
    tally = scored(BOTH, data, there, cluster=ClusterOptions(), workers=2)
    assert tally.earlier >= 32
    require_equal(there, here)


def test_a_budget_is_one_for_the_whole_cluster_and_nothing_is_paid_twice(
    two_nodes: Any, tmp_path: Path
) -> None:
    data, out = write(tmp_path / "rows.jsonl"), tmp_path / "out.jsonl"
    judge = Scripted(judged_number)
    one: dict[str, Any] = {
        "endpoints": {"default": judge},
        "concurrency": 4,
        "cache": tmp_path / "cache.sqlite",
    }
    with Engine(judges=JudgeSettings(**one, max_tokens=900)) as engine, pytest.raises(BudgetSpent):
        scored(BOTH, data, out, engine, cluster=ClusterOptions(), workers=2)
    assert 900 <= TOKENS * len(judge.requests) <= 900 + 4 * TOKENS
    with Engine(judges=JudgeSettings(**one)) as engine:
        scored(BOTH, data, out, engine, cluster=ClusterOptions(), workers=2)
    assert len(judge.requests) == ROWS
    scored(BOTH, data, tmp_path / "here.jsonl")
    results = [[r.reward for _, r in results_in(path)] for path in (out, tmp_path / "here.jsonl")]
    assert results[0] == results[1]


def test_the_record_of_a_run_has_every_answer(two_nodes: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl")
    settings = JudgeSettings(
        endpoints={"default": Scripted(judged_number)}, record=tmp_path / "told"
    )
    with Engine(judges=settings) as engine:
        scored(BOTH, data, tmp_path / "out.jsonl", engine, cluster=ClusterOptions(), workers=2)
    [transcript] = (tmp_path / "told").iterdir()
    assert transcript.read_bytes().count(b"\n") == ROWS


def test_rows_that_change_each_other_end_the_run_as_on_this_machine(
    two_nodes: Any, tmp_path: Path
) -> None:
    source = (
        "import json\ndef grade(s, i):\n    json.seen = getattr(json, 'seen', 0) + 1\n"
        "    return json.seen"
    )
    grader = {"type": "python", "name": "mixing", "source": source}
    data = write(tmp_path / "rows.jsonl")
    reasons = []
    for name, more in (("here", {}), ("there", {"backend": "ray", "workers": 2})):
        with Engine(python_isolation="worker") as engine, pytest.raises(RunStopped) as stopped:
            scored(grader, data, tmp_path / f"{name}.jsonl", engine, **more)
        reasons.append(stopped.value.reason)
    for reason in reasons:
        assert reason.startswith("Row ")
        assert "in a process of its own" in reason


def test_an_image_must_be_on_every_node(
    two_nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_image(tmp_path / "driver", monkeypatch)
    grader = {**PYTHON, "image_tag": "mine"}
    out = tmp_path / "out.jsonl"
    with pytest.raises(
        DataSetError, match=r"The image 'mine' is not built on the node [\d.]+ \(id \w+\): run"
    ):
        scored(grader, write(tmp_path / "rows.jsonl"), out, cluster=ClusterOptions(), workers=2)
    assert not out.exists()


def test_an_image_is_used_where_the_node_has_it(
    two_nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import sys\ndef grade(s, i): return float(i['folder'] in sys.prefix)"
    built_image(there := tmp_path / "node", monkeypatch)
    built_image(tmp_path / "driver", monkeypatch)
    node = two_nodes.add_node(
        num_cpus=1, resources={"imaged": 1}, env_vars={"GRADERS_DATA": str(there)}
    )
    try:
        options = ClusterOptions(actors=1, resources={"imaged": 1})
        sandbox = ClusterSandbox(options=options, tags=["mine"])
        grader = {"type": "python", "name": "where", "source": source, "image_tag": "mine"}
        with Engine(sandbox=sandbox) as engine:
            response = engine.run(grader, item={"folder": str(there)}, model_sample="x")
        assert response.reward == 1.0, response
    finally:
        two_nodes.remove_node(node)


def built_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image without packages in a folder of data, which this process takes for its own."""
    monkeypatch.setenv("GRADERS_DATA", str(folder))
    place = images.home() / "mine"
    Environment(place)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    (place / "image.json").write_text(json.dumps({"python": python, "missing_data": []}))


def test_a_cluster_without_a_free_core_is_a_sentence(
    two_nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "START_TIMEOUT_S", 1.0)
    sandbox = ClusterSandbox(options=ClusterOptions(actors=1, cpus=64))
    with pytest.raises(DataSetError, match="no node has 64 CPU for a worker"):
        sandbox.start()
    sandbox.end()
