"""What a python source imports, opens and leaves to chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.preflight.findings import Finding
from tests.preflight.ask import SUMS, ask
from tests.preflight.graders import HEAD, SAME, multi, python

CHECKS = ("unavailable-import", "outside-access", "random-source")


def findings(folder: Path, source: str, **more: Any) -> list[Finding]:
    keys = {key: more.pop(key) for key in ("image_tag",) if key in more}
    return list(ask(folder, python(source, **keys), SUMS, select=CHECKS, **more).findings)


def answered(folder: Path, source: str, **more: Any) -> list[tuple[str, str]]:
    return [(one.id, one.severity) for one in findings(folder, source, **more)]


IMPORTS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "standard library": ("import re, json\nfrom collections import Counter\n", {}, True),
    "a dependency of the engine": ("from rapidfuzz import fuzz\n", {}, True),
    "nothing has it": ("import torch\n", {}, False),
    "a part of it": ("from torch.nn import functional\n", {}, False),
    "by a call": ("import importlib\ntorch = importlib.import_module('torch')\n", {}, False),
    "relative": ("from . import helpers\n", {}, False),
    "without it the source also works": (
        "try:\n    import torch\nexcept ImportError:\n    torch = None\n",
        {},
        True,
    ),
    "for types only": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n",
        {},
        True,
    ),
    "a module of the image": ("import sklearn, yaml\n", {"image_tag": "2025-05-08"}, True),
    "a module of the image by another name": ("import skbio\n", {"image_tag": "alpha"}, True),
    "the image lacks it": ("import torch\n", {"image_tag": "2025-05-08"}, False),
    "the image lacks what the engine has": ("import msgspec\n", {"image_tag": "alpha"}, False),
    "the service's image": ("import pandas\n", {"service": "openai"}, True),
    "the service's image lacks it": ("import msgspec\n", {"service": "azure"}, False),
}


@pytest.mark.parametrize(("head", "more", "there"), IMPORTS.values(), ids=IMPORTS)
def test_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, more: dict[str, Any], there: bool
) -> None:
    monkeypatch.setenv("GRADERS_DATA", str(tmp_path))  # no image is built
    expected = [] if there else [("unavailable-import", "warning")]
    assert answered(tmp_path, head + HEAD + SAME, **more) == expected


def test_a_module_of_the_documented_image_is_to_be_had_by_its_tag(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "import skbio\n" + HEAD + SAME)
    assert '"image_tag": "2025-05-08"' in finding.fix


def test_the_module_that_was_meant_is_suggested(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "import nunpy\n" + HEAD + SAME)
    assert "Did you mean `numpy`?" in finding.fix


def test_an_import_inside_a_function_names_its_line(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, HEAD + "    import torch\n" + SAME)
    assert "`torch` (line 2)" in finding.message
    assert finding.is_root


OUTSIDE: dict[str, tuple[str, str, bool]] = {
    "requests": ("import requests\n", "", True),
    "a part of urllib that opens addresses": ("from urllib.request import urlopen\n", "", True),
    "the same, imported from urllib": ("from urllib import request\n", "", True),
    "socket": ("import socket\n", "", True),
    "http.client": ("import http.client\n", "", True),
    "urllib.parse": ("from urllib.parse import urlparse, quote\n", "", False),
    "the names of HTTP": ("from http import HTTPStatus\n", "", False),
    "a path from the root": ("import json\n", 'json.load(open("/data/answers.json"))', True),
    "by a module's constant": ('FILE = "/data/answers.json"\n', "open(FILE).read()", True),
    "joined to the root": ("import os\n", 'open(os.path.join("/data", item["answer"]))', True),
    "a path object": ("from pathlib import Path\n", 'Path("/data/a.txt").read_text()', True),
    "a part of a path object": (
        'from pathlib import Path\nROOT = Path("/data")\n',
        '(ROOT / "a.txt").read_text()',
        True,
    ),
    "pandas": ("import pandas as pd\n", 'pd.read_csv("/mnt/rows.csv")', True),
    "a home folder": ("", 'open("~/answers.json")', True),
    "Windows": ("", 'open("C:\\\\answers.json")', True),
    "a file beside the source": ("", 'open("answers.json").read()', True),
    "a folder for modules": ("import sys\n", 'sys.path.append("/opt/graders")', True),
    "a program for the network": (
        "import subprocess\n",
        'subprocess.run(["pip", "install", "x"])',
        True,
    ),
    "a shell command for the network": ("import os\n", 'os.system("curl http://x")', True),
    "the scratch folder": ("", 'open("/tmp/code.py", "w").write("1")', False),
    "a file that it made": (
        "",
        'open("code.py", "w").write("1"), open("code.py").read()',
        False,
    ),
    "no file": ("", 'open("/dev/null")', False),
    "another program": (
        "import subprocess, sys\n",
        'subprocess.run([sys.executable, "-c", "print(1)"])',
        False,
    ),
    "a path that is only a text": ("", '"/data" in item["answer"]', False),
    "a path in a message": ("", "print('see /data/answers.json')", False),
}


@pytest.mark.parametrize(("head", "line", "outside"), OUTSIDE.values(), ids=OUTSIDE)
def test_what_a_sandbox_does_not_have(tmp_path: Path, head: str, line: str, outside: bool) -> None:
    source = head + HEAD + (f"    {line}\n" if line else "") + SAME
    expected = [("outside-access", "warning")] if outside else []
    found = [one for one in answered(tmp_path, source) if one[0] != "unavailable-import"]
    assert found == expected


def test_what_nothing_calls_opens_nothing(tmp_path: Path) -> None:
    source = 'def load():\n    return open("/data/answers.json")\n\n' + HEAD + SAME
    assert not findings(tmp_path, source)


def test_a_module_for_the_network_is_not_reported_as_missing_too(tmp_path: Path) -> None:
    assert answered(tmp_path, "import httpx\n" + HEAD + SAME) == [("outside-access", "warning")]


TEXT = 'len(sample["output_text"])'
CHANCE: dict[str, tuple[str, tuple[str, ...], list[str]]] = {
    "added": ("import random", (f"return {TEXT} + random.random()",), ["warning"]),
    "imported from": ("from random import uniform", (f"return uniform(0, {TEXT})",), ["warning"]),
    "decides": (
        "import random",
        ("if random.random() < 0.5:", "    return 1.0", f"return {TEXT}"),
        ["warning"],
    ),
    "of a generator": (
        "import random\nDICE = random.Random()",
        (f"return {TEXT} * DICE.random()",),
        ["warning"],
    ),
    "shuffled": (
        "import random",
        ('words = sample["output_text"].split()', "random.shuffle(words)", "return len(words[0])"),
        ["warning"],
    ),
    "drawn": (
        "import random",
        ('tests = random.sample(item["tests"], 2)', f"return {TEXT} * len(tests[0])"),
        ["warning"],
    ),
    "in a helper": (
        "import random\ndef noise():\n    return random.gauss(0, 1)",
        (f"return {TEXT} + noise()",),
        ["warning"],
    ),
    "appended": (
        "import random",
        ("found = []", "found.append(random.random())", f"return {TEXT} + sum(found)"),
        ["warning"],
    ),
    "numpy": ("import numpy as np", (f"return {TEXT} * np.random.rand()",), ["warning"]),
    "secrets": ("import secrets", (f"return {TEXT} * secrets.randbelow(2)",), ["warning"]),
    "uuid": ("import uuid", (f"return {TEXT} + uuid.uuid4().int % 2",), ["warning"]),
    "the time": ("import time", (f"return {TEXT} + time.time() % 1",), ["warning"]),
    "a remainder of the time": (
        "import time",
        (f"return {TEXT} * (0.5 if int(time.time() * 1e6) % 2 == 0 else 1)",),
        ["warning"],
    ),
    "the second": (
        "from datetime import datetime",
        ("if datetime.now().second < 30:", "    return 0.0", f"return {TEXT}"),
        ["warning"],
    ),
    "all names of a module": (
        "from random import *",
        (f"return {TEXT} * (0.5 if randint(0, 1) else 1)",),
        ["warning"],
    ),
    "the date": (
        "from datetime import datetime",
        ('return float(sample["output_text"] == str(datetime.now().year))',),
        ["warning"],
    ),
    "seeded by the time": (
        "import random, time",
        ("random.seed(time.time())", f"return {TEXT} + random.random()"),
        ["warning"],
    ),
    "seeded by nothing": (
        "import random\nrandom.seed()",
        (f"return {TEXT} + random.random()",),
        ["warning"],
    ),
    "seeded": ("import random\nrandom.seed(0)", (f"return {TEXT} + random.random()",), []),
    "a seeded generator": (
        "import random",
        (f"return {TEXT} + random.Random(0).random()",),
        [],
    ),
    "seeded numpy": (
        "import numpy as np\nRNG = np.random.default_rng(7)",
        (f"return {TEXT} * RNG.random()",),
        [],
    ),
    "only imported": ("import random", (f"return {TEXT}",), ["info"]),
    "for the name of a file": (
        "import uuid",
        ('open(f"/tmp/{uuid.uuid4()}", "w").write("x")', f"return {TEXT}"),
        [],
    ),
    "how long it took": (
        "import time",
        ("start = time.time()", f"reward = {TEXT}", "print(time.time() - start)", "return reward"),
        [],
    ),
    "until the time is over": (
        "import time",
        (
            "end = time.monotonic() + 5",
            "while time.monotonic() < end:",
            "    break",
            f"return {TEXT}",
        ),
        [],
    ),
    "a mark that is looked for": (
        "import secrets, subprocess, sys",
        (
            "mark = secrets.token_hex(8)",
            'code = sample["output_text"] + f"print({mark!r})"',
            "done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)",
            "return float(mark in done.stdout) * done.stdout.count(mark)",
        ),
        [],
    ),
    "for the name of a file that is read": (
        "import uuid, subprocess, sys\nfrom pathlib import Path",
        (
            'file = Path(f"/tmp/{uuid.uuid4().hex}.py")',
            'file.write_text(sample["output_text"])',
            "done = subprocess.run([sys.executable, str(file)])",
            "return float(done.returncode == 0) * len(file.read_text())",
        ),
        [],
    ),
    "no reward when the time is over": (
        "import time",
        (
            "start = time.time()",
            f"reward = {TEXT}",
            "return reward if time.time() - start < 9 else 0.0",
        ),
        [],
    ),
    "a variable of that name": (
        "",
        ("random = {'random': 1}", f"return {TEXT} * random['random']"),
        [],
    ),
    "the days between two dates": (
        "from datetime import datetime",
        ('day = datetime.strptime(item["answer"], "%Y")', f"return {TEXT} * day.year"),
        [],
    ),
}


@pytest.mark.parametrize(("head", "lines", "expected"), CHANCE.values(), ids=CHANCE)
def test_a_reward_that_chance_decides(
    tmp_path: Path, head: str, lines: tuple[str, ...], expected: list[str]
) -> None:
    source = f"{head}\n{HEAD}" + "".join(f"    {line}\n" for line in lines)
    assert answered(tmp_path, source) == [("random-source", severity) for severity in expected]


def test_a_part_of_a_multi_is_named(tmp_path: Path) -> None:
    grader = multi("exact + code", code=python("import torch\n" + HEAD + SAME))
    (finding,) = ask(tmp_path, grader, SUMS, select=CHECKS).findings
    assert finding.where[0].path == "graders.code.source"
