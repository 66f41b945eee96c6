"""A search finds what is in the texts that a report has, whatever is in them and however it is typed."""

from __future__ import annotations

import gzip
import io
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine import Engine
from graders_engine.dataset.results.digest import digest
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.rows.lines import rows_of
from graders_engine.dataset.rows.shapes import ROWS, SAMPLES
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import InvalidRequest
from graders_engine.report.row_texts import RowKey, RowText, texts_of, whole_texts
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import parse_query
from graders_engine.view.searching import folded, folding, search
from graders_engine.view.searching.excerpt import excerpt_of
from graders_engine.view.searching.fold import fold
from graders_engine.view.searching.terms import Term, parse_terms
from graders_engine.view.selection import Selection
from tests.view.runs_to_open import opened, write_data, write_run

ODD = (
    "EUR 7215", "total\": 72", "a\\nb", "back\\slash", "100 %", "NEAR(a b)", "Straße", "İstanbul", "ﬁn",
    "株式会社", "é", "\u017f", "\n", "\t", "\x00", "\ud800", "😀", "/x/", "'", '"', "  ", "*", "OR", "",
    "ba dereta",
)  # fmt: skip
TYPED = [
    word for odd in ODD for word in odd.split() if word not in ('"', "/x/") and word.isprintable()
]
TEXTS = st.lists(st.sampled_from(ODD), max_size=4).map("".join)
VALUES = st.one_of(TEXTS, st.integers(-9, 9), st.floats(-9, 9), st.booleans(), st.none())
ITEMS = st.dictionaries(
    st.sampled_from(("id", "text", "größe")), VALUES | st.lists(VALUES, max_size=2)
)
MESSAGES = TEXTS.map(
    lambda text: {"choices": [{"message": {"role": "assistant", "content": text}}]}
)
SAMPLES_OF = st.lists(TEXTS | MESSAGES | st.just({"output": 7}), max_size=3)
ROWS_OF = st.fixed_dictionaries(
    {"item": ITEMS | TEXTS, "samples": SAMPLES_OF}, optional={"id": TEXTS, "extra": VALUES}
)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def asked(run: OpenRun, q: str, **others: Any) -> Selection:
    """What a search has found when it has ended."""
    query = parse_query(urlencode({"q": q, **others}))
    while (found := run.rows(query)).search is not None and not found.search.done:
        pass
    return found


def run_of(folder: Path, rows: Sequence[Any], details: str = "") -> Path:
    """A run over rows with lists of samples, each with a result."""
    data = write_data(folder, rows)
    lines = [
        ResultLine(
            line, None, "invalid", {}, {"other_error": details}, 0.0, "row", None, sample, "p"
        )
        for line, row in enumerate(rows, 1)
        for sample in range(1, len(row["samples"]) + 1)
    ]
    return write_run(
        folder, lines, grader={}, data={"path": str(data)}, settings={"shape": "samples"}
    )


def texts_in_the_report(path: Path) -> list[tuple[ResultLine, RowText]]:
    results = digest(path).kept()
    texts = texts_of(results, read_meta(path), file=path)
    assert not texts.why_none
    return sorted(((line, texts.of(line)) for line in results), key=lambda pair: pair[0].line)


