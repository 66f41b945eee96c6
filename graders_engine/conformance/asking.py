"""Asks an implementation the cases, several at once. aiohttp is imported on first use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graders_engine.conformance.cases import Case
from graders_engine.conformance.comparing import Answer, differences
from graders_engine.errors import InvalidRequest, RunStopped
from graders_engine.models.credentials import authorisation
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.redaction import Secrets, Unmaskable

if TYPE_CHECKING:
    import aiohttp

PATH = "/fine_tuning/alpha/graders/"
MAX_ANSWER_BYTES = 8 << 20
_TRIES = 5
"""A server that is busy is asked so often, after 1, 2, 4 and 8 s."""
_BUSY = frozenset({429, 502, 503, 504})
_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """A case and what was wrong with its answer; nothing, if it is as expected."""

    case: Case
    differences: list[str]


class Server:
    """An implementation of the API.

    Args:
        base_url: its address up to and with `/v1`; a query goes with each request, such as Azure's
            `?api-version=preview`.
        key: sent as Azure's `api-key` to Azure's hosts, else as a bearer token; masked in what comes back.
        concurrency: requests in flight at once.
        timeout_s: for one request.

    Raises:
        InvalidRequest: the address or the key cannot be used.
    """

    def __init__(
        self, base_url: str, key: str = "", *, concurrency: int = 4, timeout_s: float = 120.0
    ) -> None:
        try:
            settings = EndpointSettings(base_url=base_url, api_key_env="")
        except ValueError as error:
            raise InvalidRequest(f"--base-url: {error}") from None
        self.address = settings.address
        self._root, self._query = settings.root, settings.full_query
        self._headers = authorisation(settings, key)
        self._secrets = Secrets()
        self._secrets.add_values({**self._headers, **self._query})
        self._concurrency, self._timeout_s = concurrency, timeout_s

    async def ask(self, cases: Sequence[Case]) -> AsyncGenerator[Result]:
        """Ask the cases; gives their results in their order.

        A server that is busy (429, 502, 503, 504) is asked again, up to five times. No answer at all is a
        difference, and never taken for the expected one.

        Raises:
            RunStopped: the first request finds nobody there, or is refused for its key.
        """
        import aiohttp

        free = asyncio.Semaphore(self._concurrency)
        timeout = aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=_CONNECT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:

            async def result_of(case: Case) -> Result:
                async with free:
                    return Result(case, await self._differences(session, case))

            if cases:
                await self._try(session, cases[0])
            tasks = [asyncio.create_task(result_of(case)) for case in cases]
            try:
                for task in tasks:
                    yield await task
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _try(self, session: aiohttp.ClientSession, case: Case) -> None:
        answer = await self._answer(session, case)
        if isinstance(answer, str):
            raise RunStopped(f"{self.address}: {answer}. Does the server run?")
        reason = "; ".join(differences(case, answer))
        if answer.status in (401, 403):
            raise RunStopped(f"{self.address} refuses the key (--key): {reason}")
        if answer.status in (404, 405):
            raise RunStopped(
                f"{self.address} has no {PATH}{case.call}: {reason}. If its paths begin with /v1, "
                "is /v1 missing?"
            )

    async def _differences(self, session: aiohttp.ClientSession, case: Case) -> list[str]:
        answer = await self._answer(session, case)
        return [answer] if isinstance(answer, str) else differences(case, answer)

    async def _answer(self, session: aiohttp.ClientSession, case: Case) -> Answer | str:
        """What a server answers; else why there is no answer."""
        import aiohttp

        for attempt in range(_TRIES):
            try:
                answer = await self._once(session, case)
            except TimeoutError:
                return f"no answer within {self._timeout_s:g} s"
            except (aiohttp.ClientError, OSError) as error:
                # Its text may hold the address, and that a key.
                return f"no answer ({type(error).__name__})"
            if answer.status not in _BUSY or attempt + 1 == _TRIES:
                return answer
            await asyncio.sleep(2**attempt)
        raise AssertionError("the last try returns")

    async def _once(self, session: aiohttp.ClientSession, case: Case) -> Answer:
        async with session.post(
            f"{self._root}{PATH}{case.call}",
            data=json.dumps(case.request).encode(),
            headers={"Content-Type": "application/json", **self._headers},
            params=self._query,
        ) as response:
            content = b""
            async for part in response.content.iter_any():
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    return Answer(response.status, "(an answer of more than 8 MiB)")
            return Answer(response.status, self._read(content))

    def _read(self, content: bytes) -> object:
        """The JSON of a body, or its text; without the key."""
        try:
            content = self._secrets.mask(content)
        except Unmaskable:
            return "(the answer repeats the key in a form that cannot be taken out)"
        text = content.decode(errors="replace")
        try:
            found: object = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return found
