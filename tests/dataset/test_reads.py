"""The bytes of a data set are read once to cut it into shards and once to grade it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.shards import cut
from graders_engine.dataset.rows.source import HEAD_BYTES
from tests.dataset.files import cats, write_rows

LOOKS = 2
"""Times that the first bytes are read before the run: for the format, and for the shape."""
JUDGED: dict[str, Any] = {
    "type": "score_model",
    "model": "judge",
    "input": [{"role": "user", "content": "Rate {{sample.output_text}}"}],
}
PROGRAM = """
import json, sys
from pathlib import Path
from graders_engine import Engine
from graders_engine.dataset.scoring.score import score_file
from graders_engine.models.scripted import Scripted

grader, data, folder = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
opened = 0

def count(event, arguments):
    global opened
    opened += event == "open" and arguments[0] in (data, str(data))

def read():
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(lines[0].split()[1])  # rchar: bytes read by system calls, from a cache or not

with Engine(judges=Scripted(lambda request: 0.5)) as engine:
    few = folder / "few.jsonl"
    few.write_bytes(data.read_bytes()[:5000])
    score_file(engine, grader, few, folder / "few.out.jsonl", workers=1)  # imports what there is to import
    sys.addaudithook(count)
    before = read()
    tally = score_file(engine, grader, data, folder / "out.jsonl", workers=1)
    print(json.dumps([opened, read() - before, tally.scored]))
"""


def reads(grader: dict[str, Any], data: Path) -> tuple[int, int, int]:
    """Opens of the data, bytes read from all files, and rows scored."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(grader), str(data), str(data.parent)],
        capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    opened, read, scored = json.loads(ended.stdout)
    return opened, read, scored


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs /proc to count bytes")
@pytest.mark.parametrize("waits", [False, True], ids=["shard by shard", "row by row"])
def test_a_run_reads_the_bytes_of_its_data_at_most_twice(
    waits: bool, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(3000, "x" * 2000))
    size = data.stat().st_size
    opened, read, scored = reads(JUDGED if waits else string_check, data)
    shards = len(list(cut(open_records(data)).rest()))
    assert scored == 3000
    assert opened <= LOOKS + 1 + shards
    # What else a run reads: its lock, and the pages of its index.
    assert 2 * size <= read <= 2 * size + LOOKS * HEAD_BYTES + (1 << 18)
