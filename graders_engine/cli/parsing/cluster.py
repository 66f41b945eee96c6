"""The options by which a command's workers are in a Ray cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graders_engine.cli.parsing.flags import named_path, pairs, with_flags
from graders_engine.cli.parsing.input_files import read_file
from graders_engine.errors import InvalidRequest

if TYPE_CHECKING:
    from graders_engine.cluster.connection import ClusterOptions

_RESOURCE = "NAME=N"
_FLAGS = {
    "backend": click.option(
        "--backend",
        type=click.Choice(["local", "ray"]),
        help="Where the workers run: on this machine (default), or in a Ray cluster.",
    ),
    "ray_address": click.option(
        "--ray-address",
        metavar="A",
        help="The cluster: auto, HOST:PORT, ray://HOST:PORT (default: the one found, or one started here).",
    ),
    "ray_cpus": click.option(
        "--ray-cpus", metavar="N", type=click.FloatRange(0, min_open=True),
        help="Cores of the cluster for each worker (default: 1).",
    ),
    "ray_resource": click.option(
        "--ray-resource", metavar=_RESOURCE, multiple=True,
        help="Further resource of the cluster for each worker, so that they run on the nodes that have it.",
    ),
    "runtime_env": click.option(
        "--runtime-env", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
        callback=named_path,
        help="JSON file with Ray's runtime_env: what the nodes install and set for the workers.",
    ),
}  # fmt: skip


def takes_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Call a command with `cluster`: a ClusterOptions, or None for workers on this machine."""

    @functools.wraps(command)
    def with_cluster(
        *,
        backend: str | None,
        ray_address: str | None,
        ray_cpus: float | None,
        ray_resource: tuple[str, ...],
        runtime_env: Path | None,
        **rest: Any,
    ) -> None:
        given = {
            "--ray-address": ray_address,
            "--ray-cpus": ray_cpus,
            "--ray-resource": ray_resource or None,
            "--runtime-env": runtime_env,
        }
        used = [name for name, value in given.items() if value is not None]
        cluster = None
        if backend == "local" and used:
            raise InvalidRequest(f"{used[0]} is for --backend ray: leave out one of the two.")
        if backend == "ray" or used:
            cluster = _options(ray_address, ray_cpus, ray_resource, runtime_env)
        command(cluster=cluster, **rest)

    return with_flags(with_cluster, _FLAGS)


def _options(
    address: str | None, cpus: float | None, resources: Iterable[str], file: Path | None
) -> ClusterOptions:
    from graders_engine.cluster.connection import ClusterOptions  # few runs need it
    from graders_engine.cluster.runtime_env import parse_runtime_env

    return ClusterOptions(
        address,
        cpus=1 if cpus is None else cpus,
        resources=_amounts(resources),
        runtime_env=parse_runtime_env(read_file(file), str(file)) if file else None,
        runtime_env_file=str(file or ""),
    )


def _amounts(given: Iterable[str]) -> dict[str, float]:
    amounts: dict[str, float] = {}
    for name, text in pairs("--ray-resource", given, _RESOURCE).items():
        try:
            amounts[name] = float(text)
        except ValueError:
            raise InvalidRequest(
                f"--ray-resource {name}={text}: write {_RESOURCE}, as in {name}=1."
            ) from None
    return amounts
