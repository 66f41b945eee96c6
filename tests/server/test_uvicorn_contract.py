"""The private parts of uvicorn that `server/uvicorn_*.py` use are as they use them."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl

from graders_engine.server import uvicorn_protocol, uvicorn_server

METHODS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "protocol": {
        "__init__": ["config", "server_state", "app_state", "_loop"],
        "connection_made": ["transport"],
        "connection_lost": ["exc"],
        "data_received": ["data"],
        "on_message_begin": [],
        "on_url": ["url"],
        "on_header": ["name", "value"],
        "on_headers_complete": [],
        "on_message_complete": [],
        "on_response_complete": [],
        "pause_writing": [],
        "resume_writing": [],
        "shutdown": [],
        "send_400_response": ["msg"],
    },
    "flow": {
        "__init__": ["transport"],
        "pause_reading": [],
        "resume_reading": [],
    },
    "server": {
        "__init__": ["config"],
        "startup": ["sockets"],
        "on_tick": ["counter"],
        "shutdown": ["sockets"],
        "capture_signals": [],
        "handle_exit": ["sig", "frame"],
    },
}
"""Methods that are overridden or called, with their parameters."""
FIELDS: Mapping[str, Sequence[str]] = {
    "protocol": ["loop", "transport", "flow", "cycle", "pipeline", "parser"],
    "flow": ["read_paused"],
    "parser": ["should_upgrade"],
    "cycle": [
        "scope",
        "response_started",
        "response_complete",
        "more_body",
        "disconnected",
        "message_event",
        "keep_alive",
        "default_headers",
    ],
    "server": ["config", "server_state"],
    "server_state": ["connections"],
    "running server": ["servers", "lifespan"],
    "lifespan": ["state"],
}
"""Attributes that are read or set, by the object that has them."""


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that is never called."""


async def parts() -> dict[str, object]:
    """One of each object of uvicorn's that is touched, in the state in which it is touched."""
    config = uvicorn.Config(nothing, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    protocol: Any = httptools_impl.HttpToolsProtocol(config, server.server_state, {})
    here, there = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=here)
    protocol.connection_made(transport)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    listener = socket.create_server(("127.0.0.1", 0))
    running: Any = uvicorn.Server(config)
    running.lifespan = config.lifespan_class(config)  # as `serve` does before `startup`
    await running.startup([listener])
    for opened in running.servers:
        opened.close()
    transport.close()
    there.close()
    await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
    return {
        "protocol": protocol,
        "flow": protocol.flow,
        "cycle": protocol.cycle,
        "parser": protocol.parser,
        "server": server,
        "server_state": server.server_state,
        "running server": running,
        "lifespan": running.lifespan,
    }


def broken(objects: Mapping[str, object], module: Any = httptools_impl) -> list[str]:
    """What is not as it is used, a sentence each."""
    found = []
    for name, methods in METHODS.items():
        for method, parameters in methods.items():
            function = getattr(objects[name], method, None)
            if function is None:
                found.append(f"uvicorn's {name} no longer has the method {method}.")
            elif list(inspect.signature(function).parameters) != parameters:
                signature = inspect.signature(function)
                found.append(f"uvicorn's {name}.{method} now takes {signature}.")
    for name, fields in FIELDS.items():
        found += [
            f"uvicorn's {name} no longer has the attribute {field}."
            for field in fields
            if not hasattr(objects[name], field)
        ]
    if getattr(module, "STATUS_LINE", {}).get(408) != b"HTTP/1.1 408 Request Timeout\r\n":
        found.append("uvicorn's STATUS_LINE no longer has status lines by status.")
    return found


def test_the_private_parts_of_uvicorn_are_as_they_are_used() -> None:
    assert not broken(asyncio.run(parts()))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda o: o.update(server=SimpleNamespace()), "no longer has the method startup."),
        (lambda o: o.update(cycle=SimpleNamespace()), "no longer has the attribute keep_alive."),
        (lambda o: setattr(o["protocol"], "on_url", lambda raw: None), "on_url now takes (raw)."),
    ],
)
def test_a_part_that_has_changed_is_a_sentence(
    change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    objects = asyncio.run(parts())
    change(objects)
    assert sentence in "\n".join(broken(objects))


def test_a_constant_that_is_gone_is_a_sentence() -> None:
    (sentence,) = broken(asyncio.run(parts()), SimpleNamespace())
    assert "STATUS_LINE" in sentence


def test_nothing_of_uvicorn_is_used_that_the_contract_does_not_name() -> None:
    folder = Path(str(uvicorn_protocol.__file__)).parent
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("uvicorn_*.py"))
    methods = {name for named in METHODS.values() for name in named}
    fields = {name for named in FIELDS.values() for name in named}
    assert set(re.findall(r"self\._?flow\.(\w+)", source)) <= methods | fields | {"holds"}
    classes = (uvicorn_protocol.Flow, uvicorn_protocol.Connection, uvicorn_server.Server)
    ours = {
        name for described in classes for name in (*vars(described), *described.__annotations__)
    }
    assert set(re.findall(r"super\(\)\.(\w+)", source)) <= methods
    assert (
        set(re.findall(r"self\._?(?:running|cycle|parser|server_state|lifespan)\.(\w+)", source))
        <= fields
    )
    assert set(re.findall(r"self\.([a-z]\w*)", source)) <= methods | fields | ours
