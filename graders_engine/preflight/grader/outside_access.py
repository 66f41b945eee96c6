"""A python source wants a network, or files of some machine: a sandbox has neither.

Why: the call fails, and the row gets 0.0 or waits until its time is over. Where a source catches
the failure, all rows get what it then returns.

Example: `requests.post("https://judge.example/score", …)`, `json.load(open("/data/answers.json"))`.

To mend it: put what the source needs into the rows, and ask a judge with a score_model.

Ignore it when: the source runs where it has them, outside of the hosted service.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.python_reads import PythonReads

_NETWORK = (
    "aiohttp", "anthropic", "asyncssh", "boto3", "botocore", "ftplib", "google.cloud", "http.client",
    "http.server", "httplib2", "httpx", "huggingface_hub", "imaplib", "openai", "paramiko", "poplib",
    "pycurl", "redis", "requests", "smtplib", "socket", "socketserver", "telnetlib", "urllib.request",
    "urllib3", "websocket", "websockets", "xmlrpc.client",
)  # fmt: skip
"""Modules that are of no use without a network."""
_MOST_NAMED = 4


def needs_network(module: str) -> bool:
    """Whether a module is of no use without a network."""
    return any(module == name or module.startswith(f"{name}.") for name in _NETWORK)


def _ask(inputs: Inputs) -> Answer:
    facts = inputs.grader
    if facts is None or not facts.python:
        return NotChecked("the grader runs no python")
    return _findings(inputs)


def _findings(inputs: Inputs) -> Iterator[Finding]:
    for path, reads in inputs.grader.python if inputs.grader else ():
        wanted = list(dict.fromkeys(_wanted(reads)))
        if not wanted:
            continue
        more = [f"{len(wanted) - _MOST_NAMED} others"] if len(wanted) > _MOST_NAMED else []
        place = f"{path}.source".lstrip(".")
        yield Finding(
            "outside-access",
            "warning",
            f"The source {and_joined([*wanted[:_MOST_NAMED], *more])}: a sandbox has {_lacks(reads)}.",
            "Put what it needs into the rows, or ask a judge with a score_model.",
            where=[Location(inputs.grader_file, 0, place)],
            numbers={"wanted": wanted},
        )


def _lacks(reads: PythonReads) -> str:
    files = any(opened.kind != "program" for opened in reads.opened)
    network = len(reads.opened) > sum(opened.kind != "program" for opened in reads.opened) or any(
        needs_network(found.module) for found in reads.imports
    )
    return {
        (True, True): "no network, and no such files",
        (True, False): "no network",
    }.get((network, files), "no such files")


def _wanted(reads: PythonReads) -> Iterator[str]:
    for found in reads.imports:
        if needs_network(found.module):
            yield f"imports `{found.module}` (line {found.line})"
    for opened in reads.opened:
        verb = "starts" if opened.kind == "program" else "opens"
        yield f"{verb} `{opened.name[:60]}` (line {opened.line})"


CHECK = Check(
    "outside-access", "grader", _ask, frozenset({"grader"}), silenced_by=("invalid-grader",)
)
