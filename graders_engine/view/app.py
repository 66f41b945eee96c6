"""The page as a site of a server: its document, its data, and who sees which runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from graders_engine.graders.parse import json_schema
from graders_engine.server.routes import Route, Site
from graders_engine.settings import EngineSettings
from graders_engine.storage.store import Store
from graders_engine.view.access import HEADERS
from graders_engine.view.comparing.routes import routes as compare_routes
from graders_engine.view.context import Request, View, route
from graders_engine.view.folders.found import Filling
from graders_engine.view.folders.places import Places
from graders_engine.view.folders.runs import FolderRuns, RunSource, StoreRuns
from graders_engine.view.listing import export, rows_json
from graders_engine.view.opened import RunCache
from graders_engine.view.overview import Overviews
from graders_engine.view.prompts import prompts_json
from graders_engine.view.row import grade_answer, row_answer, text_answer
from graders_engine.view.statics import static_routes
from graders_engine.view.trying.attempt import routes as attempt_routes

HOME = "view/"


def view_of_folders(
    given: Sequence[Path],
    settings: EngineSettings,
    *,
    data: Path | None = None,
    read_only: bool = False,
) -> View:
    """A page over folders and results files.

    Args:
        given: the folders and files, as the user named them.
        settings: of the engines that grade.
        data: where the data set is, if it was moved.
        read_only: whether nothing is graded with judges, tried or saved.

    Raises:
        InvalidRequest: one of them does not exist.
    """
    source = FolderRuns(Places(given), Filling())
    return View(lambda project: source, RunCache(), settings, read_only=read_only, data=data)


def view_of_store(store: Store, settings: EngineSettings) -> View:
    """A page over the runs of evals that a server keeps: each project sees its own; nothing is changed.

    Args:
        store: where the runs are.
        settings: of the engines that grade.
    """
    filling = Filling()
    kept: dict[str, RunSource] = {}

    def source(project: str) -> RunSource:
        return kept.setdefault(project, StoreRuns(store, project, filling))

    return View(source, RunCache(), settings, read_only=True)


def site(view: View, *, alone: bool) -> Site:
    """The page's routes, headers and life.

    Args:
        view: the page.
        alone: whether the server has nothing else.
    """
    routes = [*static_routes(), *data_routes(view)]
    return Site(routes, "/" if alone else "/view", HEADERS, HOME, [view.living()])


def data_routes(view: View) -> list[Route]:
    """The routes of the page's data; all of them need the key, where there is one."""
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
    ]
    return [*(route(view, *entry) for entry in own), *attempt_routes(view), *compare_routes(view)]


def _runs(view: View, request: Request) -> dict[str, Any]:
    return {"read_only": view.read_only, **view.source(request).listing()}


def _schema(view: View, request: Request) -> dict[str, Any]:
    return json_schema()


def _prompts(view: View, request: Request) -> dict[str, Any]:
    return prompts_json(view.opened(request), request.query)
