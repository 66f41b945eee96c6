"""The handlers of permissions: the administrator shares a checkpoint with projects, and takes it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from graders_engine.body_fields import Fields, fields_of
from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.inference.names import has_weights
from graders_engine.server.evals.context import QUOTED_CHARS, answer, decoded, found
from graders_engine.server.exchange import Exchange
from graders_engine.server.models.context import Context, named
from graders_engine.server.store.query import choice_of, number_of, read_query
from graders_engine.storage.pages import Page, list_page
from graders_engine.storage.permissions import Permission

LISTED = 10
"""Permissions of a page that names no limit."""
MAX_LISTED = 100
ORDERS = ("ascending", "descending")
PERMISSION_ID, PROJECT_IDS = "permission_id", "project_ids"
_KIND = "checkpoint.permission"


class PermissionHandlers:
    """Handles the requests for permissions.

    Args:
        context: what handlers need.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._served = context, context.served

    async def list(self, exchange: Exchange) -> None:
        """Answer a page of a checkpoint's permissions, the newest first."""
        self._context.require_admin(exchange)
        query = read_query(exchange, ("after", "limit", "order", "project_id"))
        page = _page_of(query)
        name = await self._checkpoint(exchange)
        got = await self._served.call(
            self._served.store.permissions.page, name, page, query.get("project_id")
        )
        await answer(exchange, list_page([*map(_object, got.data)], has_more=got.has_more))

    async def create(self, exchange: Exchange) -> None:
        """Let projects use a checkpoint.

        Raises:
            InvalidBody: with all mistakes.
            Refused: there is no such checkpoint, or the body is not JSON.
        """
        self._context.require_admin(exchange)
        read_query(exchange)
        body = decoded(exchange.body, "a list of projects", "Send them in several requests.")
        projects: list[str] = fields_of(body, lambda read: self._projects(read))
        name = await self._checkpoint(exchange)
        made = await self._served.call(self._served.store.permissions.add, name, projects)
        found("checkpoint", name, made or None)
        await answer(exchange, list_page([*map(_object, made)], has_more=False))

    def _projects(self, body: Fields) -> Collection[str]:
        projects = body.array(PROJECT_IDS, required=True, least=1) or []
        known = self._context.projects
        for position, project in enumerate(projects):
            if not isinstance(project, str):
                path = f"{PROJECT_IDS}[{position}]"
                body.add(mistakes.invalid_type(path, "a string", project))
            elif project not in known:
                there = mistakes.listed(tuple(known), "and")
                message = f"There is no project '{project[:QUOTED_CHARS]}'. There are: {there}."
                body.add(Mistake(message, PROJECT_IDS, "invalid_value"))
        return projects

    async def delete(self, exchange: Exchange) -> None:
        """End a permission.

        Raises:
            Refused: the checkpoint does not have it.
        """
        self._context.require_admin(exchange)
        read_query(exchange)
        name = named(exchange)
        permission_id = exchange.path_parameters[PERMISSION_ID]
        deleted = await self._served.call(
            self._served.store.permissions.delete, name, permission_id
        )
        found("permission", permission_id, deleted or None)
        await answer(exchange, {"id": permission_id, "object": _KIND, "deleted": True})

    async def _checkpoint(self, exchange: Exchange) -> str:
        """The name in a request's path, of a model that a job of any project has made.

        Raises:
            Refused: there is none.
        """
        name, store = named(exchange), self._served.store

        def exists() -> bool:
            tuned = store.models.owned(name)
            return tuned is not None and has_weights(store, tuned)

        there = await self._served.call(exists)
        return found("checkpoint", name, name if there else None)


def _page_of(query: Mapping[str, str]) -> Page:
    order = choice_of(query, "order", ORDERS)
    limit = number_of(query, "limit", 1, MAX_LISTED, LISTED)
    return Page(query.get("after") or None, limit, "asc" if order == ORDERS[0] else "desc")


def _object(permission: Permission) -> dict[str, Any]:
    return {
        "object": _KIND,
        "id": permission.id,
        "created_at": permission.created_at,
        "project_id": permission.project,
    }
