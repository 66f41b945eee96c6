"""Rows whose texts try to run, to hide, to break a layout or a reader; for tests in a browser, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from graders_engine import Engine
from graders_engine.dataset.scoring.score import score_file

OUTSIDE = "https://example.org/outside"
"""An address that nothing may ask for."""
RAN = "window.ran = 1"
"""What would show that a text was run."""
LONG = 1 << 20


class HostileRow(NamedTuple):
    """A row, by what it tries; `line` in place of `item` and `sample` is written as it is."""

    name: str
    item: Any = None
    sample: Any = None
    line: str = ""


def _text(name: str, text: str) -> HostileRow:
    return HostileRow(name, {"id": name, "text": text}, text)


def _deep(levels: int) -> str:
    return "[" * levels + "]" * levels


ROWS: tuple[HostileRow, ...] = (
    _text("script", f"</script><script>{RAN}</script>"),
    _text("handler of an image", f'"><img src={OUTSIDE}.png onerror="{RAN}">'),
    _text("handler of a drawing", f"<svg onload='{RAN}'><animate onbegin='{RAN}' attributeName=x>"),
    _text("handler in single quotes", f"' autofocus onfocus='{RAN}' x='"),
    _text("base", f"<base href={OUTSIDE}/>"),
    _text("style", f"<style>@import url({OUTSIDE}.css); * {{ display: none }}</style>"),
    _text("style in an attribute", f'<p style="background: url({OUTSIDE}.gif)">x</p>'),
    _text("frame", f"<iframe srcdoc='<script>parent.{RAN}</script>'></iframe>"),
    _text("form", f"<form action={OUTSIDE}><input name=q autofocus></form>"),
    _text("refresh", f'<meta http-equiv=refresh content="0;url={OUTSIDE}">'),
    _text("prefetch", f"<link rel=prefetch href={OUTSIDE}>"),
    _text("address of code", f"[link](javascript:{RAN}) javascript:{RAN}"),
    _text("template", f"{{{{constructor.constructor('{RAN}')()}}}} ${{{RAN}}} <%= {RAN} %> #{{{RAN}}}"),
    _text("template of the report", "{{ cycler.__init__.__globals__.os.popen('id').read() }}"),
    _text("entities", "&lt;script&gt; &amp;amp; &#x3C;b&#x3E; ]]> <!-- -->"),
    _text("mutation", f"<math><mtext><table><mglyph><style><!--</style><img onerror={RAN} src=1>"),
    _text("NUL", "before\x00after"),
    _text("controls", "bell \x07 escape \x1b[31m delete \x7f c1 \x9b"),
    _text("reading direction", "left \u202egnihtyreve\u202c isolate \u2066 mark \u200e"),
    _text("zero width", "a\u200bb\ufeffc\u2060d tag \U000e0041"),
    _text("separators", "one\u2028two\u2029three\x85four\r\nfive\rsix"),
    _text("half a character", "half \ud800 and \udfff"),
    _text("marks on marks", "Z" + "\u0351\u0300\u0317" * 400),
    _text("word without end", "w" * 20_000),
    _text("a megabyte", "lorem ipsum " * (LONG // 12)),
    _text("5,000 lines", "\n".join(f"line {number}" for number in range(5_000))),
    _text("blanks", " \t\n \u00a0\u3000 \n\n"),
    _text("deep JSON in a text", _deep(5_000)),
    _text("a number with many digits", json.dumps({"total": 10**4_000})),
    _text("a number beyond doubles", '{"total": 1e999, "not": NaN}'),
    _text("keys that are there twice", '{"total": 1, "total": 2}'),
    HostileRow(
        "keys of every object",
        {"id": "keys", "text": "x", "__proto__": {"ran": 1}, "constructor": "c", "toString": "t",
         "hasOwnProperty": False, "__class__": "k", "": "no name"},
        '{"__proto__": {"ran": 1}, "constructor": null}',
    ),
    HostileRow(
        "markup in keys",
        {"id": "markup", "text": "x", f"<img src={OUTSIDE} onerror={RAN}>": "value", "a\u202eb": "turned"},
        "x",
    ),
    HostileRow("deep item", {"id": "deep", "text": json.loads(_deep(200))}, "x"),
    HostileRow("many keys", {"id": "many", "text": "x", **{f"k{n}": n for n in range(2_000)}}, "x"),
    HostileRow("item that is no object", ["<script>", 1, None], "x"),
    HostileRow("huge numbers", {"id": "huge", "text": 10**400, "float": 1.7e308, "tiny": 5e-324}, "1e400"),
    HostileRow(
        "tool calls",
        {"id": "tools", "text": "x"},
        {"choices": [{"message": {"role": f"<b onclick={RAN}>", "content": "said", "reasoning_content":
         f"<script>{RAN}</script>", "tool_calls": [{"type": "function", "function": {"name": "<img>",
         "arguments": '{"__proto__": 1}'}}, {"function": None}, "no call"]}}]},
    ),
    HostileRow("output that is no text", {"id": "number", "text": "x"}, {"output_text": {"a": 1}}),
    HostileRow("empty output", {"id": "empty", "text": ""}, ""),
    HostileRow("no JSON", line='{"item": {"text": NaN}, "model_sample": "x"'),
    HostileRow("NaN in a row", line='{"item": {"id": "nan", "text": NaN}, "model_sample": "x"}'),
    HostileRow("a list for a row", line='["item", "model_sample"]'),
    HostileRow("deep row", line='{"item": ' + _deep(100_000) + ', "model_sample": "x"}'),
)  # fmt: skip
GRADER: dict[str, Any] = {
    "type": "multi",
    "name": f"<script>{RAN}</script> \u202e name",
    "graders": {
        "__proto__": {
            "type": "string_check",
            "name": "a",
            "operation": "eq",
            "input": "{{sample.output_text}}",
            "reference": "{{item.text}}",
        },
        f"<img src={OUTSIDE} onerror={RAN}>": {
            "type": "text_similarity",
            "name": "b",
            "evaluation_metric": "fuzzy_match",
            "input": "{{sample.output_text}}",
            "reference": "<script>{{item.id}}</script>",
        },
        "constructor": {
            "type": "string_check",
            "name": "c",
            "operation": "like",
            "input": "{{item.id}}",
            "reference": "e",
        },
    },
    "calculate_output": "0.5 * __proto__ + 0.5 * constructor",
}


def write(folder: Path) -> Path:
    """Score the rows into `results.jsonl` of a folder, from `rows.jsonl` there."""
    data, results = folder / "rows.jsonl", folder / "results.jsonl"
    with data.open("w", encoding="utf-8") as file:
        for row in ROWS:
            file.write((row.line or json.dumps(_raw(row))) + "\n")
    with Engine() as engine:
        score_file(engine, GRADER, data, results)
    return results


def _raw(row: HostileRow) -> dict[str, Any]:
    key = "model_sample" if isinstance(row.sample, str) else "sample"
    return {"item": row.item, key: row.sample}
