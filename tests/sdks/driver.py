"""Makes the requests of a file of cases with this Python's `openai` package, and prints what it got as JSON.

It imports nothing but that package and what that brings: environments with other versions of it run this
file as a script.

    driver.py KIND ADDRESSES CASES

KIND is `sync`, `async`, `azure` or `async-azure`. ADDRESSES is a JSON object: `own` is the server's address,
the others are those that a case names.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import openai
import pydantic

CLIENTS: dict[str, Any] = {
    "sync": openai.OpenAI,
    "async": openai.AsyncOpenAI,
    "azure": openai.AzureOpenAI,
    "async-azure": openai.AsyncAzureOpenAI,
}


class Driver:
    """Makes requests with clients of one kind.

    Args:
        kind: a key of `CLIENTS`.
        addresses: by name.
    """

    def __init__(self, kind: str, addresses: dict[str, str]) -> None:
        self.kind, self.addresses = kind, addresses
        self.names: dict[str, Any] = {"LONG": "x" * 5000, "OVER512": "x" * 513}
        self.clients: dict[str, Any] = {}

    def client(self, **options: Any) -> Any:
        """The client with these options; making one reads all certificates, which takes a while."""
        named = json.dumps(options)
        if named not in self.clients:
            self.clients[named] = self._client(**options)
        return self.clients[named]

    def _client(self, *, key: str = "sk-own", at: str = "own", **options: Any) -> Any:
        url = self.addresses[at]
        settings = {"api_key": key, "max_retries": options.pop("retries", 0), **options}
        if "azure" in self.kind:
            settings |= {"azure_endpoint": url, "api_version": "2025-04-01-preview"}
        else:
            settings["base_url"] = f"{url}/v1"
        return CLIENTS[self.kind](**settings)

    def filled(self, value: Any) -> Any:
        """A value with what earlier answers said in place of `$NAME`."""
        if isinstance(value, str):
            return re.sub(r"\$([A-Z]\w*)", lambda found: str(self.names[found[1]]), value)
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        if isinstance(value, dict):
            return {key: self.filled(one) for key, one in value.items()}
        return value

    async def make(self, case: dict[str, Any]) -> dict[str, Any]:
        """What a case gives: its answer, its pages or its error."""
        options = self.filled(case.get("client", {}))
        headers = options.pop("headers", None)
        params = self.filled(case.get("params", {})) | (
            {"extra_headers": headers} if headers else {}
        )
        if "file" in case:
            params["file"] = (case["file"]["name"], text_of(case["file"]).encode())
        client = self.client(**options)
        room, _, verb = case["call"].rpartition(".")
        target = client
        for part in room.split("."):
            target = getattr(target, part)
        if case.get("raw"):
            target = target.with_raw_response
        given = (self.filled(case["id"]),) if "id" in case else ()
        try:
            for _ in range(case.get("times", 1)):
                got = await self.once(getattr(target, verb), given, params, case)
        except openai.APIError as error:
            return {"error": facts(error)}
        for name, path in case.get("save", {}).items():
            self.names[name] = found_in(got["answer"], path)
        return got

    async def once(
        self, method: Any, given: tuple[Any, ...], params: dict[str, Any], case: dict[str, Any]
    ) -> dict[str, Any]:
        for _ in range(600):
            answer = await settled(method(*given, **params))
            if "until" not in case or getattr(answer, "status", None) in case["until"]:
                break
            await asyncio.sleep(0.1)
        if "pages" in case:
            return await paged(answer, lambda: method(*given, **params))
        if case.get("raw"):
            parsed = await settled(answer.parse())
            more = {"status": answer.status_code, "request_id": bool(answer.request_id)}
            return {"answer": as_json(parsed), **more}
        return {"answer": as_json(answer), "misfits": misfits(answer)}


def found_in(value: Any, path: str) -> Any:
    """What an answer has at a path such as `data.0.id`."""
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value[step]
    return value


async def settled(value: Any) -> Any:
    """A value, waited for where the client is asynchronous."""
    return await value if inspect.isawaitable(value) else value


async def paged(first: Any, again: Any) -> dict[str, Any]:
    """The ids of all pages, page by page, and as the client iterates over them."""
    if hasattr(first, "__aiter__"):
        pages = [[one.id for one in page.data] async for page in first.iter_pages()]
        every = [one.id async for one in again()]
    else:
        pages = [[one.id for one in page.data] for page in first.iter_pages()]
        every = [one.id for one in again()]
    found = sorted({place for one in first.data for place in misfits(one)})
    return {"pages": pages, "all": every, "answer": as_json(first), "misfits": found}


def misfits(answer: Any) -> list[str]:
    """Where an answer is not what the package's types promise; the package itself does not look."""
    if not hasattr(answer, "to_dict"):
        return []
    try:
        type(answer).model_validate(answer.to_dict())
    except pydantic.ValidationError as error:
        return sorted({".".join(map(str, one["loc"])) for one in error.errors()})
    return []


def as_json(answer: Any) -> Any:
    if hasattr(answer, "to_dict"):
        return answer.to_dict()
    if hasattr(answer, "read"):
        return answer.text
    return answer


def text_of(file: dict[str, Any]) -> str:
    if "rows" in file:
        return "".join(json.dumps(row) + "\n" for row in file["rows"])
    return str(file["text"]) * int(file.get("times", 1))


def facts(error: openai.APIError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": error.code,
        "param": error.param,
        "type": error.type,
        "request_id": bool(getattr(error, "request_id", None)),
        "message": str(error),
    }


def methods(client: Any, cases: list[dict[str, Any]]) -> list[str]:
    """All methods of what the cases call methods of."""
    found = []
    for room in sorted({case["call"].rpartition(".")[0] for case in cases}):
        target = client
        for part in room.split("."):
            target = getattr(target, part)
        found += [
            f"{room}.{name}"
            for name, value in inspect.getmembers(type(target), inspect.isfunction)
            if not name.startswith("_")
        ]
    return found


async def main() -> None:
    driver = Driver(sys.argv[1], json.loads(sys.argv[2]))
    cases = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    results = [await driver.make(case) for case in cases if case.get("only", "python") == "python"]
    for client in driver.clients.values():
        await settled(client.close())
    said = {"version": openai.__version__, "methods": methods(driver.client(), cases)}
    json.dump({**said, "names": driver.names, "results": results}, sys.stdout)


asyncio.run(main())
