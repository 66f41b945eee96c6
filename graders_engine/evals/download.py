"""Download of all hosted evals with their runs and output items, while the service is there."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from graders_engine.errors import BackendBusy, BackendFailure, DataSetError
from graders_engine.language import strict_json
from graders_engine.models.http import RETRIED_STATUS, RetryPolicy

DEFAULT_BASE_URL = "https://api.openai.com/v1"
PAGE = 100
"""Objects in one answer; the API's own upper bound."""


class EvalsApi:
    """The list endpoints of the evals API (API reference: evals).

    Args:
        api_key: the key; never written down, and sent to this address only.
        base_url: the address, with the version.
        retry: how long and how often to try.
    """

    def __init__(
        self, api_key: str, base_url: str = DEFAULT_BASE_URL, retry: RetryPolicy | None = None
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}
        self._retry = retry or RetryPolicy()
        self._opener = urllib.request.build_opener(_NoRedirect)

    def objects(self) -> Iterator[dict[str, Any]]:
        """Every eval, each followed by its runs, each followed by its output items.

        Raises:
            DataSetError: the service cannot be reached, or its answer is no list.
        """
        for own in self._listed("evals"):
            yield own
            runs = f"evals/{quote(str(own['id']), safe='')}/runs"
            for run in self._listed(runs):
                yield run
                yield from self._listed(f"{runs}/{quote(str(run['id']), safe='')}/output_items")

    def _listed(self, path: str) -> Iterator[dict[str, Any]]:
        after = ""
        while True:
            query = {"limit": PAGE, "order": "asc", **({"after": after} if after else {})}
            url = f"{self._base_url}/{path}?{urlencode(query)}"
            page = self._page(url)
            data = page.get("data") if isinstance(page, dict) else None
            if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
                raise DataSetError(f"{self._base_url}/{path}: the answer is no list of objects.")
            yield from data
            before, after = after, str(data[-1].get("id", "")) if data else ""
            if not page.get("has_more") or not after:
                return
            if after == before:
                raise DataSetError(
                    f"{self._base_url}/{path}: the list does not go on behind {after}."
                )

    def _page(self, url: str) -> Any:
        async def once() -> Any:
            return self._get(url)

        try:
            return asyncio.run(self._retry.call(once))
        except BackendFailure as error:
            raise DataSetError(f"The evals cannot be downloaded: {error}.") from None

    def _get(self, url: str) -> Any:
        request = urllib.request.Request(url, headers=self._headers)  # noqa: S310 - the caller's address
        try:
            with self._opener.open(request, timeout=self._retry.attempt_s) as answer:
                return strict_json.decode(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                said = " ".join(error.read(300).decode("utf-8", "replace").split())
            if error.code in RETRIED_STATUS:
                raise BackendBusy(f"{url}: HTTP {error.code}: {said}", _wait_s(error)) from None
            raise BackendFailure(f"{url}: HTTP {error.code}: {said}") from None
        except (OSError, HTTPException) as error:
            raise BackendBusy(f"{url}: {error}") from None
        except ValueError as error:
            raise BackendFailure(f"{url}: the answer is not JSON: {error}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another address; it is an error."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _wait_s(error: urllib.error.HTTPError) -> float | None:
    try:
        return max(float(error.headers.get("retry-after", "")), 0.0)
    except ValueError:
        return None


def download(api: EvalsApi, path: Path) -> Iterator[int]:
    """Write everything to a file, one object a line; gives the number of objects after each one.

    The file appears when it is whole; until then its name ends with ".part".

    Raises:
        DataSetError: the service cannot be reached, or the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for count, one in enumerate(api.objects(), 1):
                file.write(strict_json.encode(one) + b"\n")
                yield count
        part.replace(path)
    except OSError as error:
        raise DataSetError(f"{path} cannot be written: {error.strerror}.") from None
