"""Paths and names of any script: what is written back reads as the same, and a formula names every word."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from graders_engine.language.formula import Formula
from graders_engine.language.formula_advice import how_to_rename
from graders_engine.language.formula_tokens import is_name
from graders_engine.language.scope import SAMPLE_KEYS, Step, scope_of, spell
from graders_engine.language.template import Template
from graders_engine.report.explain import explain_formula

any_text = st.text(st.characters(codec=None), max_size=8)
telling = st.text("ab .[]|\"'{}\\\n\u200d\u200b\ufeff\u3000-+()?10é\u0301क्", max_size=8)
steps = any_text | telling | st.integers(-99, 99)
word_chars = st.characters(categories=["L", "M", "N"], include_characters="_\u200c\u200d")


@given(st.lists(steps, min_size=1, max_size=4))
@example(["a}}b", "{{", "{{{"])
@example(["strip()", "-1", "a + 1", "a, item", "b"])
@example(["", " ", "a ", '"', "\\", "\ud800"])
def test_a_path_is_written_as_a_template_reads_it(path: list[Step]) -> None:
    for namespace, whole in (("item", path), ("sample", [SAMPLE_KEYS[1], *path])):
        spelled = spell(namespace, tuple(whole))
        [variable] = Template.compile(f"x {{{{ {spelled} }}}} y").variables
        assert (variable.namespace, variable.steps) == (namespace, tuple(whole))


@given(st.text(st.characters(exclude_characters=".[]|\"'{}"), min_size=1, max_size=8))
def test_any_key_without_marks_of_the_language_stands_after_a_dot(key: str) -> None:
    stripped = key.strip()
    if stripped:
        assert (
            Template.compile(f"{{{{item.{key}}}}}").render(
                scope_of({stripped: "v"}, model_sample="")
            )
            == "v"
        )


@given(st.text(word_chars, min_size=1, max_size=6))
def test_a_formula_names_every_key_that_is_a_word(key: str) -> None:
    if not is_name(key):
        assert key.isascii() or not key.strip("\u200c\u200d") or key.isdigit()
        return
    formula = Formula.compile(f"1+{key} * ({key})", [key])
    assert formula.names == (key,)
    assert formula.evaluate({key: 0.5}) == 1.25
    assert explain_formula(formula, {key: 0.5}).filled == "1+0.5 * (0.5)"


@given(any_text, st.lists(any_text, max_size=3))
def test_the_name_that_is_proposed_is_free_and_can_be_named(key: str, others: list[str]) -> None:
    advice = how_to_rename(key, [key, *others])
    name = advice.removeprefix("use letters, digits and _, as in `").removesuffix("`")
    assert is_name(name)
    assert name not in (key, *others)


def test_normal_forms_are_not_mixed_up() -> None:
    for word in ("réponse", "ガイド", "질문", "й"):
        composed, decomposed = (unicodedata.normalize(form, word) for form in ("NFC", "NFD"))
        both = {composed: 0.25, decomposed: 0.5}
        assert Formula.compile(f"{composed} - {decomposed}", both).evaluate(both) == -0.25
