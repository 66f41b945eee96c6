"""The page's application, asked without a network."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from graders_engine.engine import AsyncEngine
from graders_engine.server.app import App
from graders_engine.server.exchange import Message
from graders_engine.server.guards import LOOPBACK_NAMES
from graders_engine.server.logs import Log
from graders_engine.server.routes import Route
from graders_engine.server.settings import ServerSettings
from graders_engine.server.telemetry import ServerMetrics
from graders_engine.settings import EngineSettings
from graders_engine.view.access import MAX_BODY_BYTES
from graders_engine.view.app import site, view_of_folders
from graders_engine.view.context import View
from tests.server.serving import Answer

KEY = "k" * 40


class Page:
    """A page over folders, with the key that requests carry by default."""

    def __init__(self, *paths: Path, view: View | None = None, **options: Any) -> None:
        self.view = view or view_of_folders(paths, EngineSettings(), **options)
        self.log_file = io.BytesIO()
        self._app = self._application()

    def _application(self, *more: Route) -> App:
        settings = ServerSettings(api_key=KEY, hosts=LOOPBACK_NAMES, max_body_bytes=MAX_BODY_BYTES)
        own = site(self.view, alone=True)
        return App(
            AsyncEngine(),
            settings,
            ServerMetrics(),
            Log(self.log_file),
            site=replace(own, routes=[*own.routes, *more]),
            grades=False,
        )

    def add(self, route: Route) -> None:
        """Serve one more route."""
        self._app = self._application(route)

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_file.getvalue().splitlines()]

    def get(self, path: str, **headers: str) -> Answer:
        """An answer of /view/api, once the run has been read."""
        while True:
            answer = self.ask("GET", f"/view/api/{path}", headers=headers)
            if answer.status != 202:
                return answer

    def json(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status == 200, answer.body[:2000]
        return answer.json

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        headers.setdefault("content_type", "application/json")
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", f"/view/api/{path}", sent, headers=headers)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        leaves: threading.Event | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        **more: str,
    ) -> Answer:
        """One answer; a client that leaves does so when the event is set."""
        usual = {"authorization": f"Bearer {KEY}", "host": "127.0.0.1:8470"}
        all_headers = {**usual, **headers, **more}
        sent: list[Message] = []

        async def exchange() -> None:
            messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

            async def receive() -> Message:
                if not messages and leaves is None:
                    await asyncio.Event().wait()
                elif not messages and leaves is not None:
                    await asyncio.to_thread(leaves.wait)
                return messages.pop(0) if messages else {"type": "http.disconnect"}

            async def send(message: Message) -> None:
                sent.append(message)

            await self._app(_scope(method, path, all_headers.items()), receive, send)

        asyncio.run(exchange())
        if not sent:
            return Answer(0, {}, b"")
        start, *rest = sent
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(message["body"] for message in rest),
        )


def _scope(method: str, path: str, headers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    path, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "scheme": "http",
        "query_string": query.encode(),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers],
    }
