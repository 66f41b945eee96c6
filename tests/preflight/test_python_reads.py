"""What is found in a python source without running it."""

from __future__ import annotations

import pytest

from graders_engine.preflight.python_reads import PythonReads, reads_of

NEEDS = "!"
"""Marks the paths without which the source raises."""


def paths(source: str, root: str = "item") -> set[str]:
    """The paths that a source reads, those that it needs with `NEEDS`."""
    reads = reads_of(source)
    assert reads.known
    found = reads.item if root == "item" else reads.sample
    return {".".join(read.path) + (NEEDS if read.needed else "") for read in found}


def grade(*lines: str, head: str = "def grade(sample, item):", before: str = "") -> str:
    return "\n".join([before, head, *(f"    {line}" for line in lines)])


ITEM_READS = {
    "brackets": (grade('return item["a"]'), {"a!"}),
    "get": (grade('return item.get("a", "")'), {"a"}),
    "pop without a default": (grade('return item.pop("a")'), {"a!"}),
    "pop with a default": (grade('return item.pop("a", 0)'), {"a"}),
    "other names of the arguments": (
        grade('return row["a"]', head="def grade(s, row):"),
        {"a!"},
    ),
    "another name for the item": (grade("row = item", 'return row["a"]'), {"a!"}),
    "the item or an empty one": (grade('return (item or {})["a"]'), {"a!"}),
    "the item made an empty one": (grade("item = item or {}", 'return item["a"]'), {"a!"}),
    "a copy of the item": (grade('return dict(item)["a"] + item.copy()["b"]'), {"a!", "b!"}),
    "a key inside a key": (grade('return item["a"]["b"]'), {"a!", "a.b!"}),
    "a key inside an optional key": (
        grade('return item.get("a", {}).get("b")'),
        {"a", "a.b"},
    ),
    "JSON inside a key": (
        grade('return json.loads(item["a"])["b"]', before="import json"),
        {"a!", "a.b!"},
    ),
    "an assignment expression": (grade('return 1 if (a := item["a"]) else a["b"]'), {"a!", "a.b"}),
    "a key that is asked for": (
        grade('return item["a"] if "a" in item else 0'),
        {"a"},
    ),
    "a key that is asked for before": (
        grade('if "a" not in item:', "    return 0", 'return item["a"]'),
        {"a"},
    ),
    "a key that was set": (grade('item.setdefault("a", 1)', 'return item["a"]'), {"a"}),
    "a key that was stored": (grade('item["a"] = 1', 'return item["a"]'), {"a"}),
    "a key whose error is caught": (
        grade("try:", '    return item["a"]', "except KeyError:", "    return 0"),
        {"a"},
    ),
    "a key with another in its place": (
        grade("try:", '    return item["a"]', "except Exception:", '    return item["b"]'),
        {"a", "b"},
    ),
    "a key in a handler of everything": (
        grade("try:", '    return item["a"]', "except Exception:", "    return 0.0"),
        {"a!"},
    ),
    "keys of two kinds of rows": (
        grade('if item["kind"] == "x":', '    return item["a"]', 'return item["b"]'),
        {"kind!", "a", "b"},
    ),
    "a key after a check for an empty one": (
        grade('if not item["a"]:', "    return 0", 'return item["b"]'),
        {"a!", "b!"},
    ),
    "a key after a check of the answer": (
        grade('if not sample["output_text"]:', "    return 0", 'return item["b"]'),
        {"b!"},
    ),
    "a key behind a comparison with the answer": (
        grade('if item["a"] == sample["output_text"]:', "    return 1", 'return item["b"]'),
        {"a!", "b!"},
    ),
    "a key by a constant": (grade("return item[KEY]", before='KEY = "a"'), {"a!"}),
    "keys of a loop": (
        grade("total = 0", 'for key in ("a", "b"):', "    total += item[key]", "return total"),
        {"a!", "b!"},
    ),
    "keys of a comprehension": (
        grade("return sum(item[key] for key in KEYS)", before='KEYS = ["a", "b"]'),
        {"a!", "b!"},
    ),
    "one of two keys": (
        grade('key = "a" if sample["output_text"] else "b"', "return item[key]"),
        {"a", "b"},
    ),
    "a helper": (
        grade("return wanted(item)", before='def wanted(row):\n    return row["a"]'),
        {"a!"},
    ),
    "a helper with a key": (
        grade(
            'return pick(item) + pick(row=item, key="b")',
            before='def pick(row, key="a"):\n    return row[key]',
        ),
        {"a!", "b!"},
    ),
    "a helper that gives a part": (
        grade('return part(item)["b"]', before='def part(row):\n    return row["a"]'),
        {"a!", "a.b!"},
    ),
    "a helper that calls itself": (
        grade(
            "return walk(item, 3)",
            before='def walk(row, n):\n    return row["a"] if n < 1 else walk(row, n - 1)',
        ),
        {"a!"},
    ),
    "a function inside": (
        grade("def wanted():", '    return item["a"]', "return wanted()"),
        {"a!"},
    ),
    "a lambda": (
        grade('pick = lambda row: row["a"]', "return pick(item)"),
        {"a!"},
    ),
    "a class": (
        grade(
            "return Grader(item).score()",
            before="class Grader:\n    def __init__(self, item):\n        self.item = item\n"
            '    def score(self):\n        return self.item["a"]',
        ),
        {"a"},
    ),
    "all arguments": (
        grade("sample, item = args", 'return item["a"]', head="def grade(*args):"),
        {"a!"},
    ),
    "a pattern": (
        grade("match item:", '    case {"a": a}:', "        return a", "return 0"),
        {"a"},
    ),
    "another name for grade": (
        'def score(sample, item):\n    return item["a"]\n\ngrade = score\n',
        {"a!"},
    ),
    "a variable of that name in a helper": (
        grade(
            'return names(sample["output_json"]) == item["a"]',
            before='def names(items):\n    return [item["name"] for item in items]',
        ),
        {"a!"},
    ),
    "a loop over the model's objects": (
        grade('for item in sample["output_json"]:', '    item["name"]', "return 1"),
        set(),
    ),
    "a part of a text": (grade('return item["a"][0]'), {"a!"}),
}


