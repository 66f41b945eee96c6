"""The groups in which a command's help lists its options, and the order within a group."""

from __future__ import annotations

MAIN, OTHER = "Main options", "Other options"
SHARED = ("Judge", "Metrics", "Sandbox")
"""Groups of options that mean the same for every command that has them."""
GROUPS: dict[str, tuple[str, ...]] = {
    MAIN: (
        "--grader", "--train", "--validation", "--samples", "--job", "--data", "--into", "--out",
        "--model-sample", "--item", "--sample", "--reference-answer",
        "--human", "--row", "--host", "--port", "--no-open", "--api-key", "--jobs", "--project",
        "--model", "--messages", "--sampling-params", "--name", "--from-api", "--check", "--file",
        "--templates", "--follow", "--step", "--adapters", "export --config",
        "conformance --base-url", "--key", "--topic", "--write",
    ),
    "Data": (
        "--outputs", "--join-on", "--sample-field", "--format", "--shape", "--group-by", "--by",
        "--data-a", "--data-b", "--force", "--reference-field", "--reference-template",
    ),
    "Result": (
        "--json", "--report", "run --format", "--field", "--show-output", "--html", "--no-html", "--embed",
        "--passing", "--group-size", "--top", "--explain", "--out-dir", "--url", "--quiet",
    ),
    "Checks": ("--select", "--ignore", "--only", "--service", "--rows", "--max-calls"),
    "Exit code": (
        *("--fail-on", "--fail-under", "--fail-if-worse"),
        *("--max-invalid", "--max-failed", "--max-errored"),
    ),
    "Run": ("--overwrite", "--retry-failed", "--keep-going", "--workers"),
    "Ray cluster": ("--backend", "--ray-address", "--ray-cpus", "--ray-resource", "--runtime-env"),
    "Judge": (
        "--base-url", "--judge-model", "--map", "--config", "--max-cost", "--max-tokens", "--concurrency",
        "--requests-per-minute", "--tokens-per-minute", "--adaptive", "--judge-timeout", "--judge-attempts",
        "--judge-repeats", "--cache", "--no-cache", "--record", "--replay",
    ),
    "Metrics": ("--variant", "--embeddings", "--max-text-chars"),
    "Sandbox": ("--sandbox", "--limit", "--python-isolation", "--trust-grader"),
    "Access": ("--read-only", "--admin-key", "--no-auth", "--allow-endpoints", "--log-bodies"),
    "Limits": (
        "conformance --concurrency", "--max-body-bytes", "--max-row-bytes", "--max-queue",
        "--deadline-s", "--read-timeout-s",
    ),
    OTHER: ("--version", "--help"),
}  # fmt: skip
"""Group -> its options, the most used first; with its command, where one means something else there."""


def group_of(command: str, flags: list[str]) -> tuple[str, int]:
    """The group of an option of a command, and its place in it.

    Args:
        command: the command's name.
        flags: the option's spellings.
    """
    names = [f"{command} {flag}" for flag in flags] + flags
    for name in names:
        for group, members in GROUPS.items():
            if name in members:
                return group, members.index(name)
    return OTHER, -1
