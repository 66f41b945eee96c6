"""What runs in an actor of a `ClusterSandbox`: a pool of its node, and the calls that are sent to it.

It imports what a sandbox needs and nothing else: there is one such process for each core of a cluster.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import pickle
from dataclasses import dataclass, field
from importlib import import_module

from graders_engine.cluster.nodes import Versions, versions_here
from graders_engine.sandbox import images
from graders_engine.sandbox.base import (
    GradeResult,
    Isolation,
    Limits,
    Program,
    SandboxError,
    SandboxUnavailable,
)
from graders_engine.sandbox.pool import Pool
from graders_engine.sandbox.shared_pool import SharedPool

HOLD_S = 0.2
"""A reply waits this long for the calls of its batch; those that take longer get a reply of their own."""
_ANY = Program("def grade(sample, item): return 1.0")

Ended = GradeResult | Exception
"""How a call ended: with a result, or with what the pool raised."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A program as it is sent to a node, where an image may be in another folder.

    Attributes:
        program: its interpreter is None if it runs in an image.
        image: the image, as the sender has it.
    """

    program: Program
    image: images.Image | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls that are sent together.

    Attributes:
        number: of the batch, different from those of the sender's others.
        programs: those of its calls.
        calls: for each, the index of its program, its sample and its item, both as JSON.
    """

    number: int
    programs: list[Sent]
    calls: list[tuple[int, bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What an actor has of a batch.

    Attributes:
        ended: by call, how it ended; None if it has not, and is to be asked for with `rest`.
        logged: warnings of this process since its last reply.
    """

    ended: list[Ended | None]
    logged: list[str]


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node offers.

    Attributes:
        node: its address and the beginning of its id.
        tier: of its sandbox; empty if it has none.
        fault: why it cannot grade; empty if it can.
        versions: what it has installed; None if it does not say.
    """

    node: str
    tier: str = ""
    fault: str = ""
    versions: Versions | None = None


class NodeSandbox:
    """The actor.

    Args:
        tier, limits, isolation: as for `OnDemand`.
        concurrency: how many grades run at a time.
    """

    def __init__(self, tier: str, limits: Limits, isolation: Isolation, concurrency: int) -> None:
        kind = SharedPool if isolation == "worker" else Pool
        self._pool: Pool | SharedPool = kind(tier, limits, concurrency)
        self._late: dict[tuple[int, int], asyncio.Task[Ended]] = {}
        self._log = _Collected()
        logging.getLogger("graders_engine").addHandler(self._log)

    async def report(self, wanted: list[images.Image]) -> NodeReport:
        """Find out what this node offers, by a first grade.

        Args:
            wanted: images that it must have.
        """
        node = _name_of_node()
        try:
            for image in wanted:
                _image_here(image)
            await self._pool.grade(_ANY, b"null", b"null")
        except SandboxError as error:
            return NodeReport(node, fault=str(error), versions=versions_here())
        return NodeReport(node, self._pool.tier, versions=versions_here())

    async def grade(self, batch: Batch) -> Reply:
        """Run the calls of a batch; see `HOLD_S`."""
        tasks = [
            asyncio.ensure_future(self._ended(batch.programs[index], sample, item))
            for index, sample, item in batch.calls
        ]
        try:
            await asyncio.wait(tasks, timeout=HOLD_S if len(tasks) > 1 else None)
        except asyncio.CancelledError:  # nobody waits for any of them
            for task in tasks:
                task.cancel()
            raise
        ended: list[Ended | None] = []
        for index, task in enumerate(tasks):
            if not task.done():
                self._late[batch.number, index] = task
            ended.append(task.result() if task.done() else None)
        return Reply(ended, self._log.taken())

    async def rest(self, number: int, index: int) -> Reply:
        """Wait for a call of a batch that had not ended when the reply to it was sent."""
        task = self._late.pop((number, index))
        return Reply([await task], self._log.taken())

    async def _ended(self, sent: Sent, sample_json: bytes, item_json: bytes) -> Ended:
        try:
            program = sent.program
            if sent.image is not None:
                here = _image_here(sent.image)
                program = dataclasses.replace(program, interpreter=here.interpreter)
            return await self._pool.grade(program, sample_json, item_json)
        except Exception as error:  # noqa: BLE001 - the caller raises it, as if its own pool had
            return _sendable(error)

    async def close(self) -> None:
        """End every process of the pool."""
        await self._pool.close()


@functools.cache
def _name_of_node() -> str:
    ray = import_module("ray")
    address = import_module("ray.util").get_node_ip_address()
    return f"{address} (id {ray.get_runtime_context().get_node_id()[:8]})"


@functools.cache
def _image_here(wanted: images.Image) -> images.Image:
    """The image of the same tag on this node.

    Raises:
        SandboxUnavailable: it is not there, or is another one.
    """
    here = images.find(wanted.tag)
    build = f"run `graders image build {wanted.tag}` there"
    if here is None:
        raise SandboxUnavailable(
            f"the image '{wanted.tag}' is not built on the node {_name_of_node()}: {build}"
        )
    for what, one, other in (
        ("Python", wanted.python, here.python),
        ("NLTK data missing", sorted(wanted.missing_data), sorted(here.missing_data)),
    ):
        if one != other:
            raise SandboxUnavailable(
                f"the image '{wanted.tag}' differs on the node {_name_of_node()}: {what} {other or 'none'}, "
                f"and {one or 'none'} here; {build}"
            )
    return here


def _sendable(error: Exception) -> Exception:
    """An exception that arrives as what it is, or one that says what it was."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled here, one expression before
    except Exception:  # noqa: BLE001 - whatever an exception's own methods raise
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


@dataclass(eq=False)
class _Collected(logging.Handler):
    """Keeps warnings for the next reply: nobody reads the log of an actor."""

    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.texts.append(record.getMessage())

    def taken(self) -> list[str]:
        """Those since the last time."""
        texts, self.texts = self.texts, []
        return texts
