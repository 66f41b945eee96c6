"""Every method of files, evals and fine-tuning jobs, by the unmodified SDKs, against a server of its own.

A file of cases says what is asked and what must come back; a driver in each language asks. Without further
environments the `openai` package of this one is driven. GRADERS_TESTS_SDKS names others, as `.ci/sdks` makes
them: Pythons that have the package, and a folder whose `node_modules` has it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.models.endpoint import endpoint
from tests.sdks.losing_proxy import losing_proxy
from tests.server.evals_of import modelled
from tests.server.jobs_of import CONFIG, ROOT, lay_out
from tests.server.serving import serving

HERE = Path(__file__).parent
CASES: dict[str, list[dict[str, Any]]] = {
    name: json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("files_and_evals", "jobs")
}
TOML = f"""
{CONFIG}
[projects.other]
api_key_env = "KEY_OTHER"
[store]
max_file_bytes = 200_000
"""
KEYS = {"GRADERS_API_KEY": "sk-own", "KEY_OTHER": "sk-other", "OPENAI_API_KEY": "sk-model"}
CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
}
"""By the status; the SDKs have the general class of theirs for others."""
MISTYPED = re.compile(
    r"purpose|status|(sample\.)?(error|seed|temperature|top_p|max_completion_tokens)"
)
"""Fields whose types in the package lack what the hosted API answers: `evals`, `paused`, and null."""
NODE_CLASSES = {"APIStatusError": "APIError", "APITimeoutError": "APIConnectionTimeoutError"}
"""What npm's package has in place of the Python package's names."""


@dataclass(frozen=True)
class Driven:
    """What a driver printed.

    Attributes:
        language: `python` or `node`.
        version: of the package.
        cases: their name.
        methods: that it has of the kinds that the cases use.
        names: of what the answers said.
        results: by the case's name.
    """

    language: str
    version: str
    cases: str
    methods: list[str]
    names: dict[str, Any]
    results: dict[str, dict[str, Any]]


PYTHON, NODE = ("sync", "async", "azure", "async-azure"), ("node", "node-azure")


def clients() -> list[str]:
    """The clients to drive, each as its kind, and where its package is."""
    found = [f"{kind}={sys.executable}" for kind in ("sync", "async")]
    for place in filter(None, os.environ.get("GRADERS_TESTS_SDKS", "").split(os.pathsep)):
        node = (Path(place) / "node_modules").is_dir()
        found += [f"{kind}={place}" for kind in (NODE if node else PYTHON)]
    return found


@pytest.fixture(params=clients(), ids=lambda client: client.partition("=")[0])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=CASES)
def driven(client: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driven]:
    kind, _, place = client.partition("=")
    lay_out(tmp_path)
    (tmp_path / "graders.toml").write_text(TOML)
    (tmp_path / "bare").mkdir()
    with endpoint() as models:
        models.reply = modelled
        flags = ("--jobs", "store", "--base-url", models.url, "--max-body-bytes", "4000")
        with (
            serving(tmp_path, *flags, PYTHONPATH=str(ROOT), **KEYS) as server,
            serving(tmp_path / "bare") as bare,
            losing_proxy(server.url) as lossy,
        ):
            addresses = {"own": server.url, "bare": bare.url, "lossy": lossy}
            addresses["nowhere"] = "http://127.0.0.1:9"
            yield drive(kind, place, tmp_path, addresses, request.param)


def drive(kind: str, place: str, folder: Path, addresses: dict[str, str], cases: str) -> Driven:
    language = "node" if kind.startswith("node") else "python"
    told = json.dumps(addresses)
    if language == "node":
        script = Path(place) / "driver.mjs"
        script.write_bytes((HERE / "driver.mjs").read_bytes())
        command = ["node", str(script), kind, told]
    else:
        command = [place, str(HERE / "driver.py"), kind, told]
    environment = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"}
    done = subprocess.run(
        [*command, str(HERE / f"{cases}.json")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed = json.loads(done.stdout)
    asked = [case["name"] for case in CASES[cases] if case.get("only", language) == language]
    results = dict(zip(asked, printed["results"], strict=True))
    return Driven(
        language, printed["version"], cases, printed["methods"], printed["names"], results
    )


def filled(value: Any, names: dict[str, Any]) -> Any:
    """What is expected, with what earlier answers said in place of `$NAME`."""
    if isinstance(value, list):
        return [filled(one, names) for one in value]
    if isinstance(value, dict):
        return {key: filled(one, names) for key, one in value.items()}
    if isinstance(value, str) and re.fullmatch(r"\$[A-Z]\w*", value):
        return names[value[1:]]
    return value


def differences(found: Any, expected: Any, path: str = "") -> Iterator[str]:
    """Where a value has not what is expected; it may have more keys, and `~` begins a pattern."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key in found:
                yield from differences(found[key], value, f"{path}.{key}")
            else:
                yield f"{path}.{key} is missing"
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        for position, pair in enumerate(zip(found, expected, strict=True)):
            yield from differences(*pair, f"{path}[{position}]")
    elif isinstance(expected, str) and expected.startswith("~"):
        if not (isinstance(found, str) and re.fullmatch(expected[1:], found)):
            yield f"{path}: {found!r} does not match {expected[1:]!r}"
    elif found != expected:
        yield f"{path}: {found!r} is not {expected!r}"


def faults(case: dict[str, Any], driven: Driven) -> Iterator[str]:
    """What of a case did not come as it must."""
    result = driven.results[case["name"]]
    if ("error" in result) != ("error" in case):
        yield f": {result}"
    elif "error" in case:
        yield from wrong_error(result["error"], case["error"], driven)
    else:
        for key in ("answer", "status", "request_id"):
            if key in case:
                yield from differences(result[key], filled(case[key], driven.names), f".{key}")
        if "pages" in case:
            pages = filled(case["pages"], driven.names)
            yield from differences(result["pages"], pages, ".pages")
            yield from differences(result["all"], [one for page in pages for one in page], ".all")
        # The package itself reads answers without a look at their types.
        for place in result.get("misfits", ()):
            if not MISTYPED.fullmatch(place):
                yield f".{place} is not what the package's types promise"


def wrong_error(found: dict[str, Any], expected: dict[str, Any], driven: Driven) -> Iterator[str]:
    """Where an error has another class, status, code or parameter; or not what errors of answers have."""
    name = expected.get("class") or CLASSES.get(expected["status"], "APIStatusError")
    name = NODE_CLASSES.get(name, name) if driven.language == "node" else name
    answered = {"type": "invalid_request_error", "request_id": True}
    more = answered if expected["status"] is not None else {}
    yield from differences(found, {**more, **expected, "class": name}, ".error")


def test_every_call_gives_what_the_hosted_api_gives(driven: Driven) -> None:
    asked = [case for case in CASES[driven.cases] if case["name"] in driven.results]
    found = [f"{case['name']}{fault}" for case in asked for fault in faults(case, driven)]
    assert found == [], "\n".join(found)
    everywhere = {case["call"] for cases in CASES.values() for case in cases}
    assert everywhere >= set(driven.methods)
