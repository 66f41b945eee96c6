"""Data sets with a fault each: of their format, of one row, of all of it."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

ROW = {"item": {"label": "a"}, "model_sample": "a"}
GOOD = json.dumps(ROW).encode()
LONGEST = 150_000
"""Stands for the longest row, so that the files need not be as huge as that."""

NOT_JSON = {
    "an object that is broken": b"{broken",
    "an object without its end": GOOD[:-1],
    "a string without its end": GOOD[:-3],
    "a comma too many": b'{"item": {}, "model_sample": "a",}',
    "a comma too few": b'{"item": {} "model_sample": "a"}',
    "single quotes": b"{'item': {}, 'model_sample': 'a'}",
    "a Python literal": b'{"item": None, "model_sample": "a"}',
    "a comment": b"// the rows begin here",
    "two rows on one line": GOOD + GOOD,
    "an array's comma behind the row": GOOD + b",",
    "a key without quotes": b'{item: {}, model_sample: "a"}',
    "a key that is a number": b'{1: {}, "model_sample": "a"}',
    "NaN": b'{"item": {"x": NaN}, "model_sample": "a"}',
    "Infinity": b'{"item": {"x": Infinity}, "model_sample": "a"}',
    "minus Infinity": b'{"item": {"x": -Infinity}, "model_sample": "a"}',
    "a number with a zero before it": b'{"item": {"x": 01}, "model_sample": "a"}',
    "a number with a plus": b'{"item": {"x": +1}, "model_sample": "a"}',
    "a hexadecimal number": b'{"item": {"x": 0xff}, "model_sample": "a"}',
    "a number without end": b'{"item": {"x": 1.}, "model_sample": "a"}',
    "more digits than Python reads": b'{"item": {"x": ' + b"9" * 5000 + b'}, "model_sample": "a"}',
    "a number beyond a double": b'{"item": {"x": 1e400}, "model_sample": "a"}',
    "a number far below any double": b'{"item": {"x": [-1e999]}, "model_sample": "a"}',
    "a long number beyond a double": b'{"item": {"x": ' + b"9" * 400 + b'.5}, "model_sample": "a"}',
    "a tab within a string": b'{"item": {}, "model_sample": "a\tb"}',
    "an escape that is none": rb'{"item": {}, "model_sample": "\x61"}',
    "half an escape": rb'{"item": {}, "model_sample": "\u00"}',
    "a word": b"done",
    "markup": b"<!DOCTYPE html>",
    "a row of CSV": b"label,model_sample",
    "a marker of a merge": b"<<<<<<< HEAD",
    "NUL bytes, as a crash leaves them": b"\x00" * 200,
    "nesting without end": b"[" * 100_000,
}  # fmt: skip
NOT_UTF8 = {
    "Latin-1": '{"item": {"label": "é"}, "model_sample": "a"}'.encode("latin-1"),
    "quotes of Windows": '{"item": {"label": "“x”"}, "model_sample": "a"}'.encode("cp1252"),
    "half a character": b'{"item": {}, "model_sample": "\xe2\x82"}',
    "an overlong character": b'{"item": {}, "model_sample": "\xc0\x80"}',
    "bytes beyond Unicode": b'{"item": {}, "model_sample": "\xf5\x80\x80\x80"}',
    "a byte of nothing": b"\xff",
}
NO_ROW = {
    "null": (b"null", "A row must be an object, but this is null."),
    "a boolean": (b"true", "this is a boolean"),
    "a number": (b"3", "this is an integer"),
    "a decimal": (b"1.5", "this is a decimal"),
    "a text": (b'"text"', "this is a string"),
    "an array": (b"[]", "this is an array"),
    "a row in an array": (b"[" + GOOD + b"]", "this is an array"),
    "an empty object": (b"{}", "neither `model_sample` nor `sample` (its keys: none)"),
    "an item alone": (b'{"item": {}}', "neither `model_sample` nor `sample` (its keys: item)"),
    "a null output": (b'{"item": {}, "model_sample": null}', "no output: `model_sample` is null"),
    "a number for text": (b'{"item": {}, "model_sample": 3}', "must be a string, but it is an integer"),
    "a boolean for text": (b'{"item": {}, "model_sample": true}', "but it is a boolean"),
    "an object for text": (b'{"item": {}, "model_sample": {}}', "goes into `sample`"),
    "a number for an object": (b'{"item": {}, "sample": 3}', "must be an object, but it is an integer"),
    "two outputs": (b'{"item": {}, "model_sample": "a", "sample": {}}', "were both given"),
    "text that is a number": (b'{"sample": {"output_text": 3}}', "`sample.output_text` must be a string"),
    "two items": (b'{"item": {}, "reference_answer": 1, "model_sample": "a"}', "give one of the two"),
    "an item without label": (b'{"item": {"labels": "a"}, "model_sample": "a"}', "has no key `label`"),
    "an item that is text": (b'{"item": "a", "model_sample": "a"}', "is a string that is not JSON"),
    "an item that is an array": (b'{"item": ["a"], "model_sample": "a"}', "`item` is an array"),
}  # fmt: skip
BALANCED = {
    "a word": b"nul",
    "NaN": b'{"item": {"x": NaN}, "model_sample": "a"}',
    "nothing between two commas": b"",
    "Latin-1": '{"item": {"label": "é"}, "model_sample": "a"}'.encode("latin-1"),
    "a bracket for a brace": b'{"item": {}, "model_sample": "a"]',
    "an escape that is none": rb'{"item": {}, "model_sample": "\x61"}',
}
"""Faults within an element of an array that leave its end to be found."""

LAST = -1
"""Stands for the number of the last line of the results, where chance decides what comes through."""
CASES: dict[str, tuple[str, bytes, dict[int, str]]] = {}
"""What is wrong -> the file's name, its bytes, and words of the sentence at each bad line."""


