"""Reads the cases of this folder and writes the files that a case speaks of.

Rows (`train`, `validation`) are a list of rows; a text, which is the file; `{"base64": …}`, the file's
bytes; or `{"from": base, "start": 0, "count": n, "patch": [step, …], "raw": [[line, text], …]}` over
`rows_<base>.jsonl`. A count above what the base has goes round. A step holds one of

    {"set": {path: value}}      {"drop": [path]}      {"rename": {old: new}}      {"append": {path: text}}
    {"text": [field]}           the value as text     {"number": [field]}         the text as a number
    {"again": [row, …]}         rows repeated at the end of the file
    {"pad": {path: [text, n]}}  the text n times behind the value

and may say for which rows: `"rows": [0, 3]` or `"every": 5`. In the texts of a step `${answer}` stands
for a field of the row, `${index}` for its number; a text that is nothing else takes the value itself.
`raw` then replaces whole lines of the file (a line of -1: behind the last).

Samples are a list, or `{"rows": rows, "plan": [[sample, …], …]}`: row number i takes the entry i modulo
the number of entries. A sample is a text or a sample object with `${…}`, where `${other.answer}` is of the
next row and `${far.answer}` of the row after five; `{"times": 8, "of": sample}` stands for eight.
A value that is neither is a text of JSON.
"""

from __future__ import annotations

import base64
import copy
import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
VARIABLE = re.compile(r"\$\{([^}]+)\}")

SAMPLE_KEYS = {"choices", "output_text", "output_tools"}

Row = dict[str, Any]


def cases(half: str) -> list[Row]:
    """The cases of one half, file by file."""
    files = sorted(FOLDER.glob(f"{half}_*.json"))
    return [case for file in files for case in json.loads(file.read_text("utf-8"))]


def look_up(value: Any, path: str) -> Any:
    """What lies at a dotted path; numbers step into lists."""
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def filled(value: Any, scope: Row) -> Any:
    """A value with each `${path}` in its texts replaced."""
    if isinstance(value, dict):
        return {key: filled(inner, scope) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, scope) for inner in value]
    if not isinstance(value, str):
        return value
    whole = VARIABLE.fullmatch(value)
    if whole:
        return copy.deepcopy(look_up(scope, whole[1]))
    return VARIABLE.sub(lambda found: as_text(look_up(scope, found[1])), value)


def as_text(value: Any) -> str:
    """A text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def parent(row: Row, path: str) -> tuple[Any, Any]:
    """The object that holds a path's last step, and that step."""
    before, _, last = path.rpartition(".")
    holder = look_up(row, before) if before else row
    return holder, int(last) if isinstance(holder, list) else last


def change(row: Row, step: Row, index: int) -> None:
    """Carry one step out on a row, in place."""
    scope = {**row, "index": index}
    for path, value in step.get("set", {}).items():
        holder, last = parent(row, path)
        holder[last] = filled(value, scope)
    for path in step.get("drop", []):
        holder, last = parent(row, path)
        del holder[last]
    for old, new in step.get("rename", {}).items():
        row[new] = row.pop(old)
    for path, text in step.get("append", {}).items():
        holder, last = parent(row, path)
        holder[last] = as_text(holder[last]) + filled(text, scope)
    for path, (text, times) in step.get("pad", {}).items():
        holder, last = parent(row, path)
        holder[last] += text * times
    for field in step.get("text", []):
        row[field] = as_text(row[field])
    for field in step.get("number", []):
        row[field] = float(row[field]) if "." in row[field] else int(row[field])


def concerned(step: Row, index: int) -> bool:
    """Whether a step is for this row."""
    if "rows" in step:
        return index in step["rows"]
    return index % int(step.get("every", 1)) == 0


def base(name: str) -> list[Row]:
    """The rows of a base data set."""
    lines = (FOLDER / f"rows_{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def rows_of(spec: Any) -> list[Row]:
    """The rows of a case; none for a file that is given as text."""
    if spec is None or isinstance(spec, str) or "base64" in spec:
        return []
    if isinstance(spec, list):
        return spec
    known = base(spec["from"])
    start, count = spec.get("start", 0), spec["count"]
    rows = [copy.deepcopy(known[(start + index) % len(known)]) for index in range(count)]
    for step in spec.get("patch", []):
        if "again" in step:
            rows += [copy.deepcopy(rows[index]) for index in step["again"]]
            continue
        for index, row in enumerate(rows):
            if concerned(step, index):
                change(row, step, index)
    return rows


def jsonl(rows: list[Row]) -> list[str]:
    """One line of JSON for each row."""
    return [json.dumps(row, ensure_ascii=False) for row in rows]


def content(spec: Any) -> bytes:
    """The bytes of a file of rows."""
    if isinstance(spec, str):
        return spec.encode()
    if isinstance(spec, dict) and "base64" in spec:
        return base64.b64decode(spec["base64"])
    lines = jsonl(rows_of(spec))
    for line, text in spec.get("raw", []) if isinstance(spec, dict) else []:
        if line < 0:
            lines.append(text)
        else:
            lines[line] = text
    return ("\n".join(lines) + "\n").encode()


def scope_of(rows: list[Row], index: int) -> Row:
    """What `${…}` may name in a sample for this row."""
    beside = {"other": rows[(index + 1) % len(rows)], "far": rows[(index + 5) % len(rows)]}
    return {**rows[index], **beside, "index": index}


def graded_row(row: Row, sample: Any) -> Row:
    """A row with its output, as `graders score` takes it."""
    if not isinstance(sample, str) and not (isinstance(sample, dict) and SAMPLE_KEYS & set(sample)):
        sample = as_text(sample)
    return {"item": row, "model_sample" if isinstance(sample, str) else "sample": sample}


def samples_of(spec: Any) -> list[Row]:
    """The rows of a file of samples."""
    if isinstance(spec, list):
        return spec
    rows, out = rows_of(spec["rows"]), []
    for index, row in enumerate(rows):
        for entry in spec["plan"][index % len(spec["plan"])]:
            several = isinstance(entry, dict) and "times" in entry
            sample = filled(entry["of"] if several else entry, scope_of(rows, index))
            out += [graded_row(row, sample)] * (entry["times"] if several else 1)
    return out


def write(case: Row, folder: Path) -> dict[str, Path]:
    """Write a case's files; the result says for which option of `graders preflight` each is."""
    written: dict[str, bytes] = {}
    if "grader" in case:
        written["grader"] = json.dumps(case["grader"], ensure_ascii=False).encode()
    for name in ("train", "validation"):
        if case.get(name) is not None:
            written[name] = content(case[name])
    if case.get("samples") is not None:
        written["samples"] = "".join(
            line + "\n" for line in jsonl(samples_of(case["samples"]))
        ).encode()
    if "job" in case:
        written["job"] = json.dumps(case["job"], ensure_ascii=False).encode()
    paths = {}
    for name, data in written.items():
        ending = "json" if name in ("grader", "job") else "jsonl"
        paths[name] = folder / f"{name}.{ending}"
        paths[name].write_bytes(data)
    return paths
