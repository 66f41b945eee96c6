"""What a person sees of the server in a browser, and the examples of its document."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import find_browser, open_browser
from tests.server.serving import BATCH, RUN, VALIDATE, Server, serving

BROWSER = find_browser()


def document(server: Server) -> dict[str, Any]:
    whole: dict[str, Any] = server.ask("GET", "/openapi.json").json
    return whole


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if key != "execution_time"}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def test_a_browser_at_the_root_is_sent_to_the_page(server: Server) -> None:
    answer = server.ask("GET", "/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.status == 307
    assert answer.headers["location"] == "docs"
    assert answer.headers["vary"] == "accept"


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_a_program_at_the_root_is_told_what_there_is(server: Server, accept: str) -> None:
    answer = server.ask("GET", "/", headers={"accept": accept})
    assert answer.status == 404
    assert "/docs lists the routes" in answer.error["message"]


def test_the_root_needs_no_key(tmp_path: Path) -> None:
    with serving(tmp_path, "--api-key", "secret") as server:
        assert server.ask("GET", "/", headers={"accept": "text/html"}).status == 307


@pytest.mark.parametrize("path", [RUN, VALIDATE, BATCH])
def test_each_example_is_answered_as_the_document_says(server: Server, path: str) -> None:
    operation = document(server)["paths"][path.removeprefix("/v1")]["post"]
    request = operation["requestBody"]["content"]["application/json"]["example"]
    due = operation["responses"]["200"]["content"]["application/json"]["example"]
    answer = server.post(path, request)
    assert answer.status == 200
    assert without_times(answer.json) == without_times(due)


def test_each_example_of_an_error_is_one_that_the_server_gives(tmp_path: Path) -> None:
    with serving(tmp_path, "--api-key", "secret") as server:
        responses = document(server)["paths"][RUN.removeprefix("/v1")]["post"]["responses"]
        examples = {
            status: content["example"]
            for status, response in responses.items()
            if "example" in (content := response["content"]["application/json"]) and status != "200"
        }
        body = {
            "grader": {"type": "string_check", "operation": "equals", "input": "", "reference": ""}
        }
        wrong = server.post(VALIDATE, body, authorization="Bearer secret")
        keyless = server.post(VALIDATE, body, authorization="Bearer other")
        assert examples == {"400": wrong.json, "401": keyless.json}


def test_every_schema_is_in_one_group(server: Server) -> None:
    components = document(server)["components"]
    grouped = [name for names in components["x-schema-groups"].values() for name in names]
    assert sorted(grouped) == sorted(components["schemas"])


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
@pytest.mark.parametrize("width", [420, 1280])
def test_the_page_shows_its_address_examples_and_groups_and_sends_requests(
    server: Server, tmp_path: Path, width: int
) -> None:
    async def look() -> tuple[dict[str, Any], list[str], list[str]]:
        async with open_browser(str(BROWSER), tmp_path) as page:
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.call(f"{domain}.enable")
            await page.call(
                "Emulation.setDeviceMetricsOverride",
                width=width, height=900, deviceScaleFactor=1, mobile=False,
            )  # fmt: skip
            await page.call("Page.navigate", url=f"{server.url}/")
            seen = await page.evaluate(LOOK)
            return seen, page.requested, page.messages

    seen, requested, messages = asyncio.run(look())
    assert seen["address"] == f"{server.url}/docs"
    assert f"curl {server.url}/v1/fine_tuning/alpha/graders/run -H" in seen["curl"]
    assert seen["groups"] == ["Requests and answers", "Graders", "Parts of graders"]
    status, _, body = seen["answer"].partition("\n")
    assert status.startswith("200")
    assert json.loads(body)["reward"] == 1.0
    assert seen["overflow"] == 0
    assert all(url.startswith(server.url) or url == "about:blank" for url in requested)
    assert not [text for text in messages if "favicon" not in text]


LOOK = """
(async () => {
  const until = async found => {
    for (;;) {
      try { const value = found(); if (value) return value; } catch { /* not there yet */ }
      await new Promise(done => setTimeout(done, 20));
    }
  };
  await until(() => document.querySelectorAll("main h2").length === 4);
  for (const each of document.querySelectorAll("details")) each.open = true;
  const box = [...document.querySelectorAll("details")].find(one => one.querySelector("textarea"));
  box.querySelector("button").click();
  const answer = await until(() => {
    const text = box.querySelector("pre").textContent;
    return text.length > 3 && text;
  });
  return {
    address: location.href,
    curl: document.querySelector("#curl").textContent,
    groups: [...document.querySelectorAll("main > h3")].map(one => one.textContent),
    answer,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
})()
"""
