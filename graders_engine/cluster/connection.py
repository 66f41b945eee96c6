"""The connection to a Ray cluster, and the actors that are started there.

Ray's own retries are not used: with them, a row that kills its process would take the other rows of its shard
with it each time.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from graders_engine.errors import DataSetError
from graders_engine.version import how_to_install


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Which cluster, and what is taken of it.

    Attributes:
        address: as for `ray.init`; None to find a cluster, or start one here.
        actors: how many; None for as many as the cluster has room for.
        cpus: cores of each actor.
        resources: further resources of each actor by their names, as the cluster calls them.
        runtime_env: of the actors, as for `ray.init`.
    """

    address: str | None = None
    actors: int | None = None
    cpus: float = 1
    resources: dict[str, float] = field(default_factory=dict)
    runtime_env: dict[str, Any] | None = None


class Cluster:
    """A connection, which is closed with `close` if this object made it.

    Raises:
        DataSetError: Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(self, options: ClusterOptions) -> None:
        try:
            self.ray = ray = import_module("ray")
        except ImportError:
            raise DataSetError(
                f"Ray is not installed: {how_to_install('ray')}, here and in the cluster."
            ) from None
        self.options = options
        self._connected = not ray.is_initialized()
        if self._connected:
            try:
                ray.init(address=options.address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise DataSetError(f"The Ray cluster cannot be reached: {error}") from None
        cores = int(ray.cluster_resources().get("CPU", 1) / options.cpus)
        self.actors: int = options.actors or max(1, cores)

    def actor_class(self, plain: type) -> Any:
        """A class whose `remote(...)` starts an actor, wherever the cluster has room."""
        options = self.options
        return self.ray.remote(
            num_cpus=options.cpus,
            resources=options.resources,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )(plain)

    def is_loss(self, error: BaseException) -> bool:
        """Whether an error says that an actor's process or node is gone, and not that its code raised."""
        return isinstance(error, self.ray.exceptions.RayError) and not isinstance(
            error, self.ray.exceptions.RayTaskError
        )

    def close(self) -> None:
        """Disconnect, if this object connected."""
        if self._connected:
            self.ray.shutdown()