def case(what: str, name: str, content: bytes, **sentences: str) -> None:
    CASES[f"{name}: {what}"] = (
        name,
        content,
        {LAST if line == "_last" else int(line[1:]): words for line, words in sentences.items()},
    )


def between(*rows: bytes) -> bytes:
    return b"\n".join(rows) + b"\n"


def parquet(rows: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=2, compression="none")
    return sink.getvalue()


for what, line in NOT_JSON.items():
    case(what, "rows.jsonl", between(GOOD, line, GOOD), _2="The line is not JSON: ")
for what, line in NOT_UTF8.items():
    case(what, "rows.jsonl", between(GOOD, line, GOOD), _2="The line is not UTF-8: byte 0x")
for what, (line, words) in NO_ROW.items():
    case(what, "rows.jsonl", between(GOOD, line, GOOD), _2=words)
for what, line in BALANCED.items():
    reason = "not UTF-8" if what == "Latin-1" else "The element is not JSON"
    case(what, "rows.json", b"[" + GOOD + b", " + line + b",\n" + GOOD + b"]", _2=reason)

LONG = json.dumps({"item": {"label": "a"}, "model_sample": "a" * LONGEST}).encode()
MANY = between(*[GOOD] * 2000)
PACKED, FRAME = (
    gzip.compress(MANY),
    zstandard.compress(b"".join(GOOD + b" " * n + b"\n" for n in range(2000))),
)
TABLE = parquet([ROW] * 6)
CSV = b"label,model_sample\n"

# fmt: off - a case a line
case("a long line", "rows.jsonl", between(GOOD, LONG, GOOD), _2="longer than 150000 bytes")
case("a long last line", "rows.jsonl", GOOD + b"\n" + LONG, _2="longer than 150000 bytes")
case(
    "a long line, packed",
    "rows.jsonl.gz",
    gzip.compress(between(GOOD, LONG, GOOD)),
    _2="longer than",
)
case(
    "a long element", "rows.json", b"[" + GOOD + b"," + LONG + b"," + GOOD + b"]", _2="longer than"
)
case(
    "a long row",
    "rows.csv",
    CSV + b"a,a\na," + b"x" * LONGEST + b"\na,a\n",
    _3="longer than 150000 characters",
)

