"""Downloads all hosted evals with their runs and output items.

The hosted evals end on 30 November 2026; after that this module and `graders import evals --from-api` have
nothing to download and can be removed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from graders_engine.errors import BackendFailure, DataSetError
from graders_engine.files import beside, require_free, require_regular
from graders_engine.language import strict_json
from graders_engine.models.credentials import DEFAULT_BASE_URL
from graders_engine.models.endpoint import Endpoint, EndpointSettings
from graders_engine.models.http import HttpClient
from graders_engine.models.retry import RetryPolicy

PAGE_SIZE = 100
"""Objects in one answer; the API's upper bound."""
MAX_PAGE_BYTES = 1 << 30
"""A page of output items holds whole conversations."""
RETRY = RetryPolicy(attempt_s=600.0)


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

    async def objects(self) -> AsyncIterator[dict[str, Any]]:
        """Every eval, each followed by its runs, each followed by its output items.

        Raises:
            DataSetError: the service cannot be reached, or its answer is not a list.
        """
        async for eval_ in self.listed("evals"):
            yield eval_
            runs = f"evals/{quote(str(eval_['id']), safe='')}/runs"
            async for run in self.listed(runs):
                yield run
                items = f"{runs}/{quote(str(run['id']), safe='')}/output_items"
                async for item in self.listed(items):
                    yield item

    async def listed(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list, page by page.

        Raises:
            DataSetError: the service cannot be reached, or its answer is not a list.
        """
        address = f"{self._endpoint.address}/{path}"
        after = ""
        while True:
            query = {"limit": str(PAGE_SIZE), "order": "asc"} | ({"after": after} if after else {})
            try:
                page = await self._endpoint.get(f"/{path}", query)
            except BackendFailure as error:
                raise DataSetError(f"The evals cannot be downloaded: {error}.") from None
            data = page.get("data") if isinstance(page, dict) else None
            if not isinstance(data, list) or not all(
                isinstance(each, dict) and "id" in each for each in data
            ):
                raise DataSetError(f"{address}: the answer is not a list of objects.")
            for each in data:
                yield each
            before, after = after, str(data[-1].get("id", "")) if data else ""
            if not page.get("has_more") or not after:
                return
            if after == before:
                raise DataSetError(f"{address}: the list repeats itself after {after}.")

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()


async def download(api: EvalsApi, path: Path) -> AsyncIterator[int]:
    """Write everything to a file, one object on a line; gives the number of objects after each one.

    The file appears when it is complete; until then its name ends with ".part". The API is closed at the end.

    Raises:
        DataSetError: the service cannot be reached, or the file cannot be written.
    """
    part = beside(path, ".part")
    require_regular(path, "The evals cannot be downloaded")
    require_free([part], "The evals cannot be downloaded")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # of a download that was killed
        with part.open("xb") as file:
            count = 0
            async for each in api.objects():
                file.write(strict_json.encode(each) + b"\n")
                count += 1
                yield count
        part.replace(path)
    except OSError as error:
        raise DataSetError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        await api.close()
