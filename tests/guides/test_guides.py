"""Every guide: what it shows is so, it is short, and what it refers to is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from graders_engine.guides import FOLDER, text_of, titles
from tests.guides.blocks import agrees, blocks_of, require_valid, run_blocks

OF_THEIR_OWN: dict[str, str] = {
    "cluster": "tests/ray/test_guide.py",
    "evals": "tests/evals/test_guide.py",
    "jobs": "tests/jobs/test_guide.py",
    "tuned-models": "tests/jobs/test_guide.py",
}
"""Guides whose blocks another test runs, because they need more than an empty folder -> that test."""
GUIDES = [name for name in titles() if not name.startswith("api/")]
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", [name for name in GUIDES if name not in OF_THEIR_OWN])
def test_every_block_works_when_pasted_after_those_above_it(name: str, tmp_path: Path) -> None:
    run_blocks(text_of(name), tmp_path)


def test_every_page_is_listed() -> None:
    pages = {path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.md")}
    assert pages == set(titles())


@pytest.mark.parametrize("name", titles())
def test_what_a_guide_shows_can_be_read(name: str) -> None:
    for block in blocks_of(text_of(name)):
        require_valid(block)


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_has_at_most_200_lines_of_80_columns(name: str) -> None:
    text = text_of(name)
    assert len(text.splitlines()) <= 200
    prose = _FENCED.sub("", text).splitlines()
    long = [
        line for line in prose if len(line) > 80 and not line.startswith("|") and "](" not in line
    ]
    assert not long
    code = [line for block in blocks_of(text) for line in block.text.splitlines()]
    assert not [line for line in code if len(line) > 100]


@pytest.mark.parametrize("name", titles())
def test_every_link_of_a_guide_leads_somewhere(name: str) -> None:
    here = (FOLDER / f"{name}.md").parent
    for target in _LINK.findall(_FENCED.sub("", text_of(name))):
        if "//" not in target:
            page, _, heading = target.partition("#")
            path = here / page if page else FOLDER / f"{name}.md"
            assert path.exists(), target
            assert not heading or heading in _headings(path), target


def test_no_page_has_a_misspelt_word() -> None:
    root = FOLDER.parent.parent
    pages = [*FOLDER.rglob("*.md"), *(FOLDER.parent / "examples").glob("*/README.md")]
    pages += [*(root / ".github").rglob("*.md"), root / "README.md"]
    known = (
        "--ignore-words-list=anwser,bu,lable,regraded,rouge"  # some stand in examples of mistakes
    )
    found = subprocess.run(
        [sys.executable, "-m", "codespell_lib", known, *(path for path in pages if path.exists())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (0, "")


def _headings(path: Path) -> set[str]:
    """The addresses of the headings of a page, as the repository's pages make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a", "a\nb", False),
        ("took … s", "took 0.3 s", True),
        ("took … s", "took 0.3 s\nand more s", False),
        ("a\n…\nz", "a\nb\nc\nz", True),
        ("a\n…\nz", "a\nz", False),
        ("1.0", "1x0", False),
    ],
)
def test_an_output_is_compared_with_what_is_shown(shown: str, printed: str, same: bool) -> None:
    assert agrees(shown, printed) == same


GUIDE = """# A guide: with blocks of each kind

```json a/b.json
{"a": 1}
```

```console
$ cat a/b.json
{"a": 1}
```

```python
print(1 + 1)  # 2
```
"""


def test_a_block_ends_at_its_fence_and_has_the_name_behind_its_language() -> None:
    blocks = blocks_of(GUIDE)
    assert [(block.language, block.file) for block in blocks] == [
        ("json", "a/b.json"), ("console", ""), ("python", ""),
    ]  # fmt: skip
    assert blocks[0].text == '{"a": 1}\n'


def test_blocks_are_run_in_order_and_another_output_is_found(tmp_path: Path) -> None:
    run_blocks(GUIDE, tmp_path)
    assert (tmp_path / "a" / "b.json").read_text(encoding="utf-8") == '{"a": 1}\n'
    for shown, other in (("# 2\n", "# 3\n"), ("$ cat", "$ wc -l <")):
        with pytest.raises(AssertionError):
            run_blocks(GUIDE.replace(shown, other), tmp_path)
    with pytest.raises(AssertionError):
        run_blocks(GUIDE.replace("print(1", "raise SystemExit(1"), tmp_path)
