"""Downloads all hosted evals with their runs and output items.

The hosted evals end on 30 November 2026; after that this module and `graders import evals --from-api` have
nothing to download and can be removed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from graders_engine.errors import BackendFailure, DataSetError
from graders_engine.evals.hosted.names import short
from graders_engine.evals.hosted.part import Part
from graders_engine.models.credentials import DEFAULT_BASE_URL
from graders_engine.models.endpoint import Endpoint, EndpointSettings
from graders_engine.models.http import HttpClient
from graders_engine.models.retry import RetryPolicy

PAGE_SIZE = 100
"""Objects in one answer; the API's upper bound."""
MAX_PAGE_BYTES = 1 << 30
"""A page of output items holds whole conversations."""
RETRY = RetryPolicy(attempt_s=600.0)
MAX_UNANSWERED = 3
"""So many lists in a row without an answer, each tried again and again, end a download."""


class NotListed(DataSetError):
    """Raised when a list cannot be downloaded to its end.

    Attributes:
        reason: why, without a full stop.
        answered: whether the service answered at all.
    """

    def __init__(self, reason: str, *, answered: bool = True) -> None:
        self.reason, self.answered = reason, answered
        super().__init__(f"The evals cannot be downloaded: {reason}.")


class EvalsApi:
    """The list endpoints of the evals API (API reference: evals), until 30 November 2026.

    Args:
        api_key: the key; never written down, and sent to this address only.
        base_url: the address, with the version.
        retry: how often and how long to try.

    Raises:
        DataSetError: the address cannot be used.
        InvalidRequest: the key cannot be sent.
    """

    def __init__(
        self, api_key: str, base_url: str = DEFAULT_BASE_URL, retry: RetryPolicy | None = None
    ) -> None:
        try:
            settings = EndpointSettings(base_url=base_url)
        except ValueError as error:
            raise DataSetError(f"The evals cannot be downloaded: {error}.") from None
        client = HttpClient(retry or RETRY, MAX_PAGE_BYTES)
        self._endpoint = Endpoint.from_settings(settings, client, api_key=api_key)

    async def listed(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list, page by page.

        Raises:
            NotListed: the service cannot be reached, or its answer is not a list.
        """
        address = f"{self._endpoint.address}/{path}"
        after = ""
        while True:
            query = {"limit": str(PAGE_SIZE), "order": "asc"} | ({"after": after} if after else {})
            try:
                page = await self._endpoint.get(f"/{path}", query)
            except BackendFailure as error:
                raise NotListed(str(error), answered=error.status is not None) from None
            data = page.get("data") if isinstance(page, dict) else None
            if not isinstance(data, list) or not all(
                isinstance(each, dict) and "id" in each for each in data
            ):
                raise NotListed(f"{address}: the answer is not a list of objects")
            for each in data:
                yield each
            before, after = after, str(data[-1].get("id", "")) if data else ""
            if not page.get("has_more") or not after:
                return
            if after == before:
                raise NotListed(f"{address}: the list repeats itself after {after}")

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()


class Download:
    """All evals, their runs and their output items, written to a file, one object on a line.

    The file appears when there is nothing more to ask; until then its name ends with ".part", and another
    download continues there. A run whose output items are all in it is not asked for again.

    Args:
        api: the service; it is closed at the end.
        path: the file.

    Attributes:
        part: what is there.
        failures: sentences about lists that could not be downloaded to their ends; the others are.

    Raises:
        DataSetError: what is there cannot be continued.
    """

    def __init__(self, api: EvalsApi, path: Path) -> None:
        self.part = Part(path)
        self.failures: list[str] = []
        self._api, self._path = api, path
        self._unanswered = 0

    async def objects(self) -> AsyncIterator[int]:
        """Write the file; gives the number of objects in it after each one.

        Raises:
            DataSetError: the first request fails, the service answers no more, or the file cannot be
                written.
        """
        evals = self._api.listed("evals")
        try:
            first = await anext(evals, None)  # where it fails, nothing is written
            with self.part:
                if first is not None:
                    async for count in self._with_runs(first):
                        yield count
                async for eval_ in self._to_the_end(evals, lambda: "The list of evals broke off"):
                    async for count in self._with_runs(eval_):
                        yield count
                self.part.finish()
        except OSError as error:
            raise DataSetError(f"{self._path} cannot be written: {error.strerror}.") from None
        finally:
            await self._api.close()

    async def _with_runs(self, eval_: dict[str, Any]) -> AsyncIterator[int]:
        self.part.add(eval_)
        yield self.part.objects
        path = f"evals/{quote(str(eval_['id']), safe='')}/runs"
        what = f"{_named('eval', eval_)}: its runs could not all be downloaded"
        async for run in self._to_the_end(self._api.listed(path), lambda: what):
            self.part.add(run)
            yield self.part.objects
            if not self.part.is_whole(run):
                async for count in self._items_of(run, f"{path}/{quote(str(run['id']), safe='')}"):
                    yield count

    async def _items_of(self, run: dict[str, Any], path: str) -> AsyncIterator[int]:
        run_id, failures = str(run["id"]), len(self.failures)

        def what() -> str:
            return (
                f"{_named('run', run)} of the eval {short(str(run.get('eval_id')))}: its output items could "
                f"not all be downloaded, {self.part.items_of(run_id):,} of them are kept"
            )

        async for item in self._to_the_end(self._api.listed(f"{path}/output_items"), what):
            self.part.add(item)
            yield self.part.objects
        if len(self.failures) == failures:
            self.part.end_run(run_id)

    async def _to_the_end(
        self, listed: AsyncIterator[dict[str, Any]], what: Callable[[], str]
    ) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list; where it fails, `what` is noted with the reason."""
        try:
            async for each in listed:
                yield each
            self._unanswered = 0
        except NotListed as error:
            self.failures.append(f"{what()}: {error.reason}.")
            self._unanswered = 0 if error.answered else self._unanswered + 1
            if self._unanswered == MAX_UNANSWERED:
                raise


def _named(kind: str, value: dict[str, Any]) -> str:
    own_id, name = short(str(value["id"])), short(str(value.get("name") or ""))
    return f"{name} ({kind} {own_id})" if name else f"{kind} {own_id}"
