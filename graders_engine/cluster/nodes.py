"""What the nodes of a Ray cluster have installed, and whether it is what this process has.

Objects of this package are sent as pickles, which another version would misread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from graders_engine.errors import InvalidRequest
from graders_engine.version import how_to_install

ANSWER_TIMEOUT_S = 10.0
"""Seconds for the nodes to tell what they have; one that does not is asked again by its first actor."""
INSTALL_TIMEOUT_S = 600.0
"""The same, where they must make a runtime environment before."""
HEAD = "node:__internal_head__"
"""A resource that only the head has."""
Versions = Mapping[str, str | None]
"""By package, its version; None if it is not installed. Of Python, the two numbers that pickles depend on."""
_OURS = "graders-engine"


def _reader() -> Callable[[], dict[str, str | None]]:
    # Ray sends a function within a function by its code, and any other by its module, which a node may lack.
    def versions() -> dict[str, str | None]:
        import sys
        from importlib import import_module

        found: dict[str, str | None] = {"Python": "{}.{}".format(*sys.version_info)}
        for name, module in (("Ray", "ray"), ("graders-engine", "graders_engine.version")):
            try:
                found[name] = import_module(module).__version__
            except ImportError:
                found[name] = None
        return found

    return versions


versions_here = _reader()
"""Gives the versions of the process that calls it."""


def name_of(node: Mapping[str, Any]) -> str:
    """What a node is called: its host and its address."""
    address = node.get("NodeManagerAddress", "")
    host = node.get("NodeManagerHostname", "")
    return f"{host} ({address})" if host and host != address else str(address or host)


def require_same(node: str, theirs: Versions) -> None:
    """Check that a node has what this process has.

    Raises:
        InvalidRequest: it has not.
    """
    if theirs.get(_OURS) is None:
        raise InvalidRequest(
            f"{_OURS} is not installed on node {node} of the Ray cluster: {how_to_install('ray')} there, "
            "or pass --runtime-env FILE with a runtime environment that installs it."
        )
    for name, ours in versions_here().items():
        if theirs.get(name) != ours:
            raise InvalidRequest(
                f"Node {node} of the Ray cluster has {name} {theirs.get(name)}, and here it is {ours}: "
                "install the same version in both places."
            )


def require_fit(ray: Any, nodes: list[dict[str, Any]], runtime_env: dict[str, Any] | None) -> None:
    """Check, before the first row, that nodes have what this process has; that takes no core of theirs.

    Args:
        ray: the connected module.
        nodes: of `ray.nodes()`. One that is lost meanwhile, or does not answer in time, is passed over.
        runtime_env: of the tasks that look, if they need one of their own.

    Raises:
        InvalidRequest: one has not.
        ray.exceptions.RuntimeEnvSetupError: the runtime environment cannot be made.
    """
    on_node = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    look = ray.remote(num_cpus=0, max_retries=0, runtime_env=runtime_env)(versions_here)
    asked = {
        look.options(scheduling_strategy=on_node(node["NodeID"], soft=False)).remote(): name_of(
            node
        )
        for node in nodes
    }
    has_own = runtime_env or ray.get_runtime_context().runtime_env
    limit_s = INSTALL_TIMEOUT_S if has_own else ANSWER_TIMEOUT_S
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=limit_s)
    for reference in silent:
        with suppress(ray.exceptions.RayError):
            ray.cancel(reference, force=True)
    for reference in answered:
        try:
            theirs = ray.get(reference)
        except ray.exceptions.RuntimeEnvSetupError:
            raise
        except ray.exceptions.RayError:
            continue
        require_same(asked[reference], theirs)