@settings(max_examples=15)
@given(
    rows=st.lists(ROWS_OF.filter(lambda row: row["samples"]), min_size=1, max_size=5),
    words=st.lists(st.sampled_from(TYPED), max_size=2),
    cut=st.tuples(st.integers(0, 4), st.integers(1, 6)),
)
def test_rows_with_all_words_are_found_and_no_others(
    rows: list[Any],
    words: list[str],
    cut: tuple[int, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = run_of(tmp_path_factory.mktemp("run"), rows, "A Detail")
    run = opened(OpenRun(path))
    known = texts_in_the_report(path)
    drawn = known[0][1].sample[slice(*cut)].replace('"', "").encode(errors="ignore").decode()
    words = [*words, *([drawn] if drawn else [])]
    q = " ".join(f'"{word}"' if '"' not in word else word for word in words)
    found = {run.name_of(index) for index in asked(run, q).slice(0, 10**6)}

    items = {line.line: text.item for line, text in known if text.item}

    def has(line: ResultLine, text: RowText, word: str) -> bool:
        ids = rows[line.line - 1].get("id")
        places = (
            items.get(line.line, ""),
            text.sample,
            "A Detail",
            "" if ids is None else str(ids),
        )
        return any(word.casefold() in place.casefold() for place in places)

    wanted = {line.name for line, text in known if all(has(line, text, word) for word in words)}
    assert found == wanted
    run.close()


PLAIN = [
    "ChatCompletion(id='x', choices=[])", "<openai.types.X object at 0x7f>", "{'output_text': 'x'}",
    'data: {"choices": [1]}', ' event: x\ndata: {"delta": 1}', '{"object": "chat.completion"}',
    '{"\u006fbject": 1}', "Straße", "[1]", "", "{}", "Responses", "GenerateContentResponse(x)",
    "[TextBlock(text='x')]", "content='a' additional_kwargs={}", "AIMessage(content='x')",
    "[{'role': 'user', 'content': 'x'}]", "Choice(finish_reason='stop')",
]  # fmt: skip
ANY_LINES = st.fixed_dictionaries(
    {},
    optional={
        "item": ITEMS
        | TEXTS
        | st.dictionaries(st.just("n"), st.sampled_from((1e23, 1e-7, -0.0, 1.5))),
        "samples": st.lists(st.sampled_from(PLAIN) | TEXTS | MESSAGES | st.none(), max_size=3)
        | TEXTS,
        "model_sample": st.sampled_from(PLAIN) | TEXTS | MESSAGES,
        "id": VALUES,
        **dict.fromkeys(
            ("sample", "model_samples", "error", "reference_answer"), VALUES | MESSAGES
        ),
    },
)


@settings(max_examples=200)
@given(row=ROWS_OF | ANY_LINES, ascii_only=st.booleans())
def test_the_short_way_to_a_lines_texts_gives_what_the_long_one_does(
    row: Any, ascii_only: bool
) -> None:
    written = json.dumps(row, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    for ref in rows_of(io.BytesIO(written)):
        for shape in (SAMPLES, ROWS):
            plain = folded.plain_texts(ref.row, shape.name)
            refs = shape.split(ref)
            keyed = ((RowKey(ref.line, ref.sample), ref.row) for ref in refs)
            long = [text for _, text in whole_texts(keyed)]
            if plain is not None:
                item, *samples = plain
                assert samples == [text.sample for text in long]
                name = row.get("id") if shape is SAMPLES else None
                assert item == (long[0].item if name is None else f"{long[0].item}\n{name}")


@given(texts=st.lists(TEXTS, max_size=5))
def test_each_text_is_searched_by_itself_whatever_letters_it_has(texts: list[str]) -> None:
    whole = folded.joined(texts)
    ends = np.cumsum([0, *(len(fold(text)) + 1 for text in texts)])
    segment = folded.Segment(whole, ends[:-1].astype(np.int64), np.zeros(0, np.int64))
    assert [segment.one(at) for at in range(len(texts))] == [fold(text) for text in texts]
    for word in {fold(text)[:3] for text in texts if text}:
        assert segment.having(word).tolist() == [word in fold(text) for text in texts]


def write_csv(folder: Path) -> Path:
    path = folder / "data.csv"
    path.write_text('question,model_sample\n"Größe, ""x""",Straße\nzwei,"a\nb"\n', encoding="utf-8")
    return path


def write_gz(folder: Path) -> Path:
    path = folder / "data.jsonl.gz"
    path.write_bytes(gzip.compress(write_data(folder, FLAT).read_bytes()))
    return path


def write_array(folder: Path) -> Path:
    path = folder / "data.json"
    path.write_text(json.dumps(FLAT), encoding="utf-8")
    return path


def write_parquet(folder: Path) -> Path:
    import pyarrow
    import pyarrow.parquet

    path = folder / "data.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(FLAT), path)
    return path


FLAT = [
    {"question": 'Größe, "x"', "model_sample": "Straße"},
    {"question": "zwei", "model_sample": "a\nb"},
]
WAYS = [write_csv, write_gz, write_array, write_parquet]


@pytest.mark.parametrize("write", WAYS, ids=lambda write: write.__name__)
def test_data_of_any_format_can_be_read_and_searched(write: Any, tmp_path: Path) -> None:
    with Engine() as engine:
        score_file(engine, CHECK, write(tmp_path), tmp_path / "results.jsonl")
    run = opened(OpenRun(tmp_path / "results.jsonl"))
    while "being read" in run.data_problem:
        pass
    assert [text.sample for text in run.texts([0, 1])] == ["Straße", "a\nb"]
    assert asked(run, "GRÖSSE STRASSE").slice(0, 9) == [0]
    assert run.row(1).row == {"question": "zwei", "model_sample": "a\nb"}


CHECK = {
    "type": "string_check",
    "name": "check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "x",
}


def test_joined_outputs_can_be_read_and_searched(tmp_path: Path) -> None:
    data = write_data(tmp_path, [{"item": {"q": "one"}}, {"item": {"q": "two"}}])
    outputs = write_data(tmp_path, [{"samples": ["a", "b"]}, {"samples": ["c"]}], "outputs.jsonl")
    with Engine() as engine:
        score_file(engine, CHECK, data, tmp_path / "results.jsonl", outputs=outputs)
    run = opened(OpenRun(tmp_path / "results.jsonl"))
    while "being read" in run.data_problem:
        pass
    assert [run.name_of(index) for index in asked(run, "one b").slice(0, 9)] == ["1#2"]


def counting(monkeypatch: pytest.MonkeyPatch, of: type, method: str) -> list[int]:
    """The segments for which this process calls a method."""
    calls: list[int] = []
    usual = getattr(of, method)

    def count(self: Any, number: int) -> Any:
        calls.append(number)
        return usual(self, number)

    monkeypatch.setattr(of, method, count)
    return calls


MANY = [
    {"item": {"text": f"number {n}"}, "samples": [f"alpha {n}", f"beta {n * n}"]}
    for n in range(200)
]


def test_texts_are_made_searchable_in_other_processes_and_made_again_if_they_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folded, "SEGMENT_BYTES", 1000)
    monkeypatch.setattr(folding, "IN_PLACE", 0)
    built = counting(monkeypatch, folded.FoldedTexts, "build")
    run = opened(OpenRun(run_of(tmp_path, MANY)))
    while (found := asked(run, "/alpha 199$/").search) is None or found.index is not None:
        pass
    assert not built
    (texts,) = tmp_path.glob("cache/graders-engine/view/*/texts")
    assert len(list(texts.iterdir())) > 10
    for at, path in enumerate(texts.iterdir()):
        if at % 2:
            path.unlink()
        else:
            path.write_bytes(b"1234567890123456789")
    assert asked(run, "beta 39601").count == 1
    assert built
    run.close()


def test_a_longer_word_reads_only_the_rows_of_the_shorter_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folded, "SEGMENT_BYTES", 1000)
    monkeypatch.setattr(folding, "IN_PLACE", 10**6)
    read = counting(monkeypatch, folded.FoldedTexts, "read")
    run = opened(OpenRun(run_of(tmp_path, MANY)))
    wide = asked(run, "alpha 19").count
    assert len(set(read)) > 10
    read.clear()
    assert 0 < asked(run, "alpha 198").count < wide
    assert 0 < len(set(read)) < 10
    read.clear()
    assert asked(run, "alpha 198", status="invalid").count
    assert not read
    run.close()


def test_an_expression_that_never_ends_is_stopped_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "CPU_S", 0.2)
    rows = [{"item": {"q": "x"}, "samples": ["a" * 40 + "!"]}]
    run = opened(OpenRun(run_of(tmp_path, rows)))
    found = asked(run, "/(a+)+$/")
    assert found.search is not None
    assert "takes more than 0.2 s" in found.search.problem
    assert asked(run, "/(A{3})+!$/").count == 1
    run.close()


