"""`graders guide`: a list, Markdown in a pipe, and a page that fits the terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from graders_engine.cli import main as cli
from graders_engine.cli.terminal.pages import page_lines
from graders_engine.guides import text_of, titles

PAGE = """# Pages: an example

A line that is long enough for two, with a [link](judges.md), [judges](judges.md#keys)
and [one](https://example.org) outside. [Here](#pages) is here.

- an item, which is broken below its text and not below its mark
- [code](../code.py)

```python a.py
def grade(sample, item):
    return 1.0
```

| type | what it is for |
|---|---|
| `a` | one short cell |
| `b` | a cell that is too long for what the terminal has, with `x \\| y` |
"""
SHOWN = """# Pages: an example

A line that is long enough for two, with
a link (`graders guide judges`),
`graders guide judges` and one
(https://example.org) outside. Here is
here.

- an item, which is broken below its
  text and not below its mark
- code (../code.py)

    a.py:
    def grade(sample, item):
        return 1.0

type  what it is for
`a`   one short cell
`b`   a cell that is too long for what
        the terminal has, with `x | y`"""


def guide(*arguments: str) -> str:
    ended = CliRunner().invoke(cli.graders, ["guide", *arguments])
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_without_a_name_each_guide_is_listed_with_its_title() -> None:
    listed = " ".join(guide().split())
    for name, title in titles().items():
        assert name in listed
        assert name.startswith("api/") or f"{name} {title}" in listed


def test_into_a_pipe_a_guide_is_its_markdown() -> None:
    assert guide("guides") == text_of("guides")


def test_a_misspelled_name_is_corrected() -> None:
    ended = CliRunner().invoke(cli.graders, ["guide", "guide"])
    assert ended.exit_code == 2
    assert "There is no guide 'guide'." in ended.stderr
    assert "guides" in ended.stderr


def test_a_second_word_is_answered_with_the_guide_among_them() -> None:
    ended = CliRunner().invoke(cli.graders, ["guide", "show", "numbers"])
    assert ended.exit_code == 2
    assert "One guide is printed at a time: `graders guide numbers`." in ended.stderr


def test_a_page_fits_and_its_links_are_commands() -> None:
    assert "\n".join(page_lines(PAGE, 40, colored=False)) == SHOWN


def test_headings_and_the_first_row_of_a_table_are_bold_in_colour() -> None:
    bold = [line for line in page_lines(PAGE, 40, colored=True) if line.startswith("\x1b[1m")]
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in bold] == [
        "Pages: an example",
        "type  what it is for",
    ]


@pytest.mark.parametrize("columns", [80, 100, 120])
@pytest.mark.parametrize("name", titles())
def test_every_guide_fits_and_loses_nothing(name: str, columns: int) -> None:
    text = text_of(name)
    lines = [*page_lines(text, columns, colored=False)]
    words = set(letters(" ".join(lines)))
    assert not [word for word in letters(text) if word not in words]
    prose = [line for line in lines if not line.startswith("  ") and " " in line.strip("- ")]
    assert not [line for line in prose if len(line) > columns]


def letters(text: str) -> Iterator[str]:
    """The words of a text, without the addresses of links, rules of tables, fences and languages."""
    text = re.sub(
        r"\]\([^)\s]+\)", "]", re.sub(r"^```\w*|^\|[-|: ]+$", "", text, flags=re.MULTILINE)
    )
    return (word[0].lower() for word in re.finditer(r"\w+", text))


def in_a_terminal(*arguments: str) -> str:
    """What the command writes to a terminal."""
    import pty

    ours, its = pty.openpty()
    command = [sys.executable, "-m", "graders_engine", *arguments]
    kept = {key: os.environ[key] for key in os.environ if key not in ("COLUMNS", "LINES")}
    environment = {**kept, "PAGER": "cat", "NO_COLOR": "1", "COLUMNS": "80"}
    running = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=its, env=environment, start_new_session=True
    )
    os.close(its)
    read = bytearray()
    try:
        while part := os.read(ours, 65536):
            read += part
    except OSError:  # how Linux says that nobody has the other side any more
        pass
    os.close(ours)
    assert running.wait(timeout=60) == 0
    return read.decode().replace("\r\n", "\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_a_guide_is_a_page() -> None:
    printed = in_a_terminal("guide", "adapters")
    assert printed.rstrip() == "\n".join(page_lines(text_of("adapters"), 80, colored=False))
    assert "```" not in printed
    assert re.search(
        r"^ +grader\.json:\n +\{$", printed, re.MULTILINE
    )  # a block with a file's name
    assert re.search(r"^ +\(needs mlflow\)$", printed, re.MULTILINE)  # and one that needs a package
    assert "[trainers](trainers.md)" in text_of("adapters")
    assert "`graders guide trainers`" in printed


def test_a_link_to_the_folder_above_is_a_command_and_one_within_the_page_is_its_text() -> None:
    page = text_of("api/rewards")
    assert "[adapters](../adapters.md)" in page
    assert "[trl.TRLReward](#trltrlreward)" in page
    printed = " ".join(page_lines(page, 80, colored=False))
    assert "the guide `graders guide adapters`" in printed
    assert "trl.TRLReward ·" in printed


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("contributing", ".github/CONTRIBUTING.md"),
        ("contribute", ".github/CONTRIBUTING.md"),
        ("security-report", ".github/SECURITY.md"),
        ("macos", "`graders guide support`"),
    ],
)
def test_a_name_that_is_no_guide_says_where_that_stands(name: str, where: str) -> None:
    ended = CliRunner().invoke(cli.graders, ["guide", name])
    assert ended.exit_code == 2
    assert where in " ".join(ended.stderr.split())
