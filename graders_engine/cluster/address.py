"""The address of a Ray cluster, and whether one answers there.

Ray itself tries a wrong address for minutes, and hears no signal meanwhile. So the port is asked first.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from importlib import import_module
from os import environ
from typing import Any

from graders_engine.cluster.bounded import within
from graders_engine.errors import InvalidRequest

AUTO = "auto"
REACH_TIMEOUT_S = 5.0
"""Seconds for a connection to the port, and again for an answer there."""
NAME_TIMEOUT_S = 2.0
"""Seconds for the name of the host, on top of these."""
_CLIENT = "ray://"
HOW_TO_NAME = (
    "pass HOST:PORT as `ray start --head` prints it, or, for the cluster's port for clients (10001), "
    "ray://HOST:PORT"
)
_ADDRESS = re.compile(r"(ray://)?(?:\[([0-9a-fA-F:.%\w]+)\]|([\w.-]+)):(\d{1,5})")
_HEAD_METHOD = "/grpc.health.v1.Health/Check"
_CLIENT_METHOD = "/ray.rpc.RayletDriver/ClusterInfo"
_OWN_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Address:
    """An address that names a host and a port.

    Attributes:
        text: as it was given.
        is_client: whether it is the port for clients, `ray://`.
        host, port: where it is.
    """

    text: str
    is_client: bool
    host: str
    port: int


def named_address(given: str | None) -> Address | None:
    """The address that is given, or that Ray takes from RAY_ADDRESS; None where Ray looks for a cluster here.

    Raises:
        InvalidRequest: it is no address.
    """
    text = environ.get("RAY_ADDRESS", "") if given in (None, AUTO) else given
    if not text or text == AUTO:
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[4]) > 0xFFFF:
        quoted = repr(text) if re.fullmatch(r"[\w.:/-]*", text) else "what is given"
        whose = " (of RAY_ADDRESS)" if given in (None, AUTO) else ""
        raise InvalidRequest(
            f"{quoted}{whose} is no address of a Ray cluster: {HOW_TO_NAME}, or {AUTO}."
        )
    return Address(text, bool(match[1]), match[2] or match[3], int(match[4]))


def require_answer(address: Address) -> None:
    """Check that a Ray cluster answers at an address.

    Raises:
        InvalidRequest: none does, or it is the other one of a cluster's two ports.
    """
    limit_s = NAME_TIMEOUT_S + 2 * REACH_TIMEOUT_S
    try:
        within(limit_s, lambda: _ask(address))
    except TimeoutError:
        raise _unreached(address, f"no answer in {limit_s:g} s") from None


def _ask(address: Address) -> None:
    hosts = [address.host]
    if address.host in _OWN_HOSTS and not address.is_client:
        hosts.append(
            import_module("ray").util.get_node_ip_address()
        )  # which Ray takes in its place
    for host in hosts:
        try:
            socket.create_connection((host, address.port), REACH_TIMEOUT_S).close()
            break
        except OSError as error:
            refusal = error
    else:
        if isinstance(refusal, socket.gaierror):
            reason = "there is no such host"
        elif isinstance(refusal, TimeoutError):
            reason = f"no answer in {REACH_TIMEOUT_S:g} s"
        else:
            reason = (refusal.strerror or str(refusal)).lower()
        raise _unreached(address, reason)
    # A cluster with TLS needs its certificates, which Ray reads.
    if environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
        _require_ray(
            address, f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
        )


def _require_ray(address: Address, target: str) -> None:
    """Check that it is a port of Ray's, and the right one."""
    try:
        grpc = import_module("grpc")
    except ImportError:  # only the extra `ray[client]` has it; without it, an open port must do
        return
    wanted, other = (_HEAD_METHOD, _CLIENT_METHOD)[:: -1 if address.is_client else 1]
    if _knows(grpc, target, wanted, address):
        return
    if _knows(grpc, target, other, address):
        where = f"{address.host}:{address.port}"
        raise InvalidRequest(
            f"{where} is a Ray cluster's head, and not its port for clients: leave out {_CLIENT}."
            if address.is_client
            else f"{where} is a Ray cluster's port for clients: pass {_CLIENT}{where}."
        )
    raise _unreached(address, "another server answers")


def _knows(grpc: Any, target: str, method: str, address: Address) -> bool:
    """Whether a server has a method; whatever else it answers does not matter."""
    options = [("grpc.enable_http_proxy", 0)]  # as Ray has it
    with grpc.insecure_channel(target, options=options) as channel:
        try:
            channel.unary_unary(method)(b"", timeout=REACH_TIMEOUT_S)
        except grpc.RpcError as error:
            code = error.code()
            if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise _unreached(address, f"no answer in {REACH_TIMEOUT_S:g} s") from None
            if code == grpc.StatusCode.UNAVAILABLE:
                raise _unreached(address, "another server answers, or none") from None
            return bool(code != grpc.StatusCode.UNIMPLEMENTED)
    return True


def _unreached(address: Address, reason: str) -> InvalidRequest:
    return InvalidRequest(f"No Ray cluster answers at {address.text} ({reason}): {HOW_TO_NAME}.")
