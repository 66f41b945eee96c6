"""The page as a site of a server: its document, its data, and who sees which runs.

What answers for data takes numpy and more: it is loaded when data are first asked for, or behind the start.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from graders_engine.server.exchange import Exchange
from graders_engine.server.routes import Body, Route, Site
from graders_engine.settings import EngineSettings
from graders_engine.view.access import HEADERS
from graders_engine.view.context import API, View
from graders_engine.view.folders.places import Places
from graders_engine.view.statics import LOST, static_routes

if TYPE_CHECKING:
    from graders_engine.storage.store import Store
    from graders_engine.view.folders.runs import RunSource

HOME = "view/"
DATA = (
    ("GET", "runs"),
    ("GET", "schema"),
    ("GET", "runs/{run}"),
    ("GET", "runs/{run}/rows"),
    ("GET", "runs/{run}/rows/{row}"),
    ("GET", "runs/{run}/rows/{row}/text"),
    ("POST", "runs/{run}/rows/{row}/grade"),
    ("GET", "runs/{run}/export"),
    ("GET", "runs/{run}/prompts"),
    ("GET", "runs/{run}/lengths"),
    ("GET", "runs/{run}/grader"),
    ("GET", "jobs/{job}"),
    ("GET", "preflight"),
    ("GET", "preflight/row"),
    ("GET", "compare"),
    ("GET", "compare/rows/{row}"),
    ("GET", "fields"),
    ("POST", "try"),
    ("POST", "save"),
)
"""The routes of `data_routes.data_routes`; a test compares the two."""


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
    places = Places(given)

    def source(project: str) -> RunSource:
        from graders_engine.view.folders.runs import FolderRuns

        return FolderRuns(places)

    return View(_once(source, by_project=False), settings, read_only=read_only, data=data)


def view_of_store(store: Store, settings: EngineSettings) -> View:
    """A page over the runs of evals that a server keeps: each project sees its own; nothing is changed.

    Args:
        store: where the runs are.
        settings: of the engines that grade.
    """

    def source(project: str) -> RunSource:
        from graders_engine.view.folders.runs import StoreRuns

        return StoreRuns(store, project)

    return View(_once(source, by_project=True), settings, read_only=True)


def _once(make: Callable[[str], RunSource], *, by_project: bool) -> Callable[[str], RunSource]:
    """What a project sees, made when it is first asked for."""
    made: dict[str, RunSource] = {}
    lock = threading.Lock()

    def source(project: str) -> RunSource:
        key = project if by_project else ""
        with lock:
            if key not in made:
                made[key] = make(project)
            return made[key]

    return source


def site(view: View, *, alone: bool) -> Site:
    """The page's routes, headers and life.

    Args:
        view: the page.
        alone: whether the server has nothing else.
    """
    late = _Late(view)
    routes = [*static_routes(), *(late.route(*entry) for entry in DATA)]
    living = [view.living(), *([late.loading()] if alone else ())]
    return Site(routes, "/" if alone else "/view", HEADERS, HOME, LOST, living)


class _Late:
    """The routes of the page's data, which are loaded when one of them is asked for.

    Args:
        view: the page.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._routes: dict[tuple[str, str], Route] = {}

    def route(self, method: str, pattern: str) -> Route:
        """A route that stands for the one that is loaded."""
        path = API + pattern

        async def answer(exchange: Exchange) -> None:
            if not self._routes:
                await asyncio.to_thread(self._load)
            await self._routes[method, path].handler(exchange)

        body = Body.JSON if method == "POST" else Body.NONE
        return Route(method, path, answer, body=body, versioned=False)

    def _load(self) -> None:
        from graders_engine.view.data_routes import data_routes

        with self._lock:
            if not self._routes:
                routes = data_routes(self._view)
                self._routes = {(route.method, route.pattern): route for route in routes}

    @asynccontextmanager
    async def loading(self) -> AsyncIterator[None]:
        """Loads them behind, from the start on: the first request will come soon."""
        threading.Thread(target=self._load, name="graders-view-load", daemon=True).start()
        yield