EXPRESSIONS = ["gr(ö|o)sse", "^zahl: [0-9]+$", "STRASSE|nothing", r"\bb\b", "detail [0-9]"]


@pytest.mark.parametrize("pattern", EXPRESSIONS, ids=str)
def test_expressions_are_tried_on_folded_texts_line_by_line(pattern: str, tmp_path: Path) -> None:
    rows = [
        {"item": {"zahl": 7, "text": "Größe"}, "samples": ["Straße", "a b"]},
        {"item": {"zahl": "x"}, "samples": ["c"]},
    ]
    path = run_of(tmp_path, rows, "Detail 5")
    run = opened(OpenRun(path))
    tried = re.compile(pattern.casefold(), re.MULTILINE)
    wanted = {
        line.name
        for line, text in texts_in_the_report(path)
        if any(tried.search(each.casefold()) for each in (text.item, text.sample, "Detail 5"))
    }
    found = asked(run, f"/{pattern}/")
    assert {run.name_of(index) for index in found.slice(0, 9)} == wanted
    assert found.search is not None
    assert not found.search.problem
    run.close()


def test_a_search_that_nobody_wants_ends_and_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "UNWANTED_S", -1.0)
    run = opened(OpenRun(run_of(tmp_path, MANY)))
    found = asked(run, "alpha")
    assert found.search is not None
    assert "stopped" in found.search.problem
    monkeypatch.undo()
    assert asked(run, "alpha").count == 200
    run.close()


