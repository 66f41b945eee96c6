"""Which HTTP proxy the environment names for an address: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from urllib.request import getproxies_environment

from graders_engine.models.redaction import read_address, without_secrets

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        url: its address; it may hold a password.
        label: what messages say of it, without the password.
    """

    url: str
    label: str


def proxy_for(url: str) -> Proxy | None:
    """The proxy for an address; None for a host on this machine, and for those in NO_PROXY.

    Raises:
        ValueError: the environment names one that cannot be used; the message repeats no password.
    """
    parts = read_address(url)
    host = parts.hostname or ""
    proxies = getproxies_environment()
    if _is_local(host) or _is_excluded(
        host, parts.port or _PORTS[parts.scheme], proxies.get("no", "")
    ):
        return None
    name = parts.scheme if parts.scheme in proxies else "all"
    if not (address := proxies.get(name, "").strip()):
        return None
    if "://" not in address:
        address = f"http://{address}"
    variable = f"{name.upper()}_PROXY"
    try:
        read_address(address)
    except ValueError as error:
        raise ValueError(
            f"the address of the proxy in {variable} {error}; a host that is asked without a proxy "
            "belongs into NO_PROXY"
        ) from None
    return Proxy(address, f"the proxy {without_secrets(address)} (from {variable})")


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _is_excluded(host: str, port: int, excluded: str) -> bool:
    """Whether NO_PROXY has a host: by its name, the end of its name, its address or its network."""
    entries = [entry.strip().lower() for entry in excluded.split(",")]
    return any(_covers(entry, host, port) for entry in entries if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit():
        if number != str(port):
            return False
        entry = name
    name = entry.strip("[]").removeprefix("*").removeprefix(".")
    return host == name or host.endswith(f".{name}")
