"""The synonym table compared with nltk's own reader, and the script that makes it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from nltk.corpus import wordnet
from nltk.stem.porter import PorterStemmer

from graders_engine.metrics.wordnet import TABLE, synonyms

SCRIPT = [sys.executable, str(Path(__file__).parents[2] / ".ci" / "build_wordnet.py")]

MANY = int(os.environ.get("GRADERS_WORDS", "1000"))
ENDINGS = "s es ies ses xes zes ves ches shes men ed ing er est x".split()  # noqa: SIM905 - a list of words reads best as text


def nltk_synonyms(form: str) -> set[str]:
    lemmas = (lemma.name() for synset in wordnet.synsets(form) for lemma in synset.lemmas())
    return {name for name in lemmas if "_" not in name}


@pytest.mark.usefixtures("nltk_wordnet")
def test_thousands_of_words_have_the_synonyms_that_nltk_finds() -> None:
    dice = random.Random(3)  # noqa: S311 - words, not secrets
    entries = sorted(set(wordnet.all_lemma_names()))
    irregular = sorted({form for part in "nvar" for form in wordnet._exception_map[part]})
    words = {*dice.sample(entries, MANY), *dice.sample(irregular, MANY)}
    stem = PorterStemmer().stem
    for entry in dice.sample(entries, MANY):
        words.add(entry + dice.choice(ENDINGS))
        words.add(entry[:-1])
        words.add(stem(entry))
    assert len(words) > 4 * MANY
    assert [word for word in words if synonyms(word) != nltk_synonyms(word)] == []


@pytest.mark.usefixtures("nltk_wordnet")
@pytest.mark.parametrize(
    "form",
    [
        *("", "=", "n", "s", "\t", "\n", "a\tn", "a\n", "Paris", "DOGS", "\u0130", "dog\u0301"),
        *("\ud800", "\x00", "!", "~", "\x7f", "new_york", "z" * 5000, "0", "'hood", ".22"),
    ],
)
def test_an_odd_form_has_the_synonyms_that_nltk_finds(form: str) -> None:
    assert synonyms(form) == nltk_synonyms(form)


def test_the_script_makes_the_table_from_wordnets_files(
    wordnet_dictionary: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made.tsv"
    subprocess.run([*SCRIPT, str(wordnet_dictionary), str(made)], check=True)
    assert made.read_bytes() == TABLE.read_bytes()


def test_the_script_without_arguments_prints_its_usage() -> None:
    done = subprocess.run(SCRIPT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "DICT_DIR OUT" in done.stderr


def test_the_table_is_sorted_so_that_it_can_be_searched() -> None:
    forms = [line.split(b"\t")[0] for line in TABLE.read_bytes().splitlines()]
    assert len(forms) > 100_000
    assert forms == sorted(set(forms))


def test_synonyms_need_no_download() -> None:
    assert synonyms("car") >= {"auto", "automobile", "motorcar"}
    assert synonyms("mice") == synonyms("mouse") & synonyms("mice")
    assert synonyms("nosuchword") == frozenset()


def test_a_file_in_another_format_is_refused(tmp_path: Path) -> None:
    for part in ("noun", "verb", "adj", "adv"):
        for name in (f"data.{part}", f"index.{part}", f"{part}.exc"):
            (tmp_path / name).write_text("not WordNet\n")
    ended = subprocess.run(
        [*SCRIPT, str(tmp_path), str(tmp_path / "made.tsv")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "ValueError" in ended.stderr
    assert not (tmp_path / "made.tsv").exists()
