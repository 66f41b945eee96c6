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
from graders_engine.models.network.proxies import proxy_for
from graders_engine.models.redaction import Secrets, Unmaskable

if TYPE_CHECKING:
    import aiohttp

PATH = "/fine_tuning/alpha/graders/"
MAX_ANSWER_BYTES = 8 << 20
_TRIES = 5
"""A server that is busy is asked so often, after 1, 2, 4 and 8 s."""
_BUSY = frozenset({429, 502, 503, 504})
_CONNECT_S = 10.0
_SILENT = 5
"""After so many cases in a row without an answer, the others would get none."""
_KEY = "--key or GRADERS_CONFORMANCE_KEY"


@dataclass(frozen=True, slots=True)
class Result:
    """A case and what was wrong with its answer; nothing, if it is as expected."""

    case: Case
    differences: list[str]
    answered: bool = True


class Server:
    """An implementation of the API.

    It is asked through the proxy that the environment names, but not on this machine. A redirect is an answer
    like another: a key would go with it.

    Args:
        base_url: its address up to and with `/v1`; a query goes with each request, such as Azure's
            `?api-version=preview`.
        key: sent as Azure's `api-key` to Azure's hosts, else as a bearer token; masked in what comes back.
        concurrency: requests in flight at once.
        timeout_s: for one request.

    Raises:
        InvalidRequest: the address, the key or the proxy cannot be used.
    """

    def __init__(
        self, base_url: str, key: str = "", *, concurrency: int = 4, timeout_s: float = 60.0
    ) -> None:
        if "@" in base_url:
            raise InvalidRequest(f"--base-url must not hold a password: give the key by {_KEY}.")
        if not (key.isascii() and (key.isprintable() or not key)):
            raise InvalidRequest(f"The key ({_KEY}) has characters that a header cannot hold.")
        try:
            settings = EndpointSettings(base_url=base_url, api_key_env="")
            proxy = proxy_for(settings.root)
        except ValueError as error:
            raise InvalidRequest(f"--base-url: {error}.") from None
        self.address = settings.address
        self._root, self._query = settings.root, settings.full_query
        self._proxy = proxy.url if proxy else None
        self._headers = authorisation(settings, key)
        self._secrets = Secrets()
        self._secrets.add_values({**self._headers, **self._query})
        if self._proxy:
            self._secrets.add_address(self._proxy)
        self._concurrency, self._timeout_s = concurrency, timeout_s

    async def ask(self, cases: Sequence[Case]) -> AsyncGenerator[Result]:
        """Ask the cases; gives their results in their order.

        A server that is busy (429, 502, 503, 504) is asked again, up to five times. No answer at all is a
        difference, and never taken for the expected one.

        Raises:
            RunStopped: the first request finds nobody there, or is refused for its key; or some in a row get
                no answer, which says nothing of the cases.
        """
        import aiohttp

        free = asyncio.Semaphore(self._concurrency)
        timeout = aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=_CONNECT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:

            async def result_of(case: Case) -> Result:
                async with free:
                    answer = await self._answer(session, case)
                if isinstance(answer, str):
                    return Result(case, [answer], answered=False)
                return Result(case, differences(case, answer))

            if cases:
                await self._try(session, cases[0])
            tasks = [asyncio.create_task(result_of(case)) for case in cases]
            silent = 0
            try:
                for done, task in enumerate(tasks, 1):
                    result = await task
                    silent = 0 if result.answered else silent + 1
                    if silent == _SILENT:
                        raise RunStopped(
                            f"{self.address} stopped answering: {result.differences[0]}, {silent} times "
                            f"in a row, up to case {done:,} of {len(cases):,}. Ask it again when it answers."
                        )
                    yield result
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

    async def _answer(self, session: aiohttp.ClientSession, case: Case) -> Answer | str:
        """What a server answers; else why there is no answer."""
        import aiohttp

        for attempt in range(_TRIES):
            try:
                answer = await self._once(session, case)
            except TimeoutError:
                return f"no answer within {self._timeout_s:g} s"
            except (aiohttp.ClientError, OSError, ValueError) as error:
                # Its text may hold the address, and that a key.
                return f"no answer ({type(error).__name__})"
            if answer.status not in _BUSY:
                return answer
            if attempt + 1 < _TRIES:
                await asyncio.sleep(2**attempt)
        return f"no answer but HTTP {answer.status}, {_TRIES} times"

    async def _once(self, session: aiohttp.ClientSession, case: Case) -> Answer:
        async with session.post(
            f"{self._root}{PATH}{case.call}",
            data=json.dumps(case.request).encode(),
            headers={"Content-Type": "application/json", **self._headers},
            params=self._query,
            proxy=self._proxy,
            allow_redirects=False,
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
