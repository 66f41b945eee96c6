"""The models of the cookbook's scripts: they extract, summarize and judge by fixed rules."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from tests.judges.judge_server import Asked, Reply, answer, responded, said, spoken

JUDGE = "o3"
WEAK = "gpt-4.1-mini"
"""Leaves out what the other models find."""


def replies(asked: Asked) -> Reply:
    """The answer to a request in either form."""
    body = asked.body
    text = "\n".join(words for _, words in conversation(body))
    if body["model"] == JUDGE:
        return in_form(asked, json.dumps(verdict(text, body)))
    if "tools" in body:
        return called(asked, symbols(last(body), body["model"]))
    if "symbols" in wanted_schema(body).get("properties", {}):
        return in_form(asked, json.dumps({"symbols": symbols(last(body), body["model"])}))
    if "sentiment" in wanted_schema(body).get("properties", {}):
        return in_form(asked, json.dumps(sentiment(last(body))))
    if "<audio>" in text:  # the model repeats what it heard
        return in_form(asked, base64.b64decode(last(body)[7:-8]).decode())
    if "<image>" in text:
        return in_form(asked, "A red circle.")
    return in_form(asked, summary(last(body), text))


def conversation(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Each message's role and text; an image is its address in `<image>`, a sound its data in `<audio>`."""
    messages = body.get("messages") or body["input"]
    return [(message["role"], _text(message.get("content"))) for message in messages]


def last(body: dict[str, Any]) -> str:
    return conversation(body)[-1][1]


def _text(content: Any) -> str:
    if not isinstance(content, list):
        return str(content)
    return "\n".join(_part(part) for part in content)


def _part(part: dict[str, Any]) -> str:
    image, audio = part.get("image_url"), part.get("input_audio")
    if audio is not None:
        return f"<audio>{audio['data']}</audio>"
    if image is None:
        return str(part["text"])
    return f"<image>{image['url'] if isinstance(image, dict) else image}</image>"


def wanted_schema(body: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema that an answer must fit, in either form."""
    chat = body.get("response_format", {}).get("json_schema", {})
    found: dict[str, Any] = {**chat, **body.get("text", {}).get("format", {})}.get("schema", {})
    return found


def symbols(code: str, model: str) -> list[dict[str, str]]:
    """The functions and classes of a text; the weak model sees no classes."""
    found = re.findall(r"(def|class) (\w+)", code)
    kinds = {"def": "function", "class": "class"}
    return [
        {"name": name, "symbol_type": kinds[word]}
        for word, name in found
        if word == "def" or model != WEAK
    ]


def sentiment(text: str) -> dict[str, Any]:
    good = any(word in text for word in ("love", "满意", "encanta"))
    return {
        "sentiment": "positive" if good else "negative",
        "confidence": 0.9,
        "emotions": ["joy" if good else "anger"],
    }


def summary(text: str, prompt: str) -> str:
    """A summary of notifications: their first words, or all of it where the prompt asks for much."""
    lines = re.findall(r"^- (.+)$", text, re.MULTILINE)
    if "longer than it needs" in prompt:
        return "You have these notifications, all of which follow: " + " And also: ".join(lines)
    return ", ".join(line.partition(":")[0] for line in lines)


def verdict(text: str, body: dict[str, Any]) -> dict[str, Any]:
    """A judge's answer: a label for a summary, else the share of what is right in the judge's range."""
    steps = [{"description": "look", "conclusion": "seen"}]
    if "<summary>" in text:
        long = len(text.rpartition("<summary>")[2]) > 120
        return {"steps": steps, "result": "verbose" if long else "concise-and-snappy"}
    if "Reference answer:" in text:
        return {"steps": steps, "result": 1.0 if "<image>" in text and "red" in text else 0.0}
    if "Response to evaluate" in text:
        return {"steps": steps, "result": 0.25 if "{{sample.output_text}" in text else 0.75}
    if "<Extracted Information>" in text:
        code, _, extracted = text.partition("<Extracted Information>")
        names = set(re.findall(r"(?:def|class) (\w+)", code))
        seen = {name for name in names if re.search(rf"\b{name}\b", extracted)}
        return {"steps": steps, "result": 1 + 6 * len(seen) / len(names)}
    return {"steps": steps, "result": 5 if '"confidence"' in text else 1}


def in_form(asked: Asked, text: str) -> Reply:
    if asked.path.endswith("/responses"):
        return answer(responded(spoken(text), model=asked.body["model"]))
    return answer({**said(text), "model": asked.body["model"]})


def called(asked: Asked, found: list[dict[str, str]]) -> Reply:
    """A call of the function that was offered; a text where there is nothing to tell it."""
    if not found:
        return in_form(asked, "There are no symbols.")
    arguments = json.dumps({"symbols": found})
    if asked.path.endswith("/responses"):
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}
        call |= {"name": asked.body["tools"][0]["name"], "arguments": arguments}
        whole = responded(model=asked.body["model"])
        return answer({**whole, "output": [*whole["output"], call]})
    function = {"name": asked.body["tools"][0]["function"]["name"], "arguments": arguments}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    return answer(
        {**said(None, finish="tool_calls", tool_calls=calls), "model": asked.body["model"]}
    )