@pytest.mark.parametrize(("source", "expected"), ITEM_READS.values(), ids=ITEM_READS)
def test_what_a_source_reads_of_its_item(source: str, expected: set[str]) -> None:
    assert paths(source) == expected


def test_what_a_source_reads_of_its_sample() -> None:
    source = grade(
        "sample = sample or {}",
        'data = sample.get("output_json") or {}',
        'return data["total"] == item["a"] and sample["output_text"]',
    )
    assert paths(source, "sample") == {"output_json", "output_json.total", "output_text!"}


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ('return sample["output_text"] == "x"', False),
        ('return len(sample) and isinstance(sample, dict) and sample["output_text"]', False),
        ("return str(sample)", True),
        ("return check(sample)", True),
        ("return sample[item['key']]", True),
        ("return [part for part in sample]", True),
        ("return f'{sample}'", True),
    ],
)
def test_a_sample_that_is_used_as_a_whole(line: str, whole: bool) -> None:
    assert reads_of(grade(line)).whole_sample is whole


def test_a_sample_that_is_not_used() -> None:
    reads = reads_of(grade('return item["a"]'))
    assert not reads.reads_sample
    assert reads_of(grade('return item["a"] + len(sample["output_text"])')).reads_sample


UNKNOWN = {
    "no python": "def grade(",
    "no grade": "x = 1",
    "a decorated grade": "import functools\n@functools.cache\n" + grade("return 1").strip(),
    "a grade of another module": "from somewhere import grade",
    "a chain without end": grade(f"return {'+'.join(['1'] * 5000)}"),
}


@pytest.mark.parametrize("source", UNKNOWN.values(), ids=UNKNOWN)
def test_a_source_that_cannot_be_followed_may_read_anything(source: str) -> None:
    reads = reads_of(source)
    assert not reads.known
    assert reads.whole_sample
    assert not reads.item


def test_a_source_that_takes_too_long_to_follow_may_read_anything() -> None:
    loops = [f"{'    ' * depth}for _ in range(9):" for depth in range(18)]
    assert not reads_of(grade(*loops, f"{'    ' * 18}item['a']", "return 1")).known


HOSTILE = {
    "tuples of tuples": grade("pair = item", *["pair = (pair, pair)"] * 300, "return pair"),
    "a path for each way": grade(
        "part = item", *['part = part["a"] or part["b"]'] * 200, "return 1"
    ),
    "calls that double": grade(
        "return f79(item)",
        before="def f0(x): return x\n"
        + "\n".join(f"def f{n}(x): return f{n - 1}(x) + f{n - 1}([x])" for n in range(1, 80)),
    ),
    "loops inside loops": grade(
        f"return [0 for a in item{''.join(f' for b{n} in (1, 2, 3, 4, 5, 6, 7, 8)' for n in range(18))}]"
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_a_source_that_grows_when_it_is_followed_comes_to_an_end(source: str) -> None:
    reads = reads_of(source)
    assert not reads.sample


def test_a_long_source_is_read_like_a_short_one() -> None:
    source = grade('return item["a"] + random.random()', before="import random, torch")
    long = reads_of(source + "\n# " + "x" * 10_000)
    assert long == reads_of(source)
    assert long != PythonReads()


RETURNS = {
    "return 1.0 if sample else 0.0": (0.0, 1.0),
    "return float(sample == item)": (0.0, 1.0),
    "return max(0.0, min(2.0, score(sample)))": (0.0, 2.0),
    "return min(score(sample), 1)": None,
    "return -2": (-2.0, -2.0),
    "return score(sample)": None,
    "return": None,
}


@pytest.mark.parametrize(("line", "rewards"), RETURNS.items())
def test_the_numbers_that_stand_in_what_a_source_returns(
    line: str, rewards: tuple[float, float] | None
) -> None:
    assert reads_of(grade(line)).rewards == rewards