case("NUL bytes first", "rows.jsonl", b"\x00" * 99 + between(b"", GOOD), _1="The line is not JSON")
case("no newline at the end", "rows.jsonl", GOOD + b"\n" + GOOD)
case("a torn last line", "rows.jsonl", GOOD + b"\n" + GOOD[:20], _2="The line is not JSON")
case("a byte order mark", "rows.jsonl", b"\xef\xbb\xbf" + between(GOOD, GOOD))
case("a byte order mark within", "rows.jsonl", between(GOOD, b"\xef\xbb\xbf" + GOOD))
case("ends of lines of Windows", "rows.jsonl", between(GOOD, GOOD).replace(b"\n", b"\r\n"))
case("ends of lines of old Macs", "rows.jsonl", GOOD + b"\r" + GOOD, _1="The line is not JSON")
case("blank lines", "rows.jsonl", b"\n\n" + GOOD + b"\n  \t\n\r\n" + GOOD + b"\n\n")
case("a key that stands twice", "rows.jsonl", between(b'{"model_sample": "b", ' + GOOD[1:]))
case(
    "a lone surrogate",
    "rows.jsonl",
    between(rb'{"item": {"label": "a", "x": "\ud800"}, "model_sample": "a"}'),
)
case(
    "an array without its end",
    "rows.json",
    b"[" + GOOD + b"," + GOOD,
    _2="The array ends in the middle",
)
case(
    "an array cut off",
    "rows.json",
    b"[" + GOOD + b"," + GOOD[:9],
    _2="The array ends in the middle",
)
case("text behind an array", "rows.json", b"[" + GOOD + b"] x", _2="after the end of the array")
case(
    "an array and a row", "rows.json", b"[" + GOOD + b"]\n" + GOOD, _2="after the end of the array"
)
case("a comma before the end", "rows.json", b"[" + GOOD + b",]")
case(
    "too few cells",
    "rows.csv",
    CSV + b"a,a\na\na,a\n",
    _3="The row has 1 cells, but the header names 2.",
)
case(
    "too many cells",
    "rows.csv",
    CSV + b"a,a\na,a,a\na,a\n",
    _3="The row has 3 cells, but the header names 2.",
)
case("Latin-1", "rows.csv", CSV + b"a,a\n\xe9,a\na,a\n", _3="not UTF-8: it has the byte 0xe9")
case("text behind a quote", "rows.csv", CSV + b'a,a\n"a"b,a\na,a\n', _3="The row is not CSV")
case("a quote without its end", "rows.csv", CSV + b'a,a\n"a,a\na,a\n', _3="unexpected end of data")
case("blank lines", "rows.csv", b"\n" + CSV + b"\na,a\n\n\na,a\n")
case("cut off", "rows.jsonl.gz", PACKED[: len(PACKED) // 2], _last="cut off or damaged here")
case("cut off before the checksum", "rows.jsonl.gz", PACKED[:-8], _2001="cut off or damaged here")
case("a wrong checksum", "rows.jsonl.gz", PACKED[:-8] + b"\x00" * 8, _2001="CRC check failed")
case("no more than the mark", "rows.jsonl.gz", PACKED[:2], _1="cut off or damaged here")
case(
    "a damaged second part",
    "rows.jsonl.gz",
    PACKED + b"\x1f\x8b\xff" * 9,
    _2001="cut off or damaged here",
)
case("text behind the end", "rows.jsonl.gz", PACKED + b"text", _2001="cut off or damaged here")
case("cut off", "rows.jsonl.zst", FRAME[:-1], _last="the last frame has no end")
case(
    "damaged in the middle",
    "rows.jsonl.zst",
    FRAME[:3000] + b"\xff" * 99,
    _last="cut off or damaged here",
)
case("no more than the mark", "rows.jsonl.zst", FRAME[:4], _1="cut off or damaged here")
case("text behind the end", "rows.jsonl.zst", FRAME + b"text", _2001="cut off or damaged here")
case(
    "a damaged group",
    "rows.parquet",
    TABLE.replace(TABLE[4:40], b"\xff" * 36, 1),
    _1="The rows 1 to 2 cannot be read",
)
# fmt: on


EVALS = {
    "datasource_item": {"label": "a"},
    "sample": {"output": [{"role": "assistant", "content": "a"}]},
}
EVAL = json.dumps(EVALS).encode()


def evals(sample: Any) -> bytes:
    return between(EVAL, json.dumps({**EVALS, "sample": sample}).encode(), EVAL)


case(
    "a hosted error",
    "items.jsonl",
    evals({"output": [], "error": {"message": "boom"}}),
    _2="an error: boom.",
)
case(
    "a number for text",
    "items.jsonl",
    evals({"output": [{"content": 3}]}),
    _2="must be a string, but it is an integer",
)
case(
    "an item that is null",
    "items.jsonl",
    EVAL.replace(b'{"label": "a"}', b"null"),
    _1="`item` has no key `label`",
)
case(
    "null among samples",
    "several.jsonl",
    between(b'{"item": {"label": "a"}, "samples": ["a", null]}'),
    _1="it is null",
)
case(
    "an empty list of samples",
    "several.jsonl",
    between(GOOD, b'{"samples": []}', GOOD),
    _2="is empty",
)

REFUSED = {
    "UTF-16": (
        "rows.jsonl",
        "\ufeff".encode("utf-16-le") + MANY.decode().encode("utf-16-le"),
        "is UTF-16 text",
    ),
    "UTF-16, the other way": (
        "rows.jsonl",
        "\ufeff".encode("utf-16-be") + b"\x00{",
        "iconv -f UTF-16 -t UTF-8",
    ),
    "UTF-16 without a mark": ("rows.jsonl", MANY.decode().encode("utf-16-le"), "is UTF-16LE text"),
    "UTF-32": ("rows.jsonl", MANY.decode().encode("utf-32"), "is UTF-32 text"),
    "UTF-16, packed": (
        "rows.jsonl.gz",
        gzip.compress(MANY.decode().encode("utf-16")),
        "is UTF-16 text",
    ),
    "one object over many lines": (
        "rows.json",
        json.dumps(ROW, indent=1).encode(),
        "stand on several lines each",
    ),
    "something else": ("rows.txt", b"Dear all,\n", "--format (jsonl, json, csv, parquet)"),
    "a field that stands twice": (
        "rows.csv",
        b"label,out,label\na,a,a\n",
        "has the field 'label' twice",
    ),
    "a header that is broken": (
        "rows.csv",
        b'label,"out"x\na,a\n',
        "header row of rows.csv cannot be read",
    ),
    "a table that is cut off": ("rows.parquet", TABLE[:-100], "cannot be read as Parquet"),
    "a table that is none": ("rows.parquet", MANY, "cannot be read as Parquet"),
    "a table without content": ("rows.parquet", b"", "cannot be read as Parquet"),
    "the first bytes of a table": ("rows.parquet", b"PAR1", "cannot be read as Parquet"),
}
EMPTY = {
    "nothing": b"",
    "blank lines": b"\n \n\n",
    "a byte order mark": b"\xef\xbb\xbf",
    "nothing, packed": gzip.compress(b""),
    "an empty frame": zstandard.compress(b""),
}
