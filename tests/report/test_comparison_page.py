"""The HTML of `compare` and `diff-graders`: both texts with their difference marked, and nothing but text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from graders_engine import Engine
from graders_engine.cli import main as cli
from graders_engine.dataset.scoring.score import score_file
from graders_engine.report.html.marked import MAX_CHARS, Marked, marked
from graders_engine.report.visible import visible
from tests.dataset.files import write_rows
from tests.report.browser import Page, find_browser, visit
from tests.report.conftest import GRADER, HOSTILE
from tests.report.page_reader import ADDRESSES, Reader

texts = st.text(st.sampled_from("ab {}\n.,é"), max_size=40)


def graders(*arguments: object) -> Result:
    return CliRunner().invoke(cli.graders, list(map(str, arguments)))


def hostile_rows(*, changed: bool) -> list[Any]:
    rows = []
    for number, text in enumerate(HOSTILE):
        item = {"given": "yes", "text": text, "key": number}
        sample = f"not {text} but" if changed else text
        rows.append({"item": item, "model_sample": sample})
        rows.append({"item": {text: 1, "key": number}, "model_sample": sample})
    return rows


def score(folder: Path, name: str, rows: list[Any], grader: Any = GRADER) -> Path:
    out = folder / f"{name}.jsonl"
    with Engine() as engine:
        score_file(engine, grader, write_rows(folder / f"{name}.rows.jsonl", rows), out)
    return out


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    paths = [score(folder, name, hostile_rows(changed=name == "b")) for name in "ab"]
    ended = graders("compare", *paths, "--out", folder / "page.html")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.endswith(f"\ncomparison in {folder / 'page.html'}\n")
    return folder / "page.html"


@pytest.fixture(scope="module")
def read_page(page_file: Path) -> Reader:
    return Reader(page_file.read_text(encoding="utf-8"))


def test_the_page_loads_nothing_and_runs_its_own_script_only(
    page_file: Path, read_page: Reader
) -> None:
    page = page_file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    names = {tag.name for tag in read_page.tags}
    assert not names & {"img", "iframe", "object", "embed", "base", "form"}
    for tag in read_page.tags:
        assert not {"style", "onclick", "onload", "onerror"} & set(tag.attributes)
        for name in ADDRESSES & set(tag.attributes):
            assert tag.attributes[name].startswith("#") or tag.attributes[name] == "data:,"
    policy = next(
        t.attributes["content"] for t in read_page.named("meta") if "http-equiv" in t.attributes
    )
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    for name in ("style", "script"):
        (inside,) = re.findall(f'<{name}(?: type="module")?>(.*?)</{name}>', page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'; " in policy
        assert "url(" not in inside


def test_no_text_becomes_markup_or_hides(page_file: Path, read_page: Reader) -> None:
    page, text = page_file.read_text(encoding="utf-8"), read_page.text()
    assert page.count("<script") == page.count("</script>") == 2
    for part in ('onerror="document.title=1">', "<style>@import"):
        assert part in text
    assert not re.findall(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u2028-\u202e\u2066-\u2069\ud800-\udfff]", page
    )
    for escape in ("\\x00", "\\x1b[31m", "\\u202e", "\\ud800"):
        assert escape in text


def test_sections_headings_and_tables_are_labelled(read_page: Reader) -> None:
    ids = [tag.attributes["id"] for tag in read_page.tags if "id" in tag.attributes]
    assert len(ids) == len(set(ids))
    targets = [tag.attributes["href"][1:] for tag in read_page.named("a")]
    assert set(targets) <= set(ids)
    levels = [int(tag.name[1]) for tag in read_page.tags if re.fullmatch("h[1-6]", tag.name)]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(list(read_page.named("caption"))) == len(list(read_page.named("table")))


def test_the_page_has_the_numbers_that_json_has(tmp_path: Path) -> None:
    paths = [score(tmp_path, name, hostile_rows(changed=name == "b")) for name in "ab"]
    page = tmp_path / "page.html"
    ended = graders("compare", *paths, "--json", "--out", page, "--top", "1")
    found = json.loads(ended.stdout)
    assert len(found["changed_most"]) == 1
    text = Reader(page.read_text(encoding="utf-8")).text()
    for side in ("before", "after"):
        assert f"{found[side]['mean']['value']:.4f}" in text
        assert f"over {found[side]['mean']['rows']} rows" in text
    assert f"{found['difference']['difference']['value']:+.4f}" in text
    # More rows than were printed.
    assert page.read_text(encoding="utf-8").count("data-pair=") > 3


def test_two_versions_of_a_grader_have_a_page_too(tmp_path: Path) -> None:
    source = "def grade(sample, item):\n    return {}\n"
    old, new = (
        json.dumps({"type": "python", "name": "p", "source": source.format(value)})
        for value in ("len(sample['output_text']) / 100", "0.5")
    )
    data = write_rows(tmp_path / "rows.jsonl", [{"item": {}, "model_sample": "some text"}] * 3)
    page = tmp_path / "page.html"
    ended = graders("diff-graders", old, new, "--data", data, "--out", page, "--quiet")
    assert ended.exit_code == 0, ended.output
    read = Reader(page.read_text(encoding="utf-8"))
    assert "some text" in read.text()
    deleted = "".join(text for name, text in read.texts if name == "del")
    assert "len(sample['output_text']) / 100" in deleted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "rows.jsonl"]


def test_the_page_destroys_nothing(tmp_path: Path) -> None:
    paths = [score(tmp_path, name, hostile_rows(changed=False)) for name in "ab"]
    notes = tmp_path / "notes.html"
    notes.write_text("mine")
    linked = tmp_path / "linked.html"
    linked.symlink_to(tmp_path / "a.rows.jsonl")
    for out, reason in (
        (notes, "exists and is not a comparison"),
        (linked, "the data set itself"),
        (tmp_path / "a.jsonl", "name a file that ends in .html"),
        (tmp_path, "name a file that ends in .html"),
        (tmp_path / "no" / "page.html", "cannot be written"),
    ):
        ended = graders("compare", *paths, "--out", out)
        assert ended.exit_code in (1, 2)
        assert reason in ended.stderr
    assert notes.read_text() == "mine"
    assert (tmp_path / "a.rows.jsonl").read_text()
    page = tmp_path / "page.html"
    for _ in range(2):
        assert graders("compare", *paths, "--out", page).exit_code == 0


def test_diff_graders_refuses_a_place_for_the_page_before_it_scores(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.html", hostile_rows(changed=False))
    kept = tmp_path / "kept"
    ended = graders(
        "diff-graders", json.dumps(GRADER), json.dumps(GRADER), "--data", data, "--out", data,
        "--out-dir", kept,
    )  # fmt: skip
    assert ended.exit_code == 1
    assert "is the data set itself: it cannot be the comparison as well" in ended.stderr
    assert not kept.exists()


def test_without_the_data_set_the_page_says_why_it_has_no_texts(tmp_path: Path) -> None:
    rows = [{"item": {}, "model_sample": "some text"}] * 3
    check = {"type": "python", "name": "p", "source": "def grade(sample, item):\n    return {}\n"}
    paths = []
    for name, value in (("a", "1.0"), ("b", "0.0")):
        source = f"def grade(sample, item):\n    return {value}\n"
        data = write_rows(tmp_path / "rows.jsonl", rows)
        paths.append(tmp_path / f"{name}.jsonl")
        with Engine() as engine:
            score_file(engine, {**check, "source": source}, data, paths[-1])
    (tmp_path / "rows.jsonl").unlink()
    page = tmp_path / "page.html"
    assert graders("compare", *paths, "--out", page).exit_code == 0
    text = Reader(page.read_text(encoding="utf-8")).text()
    assert "Texts are missing. The data set cannot be read" in text
    assert "Rewards that changed most" in text


@given(texts, texts)
def test_marks_leave_the_texts_as_they_are_and_mark_only_what_differs(one: str, other: str) -> None:
    before, after = marked(one, other)
    assert (before.text, after.text) == (visible(one), visible(other))

    def common(text: Marked) -> str:
        return "".join(part for part, is_marked in text.parts if not is_marked)

    assert common(before) == common(after)
    assert any(is_marked for _, is_marked in (*before.parts, *after.parts)) == (
        visible(one) != visible(other)
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a b " * 100_000, "b a " * 100_000),
        ("x" * 500_000, "y" * 500_000),
        ("{" * 9000, "}{" * 9000),
    ],
    ids=["words", "one word", "marks"],
)
def test_long_texts_are_cut_before_they_are_compared(one: str, other: str) -> None:
    """Whole, they would take hours."""
    found = marked(one, other)
    assert all(text.is_cut and len(text.text) <= MAX_CHARS for text in found)


@pytest.mark.skipif(find_browser() is None, reason="needs Chromium or Chrome on the PATH")
def test_each_row_opens_with_both_texts_and_what_differs_marked_on_any_screen(
    page_file: Path,
) -> None:
    rows = page_file.read_text(encoding="utf-8").count("data-pair=")

    async def look(page: Page) -> list[Any]:
        await page.evaluate("document.querySelector('[data-pair] a').click()")
        found = []
        for number in range(rows):
            await page.look(1280 if number % 2 else 420, scheme="dark" if number % 3 else "light")
            await page.evaluate("new Promise(done => setTimeout(done, 20))")
            found.append(await page.evaluate(
                "[location.hash, document.querySelector('.drawer .samples-of-both').textContent,"
                " [...document.querySelectorAll('.drawer ins')].map(one => one.textContent).join('|'),"
                " document.documentElement.scrollWidth - innerWidth, document.title, document.scripts.length]"
            ))  # fmt: skip
            await page.press("j")
        await page.press("Escape")
        found.append(await page.evaluate("document.querySelector('.drawer').hidden"))
        return found

    *found, closed = visit(page_file, look)
    assert closed is True
    assert len({address for address, *_ in found}) == rows
    for address, both, inserted, over, title, scripts in found:
        text = HOSTILE[(int(address[1:]) - 1) // 2]
        assert (over, title, scripts) == (0, "a.jsonl and b.jsonl: comparison", 2)
        assert {"not ", " but"} <= set(inserted.split("|")), address
        if text.isascii() and text.isprintable():
            assert text in both


def test_the_page_is_printed_where_it_is_asked_for(tmp_path: Path) -> None:
    paths = [score(tmp_path, name, hostile_rows(changed=False)) for name in "ab"]
    ended = graders("compare", *paths, "--out", "-")
    assert ended.stdout.startswith("<!doctype html>")
    assert "mean reward" in ended.stderr


def test_the_page_does_not_say_in_which_folders_files_are(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    paths = []
    for folder, changed in zip(folders, (False, True), strict=True):
        folder.mkdir()
        paths.append(score(folder, "same", hostile_rows(changed=changed)))
    given = folders[1] / "moved.jsonl"
    (folders[1] / "same.rows.jsonl").rename(given)
    given.write_text("another", encoding="utf-8")
    (folders[0] / "same.rows.jsonl").unlink()
    page = tmp_path / "page.html"
    ended = graders("compare", *paths, "--force", "--data-b", given, "--out", page)
    assert ended.exit_code == 0, ended.output
    text = page.read_text(encoding="utf-8")
    assert "Nothing shows that the rows of a pair are the same" in text
    assert "Texts are missing. moved.jsonl is not the data set of these results" in text
    assert "Texts are missing. The data set cannot be read: same.rows.jsonl" in text
    assert str(tmp_path) not in text
    names = [str(Path(folder.name) / "same.jsonl") for folder in folders]
    assert f"<h1>{names[0]} and {names[1]}</h1>" in text
