"""The routes of the page's data, with what answers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graders_engine.graders.parse import json_schema
from graders_engine.server.routes import Route
from graders_engine.view.comparing.routes import routes as compare_routes
from graders_engine.view.context import Request, View, route
from graders_engine.view.findings.report import report_answer
from graders_engine.view.findings.row import row_answer as preflight_row
from graders_engine.view.jobs.page import JobPages
from graders_engine.view.lengths.figures import lengths_json
from graders_engine.view.listing import export, rows_json
from graders_engine.view.overview import Overviews
from graders_engine.view.prompts import prompts_json
from graders_engine.view.row import grade_answer, row_answer, text_answer
from graders_engine.view.trying.attempt import routes as attempt_routes


def data_routes(view: View) -> list[Route]:
    """The routes of a page's data; all of them need the key, where there is one."""
    own: list[tuple[str, str, Callable[[View, Request], Any]]] = [
        ("GET", "runs", _runs),
        ("GET", "schema", _schema),
        ("GET", "runs/{run}", Overviews().answer),
        ("GET", "runs/{run}/rows", rows_json),
        ("GET", "runs/{run}/rows/{row}", row_answer),
        ("GET", "runs/{run}/rows/{row}/text", text_answer),
        ("POST", "runs/{run}/rows/{row}/grade", grade_answer),
        ("GET", "runs/{run}/export", export),
        ("GET", "runs/{run}/prompts", _prompts),
        ("GET", "jobs/{job}", JobPages().answer),
        ("GET", "preflight", report_answer),
        ("GET", "preflight/row", preflight_row),
        ("GET", "runs/{run}/lengths", lengths_json),
    ]
    return [*(route(view, *entry) for entry in own), *attempt_routes(view), *compare_routes(view)]


def _runs(view: View, request: Request) -> dict[str, Any]:
    return {"read_only": view.read_only, **view.source(request).listing()}


def _schema(view: View, request: Request) -> dict[str, Any]:
    return json_schema()


def _prompts(view: View, request: Request) -> dict[str, Any]:
    return prompts_json(view.opened(request), request.query)