def test_what_is_typed_is_read_as_words_phrases_and_expressions() -> None:
    typed = r'Eur "zwei  Wörter" "offen b'
    assert parse_terms(typed) == (Term(b"eur"), Term(fold("zwei  wörter")), Term(b"offen b"))
    assert parse_terms(r"/a b\/c/ /usr/bin /x") == (
        Term(pattern=r"a b\/c"),
        Term(b"/usr/bin"),
        Term(b"/x"),
    )
    assert parse_terms('"total": 72 ""') == (Term(b'"total":'), Term(b"72"))
    assert parse_terms("  ") == ()
    with pytest.raises(InvalidRequest, match="no regular expression"):
        parse_terms("/(/")
    with pytest.raises(InvalidRequest, match="at most 20 words"):
        parse_terms(" ".join(map(str, range(30))))


@given(before=TEXTS, word=st.sampled_from([each for each in ODD if each.strip()]), after=TEXTS)
def test_an_excerpt_marks_what_was_searched_for(before: str, word: str, after: str) -> None:
    text = RowText(sample=before * 9 + word + after * 9)
    found = excerpt_of(text, [Term(fold(word))])
    assert found.part == "sample"
    assert found.marks
    for start, end in found.marks:
        marked = found.text[start:end].casefold()
        assert re.sub(r"\s", " ", word.casefold()) in marked or word.casefold() in marked
    assert len(found.text.splitlines()) == 1


def test_texts_say_why_they_are_missing_while_numbers_and_filters_stay(tmp_path: Path) -> None:
    path = run_of(tmp_path, MANY, "A Detail")
    data, moved = tmp_path / "data.jsonl", tmp_path / "moved.jsonl"
    data.rename(moved)
    run = opened(OpenRun(path))
    assert "--data" in run.data_problem
    assert run.rows(parse_query("status=invalid")).count == 400
    found = asked(run, "a detail")
    assert found.count == 400
    assert found.search is not None
    assert "Only the flags' details were searched" in found.search.problem
    there = opened(OpenRun(path, moved))
    assert there.texts([0])[0].sample == "alpha 0"
    with moved.open("ab") as file:
        file.write(b"{}\n")
    time.sleep(1.1)  # it is looked at once a second
    assert (
        "changed" in there.data_problem
        or "different" in there.data_problem
        or not there.data_problem
    )
