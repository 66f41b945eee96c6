"""Answers of a model that are bound to a response format."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graders_engine.training.bound import Bound, grammar_of, words_of
from graders_engine.training.trainer import TrainingFailed
from graders_engine.training.trl_trainer import TRLTrainer
from tests.training import tiny
from tests.training.jobs import job, prompts, trained

BOOLEAN = {
    "type": "object",
    "properties": {"n": {"type": "boolean"}},
    "required": ["n"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, Any] = {
    "a boolean": BOOLEAN,
    "types, enums and numbers": {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a", 1, None, {"b": [True]}]},
            "share": {"type": "number"},
            "percent": {"type": "number", "minimum": 0, "maximum": 100},
            "count": {"type": "integer", "exclusiveMinimum": -5},
            "name": {"type": ["string", "null"], "maxLength": 4},
            "tens": {"type": "integer", "multipleOf": 10, "minimum": 0, "maximum": 1000},
        },
        "required": ["kind", "share", "percent", "count", "name", "tens"],
        "additionalProperties": False,
    },
    "a list of objects that are referred to": {
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1, "maxItems": 3},
            "answer": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
        },
        "required": ["steps", "answer"],
        "additionalProperties": False,
        "$defs": {
            "step": {
                "type": "object",
                "properties": {"why": {"type": "string", "pattern": "^[a-z]{1,5}$"}},
                "required": ["why"],
                "additionalProperties": False,
            }
        },
    },
    "a tree": {
        "type": "object",
        "properties": {
            "v": {"type": "boolean"},
            "in": {"type": "array", "items": {"$ref": "#"}, "maxItems": 1},
        },
        "required": ["v"],
        "additionalProperties": False,
    },
    "dates": {"type": "array", "items": {"type": "string", "format": "date"}, "minItems": 2, "maxItems": 2},
    "anything in a list": {
        "type": "array",
        "prefixItems": [{"type": "null"}, {"type": "number", "maximum": -1}],
        "items": False,
        "minItems": 2,
    },
}  # fmt: skip


def schema_format(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}}


def refusal(schema: Any) -> str:
    with pytest.raises(ValueError, match=r"json_schema\.schema") as refused:
        grammar_of(schema_format(schema))
    return str(refused.value)


def answers(
    words: Any, model: Any, grammar: str, prompts: list[str], count: int, **more: Any
) -> list[str]:
    """What a model samples for prompts of several lengths, `count` answers each."""
    given = words(prompts, return_tensors="pt", padding=True, padding_side="left")
    length = given["input_ids"].shape[1]
    bound = Bound(words, grammar, len(prompts) * count, length)
    found = model.generate(
        input_ids=given["input_ids"], attention_mask=given["attention_mask"], do_sample=True,
        num_return_sequences=count, logits_processor=[bound], **{"max_new_tokens": 400, **more},
    )  # fmt: skip
    texts: list[str] = words.batch_decode(found[:, length:], skip_special_tokens=True)
    return texts


@pytest.fixture
def model(base: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    return AutoModelForCausalLM.from_pretrained(base)


def test_1000_answers_to_several_schemas_are_json_of_their_schema(
    model: Any, tokenizer: Any
) -> None:
    import jsonschema_rs

    checked = 0
    for schema in SCHEMAS.values():
        grammar = grammar_of(schema_format(schema, strict=True))
        assert grammar is not None
        validator = jsonschema_rs.validator_for(schema, validate_formats=True)
        for text in answers(tokenizer, model, grammar, ["a", "abc"], 84):
            validator.validate(json.loads(text, parse_constant=pytest.fail))
            checked += 1
    assert checked == 1008


@pytest.mark.parametrize(
    "sampling", [{"top_k": 2}, {"top_p": 0.1}, {"temperature": 0.1}, {"min_p": 0.9}]
)
def test_what_narrows_the_sampling_narrows_what_the_grammar_allows(
    model: Any, tokenizer: Any, sampling: dict[str, Any]
) -> None:  # fmt: skip
    grammar = grammar_of(schema_format(BOOLEAN))
    assert grammar is not None
    for text in answers(tokenizer, model, grammar, ["a"], 16, **sampling):
        assert set(json.loads(text)) == {"n"}


def test_one_answer_is_bound_as_many_are_and_what_is_cut_is_the_beginning_of_one(
    model: Any, tokenizer: Any
) -> None:
    grammar = grammar_of({"type": "json_object"})
    assert grammar is not None
    for count in (1, 3):
        for text in answers(tokenizer, model, grammar, ["a"], count, max_new_tokens=20):
            assert text.startswith("{")


def test_the_end_may_come_when_the_grammar_allows_it_and_nothing_else_behind_it(
    base: Path, tokenizer: Any
) -> None:
    import torch

    grammar = grammar_of(schema_format({"type": "integer", "minimum": 0, "maximum": 19}))
    assert grammar is not None
    end, one = tokenizer.eos_token_id, tokenizer("1", add_special_tokens=False)["input_ids"][0]
    bound = Bound(tokenizer, grammar, 2, 1)
    scores = torch.zeros(
        2, len(tokenizer) + 5
    )  # a model may have more columns than there are tokens
    ids = torch.tensor([[end], [end]])

    def allowed() -> list[list[int]]:
        found = bound(ids, scores)
        assert scores.count_nonzero() == 0
        return [row.isfinite().nonzero().flatten().tolist() for row in found]

    digits = sorted(tokenizer("0123456789", add_special_tokens=False)["input_ids"])
    assert allowed() == [digits, digits]
    ids = torch.cat([ids, torch.tensor([[one], [one]])], 1)
    assert allowed() == [sorted([*digits, end])] * 2
    ids = torch.cat([ids, torch.tensor([[end], [one]])], 1)
    assert allowed() == [[end], [end]]
    ids = torch.cat([ids, torch.tensor([[end], [end]])], 1)
    assert allowed() == [[end], [end]]
    with pytest.raises(ValueError, match="3 sequences instead of 2"):
        bound(torch.zeros(3, 1, dtype=torch.long), torch.zeros(3, 262))


UNKNOWN = {"unk_token": "<unk>"}
ENDS = {"eos_token": "</s>", "pad_token": "</s>"}


def pieces(*, fallback: bool) -> Any:
    """A vocabulary as sentencepiece makes it: pieces with blanks in them, and bytes or none."""
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    special = ["<unk>", "<s>", "</s>"]
    names = [*special, *(f"<0x{at:02X}>" for at in range(256) if fallback)]
    names += [*'▁abcdefghijklmnopqrstuvwxyz{}[]":,0123456789-.']
    merges = [("▁", "{"), ("{", '"'), ("▁", "t"), ("r", "u"), ("▁t", "ru"), ("▁tru", "e")]
    names += [first + second for first, second in merges]
    plain = Tokenizer(
        BPE(
            vocab={name: at for at, name in enumerate(names)},
            merges=merges,
            byte_fallback=fallback,
            **UNKNOWN,
        )
    )
    plain.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    back = [decoders.ByteFallback()] if fallback else []
    plain.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), *back, decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    plain.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in special])
    return PreTrainedTokenizerFast(tokenizer_object=plain, **ENDS, **UNKNOWN)


def unigram() -> Any:
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import Unigram
    from transformers import PreTrainedTokenizerFast

    scored = [("<unk>", 0.0), ("</s>", 0.0)]
    scored += [(one, -2.0) for one in '▁abcdefghijklmnopqrstuvwxyz{}[]":,0123456789-.']
    scored += [("▁{", -1.0), ('{"', -1.0), ("▁true", -1.0)]
    plain = Tokenizer(Unigram(scored, unk_id=0))
    plain.pre_tokenizer, plain.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    plain.add_special_tokens(["<unk>", "</s>"])
    return PreTrainedTokenizerFast(tokenizer_object=plain, **ENDS, **UNKNOWN)


@pytest.mark.parametrize(
    "make", [lambda: pieces(fallback=True), lambda: pieces(fallback=False), unigram]
)
def test_vocabularies_of_sentencepiece_are_bound_too(
    base: Path, tmp_path: Path, make: Callable[[], Any]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    words = make()
    made = AutoModelForCausalLM.from_pretrained(tiny.make(tmp_path / "made", words))
    torch.manual_seed(3)
    schema = {
        "type": "object",
        "properties": {**BOOLEAN["properties"], "s": {"type": "string", "maxLength": 6}},  # type: ignore[dict-item]
        "required": ["n", "s"],
        "additionalProperties": False,
    }
    grammar = grammar_of(schema_format(schema))
    assert grammar is not None
    for text in answers(words, made, grammar, ["abc", "a b c"], 32):
        found = json.loads(text)
        assert isinstance(found["n"], bool)
        assert len(found["s"]) <= 6


def test_a_tokenizer_whose_tokens_cannot_be_read_is_refused(base: Path) -> None:
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import WordPiece
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(WordPiece({"<unk>": 0, "</s>": 1, "##b": 2}, **UNKNOWN))
    plain.decoder = decoders.WordPiece()
    words = PreTrainedTokenizerFast(tokenizer_object=plain, **ENDS, **UNKNOWN)
    with pytest.raises(ValueError, match="its tokenizer cannot be read"):
        words_of(words)


def test_text_needs_no_grammar_and_what_is_no_format_is_refused(base: Path) -> None:
    assert grammar_of(None) is grammar_of({"type": "text"}) is None
    refused: list[tuple[dict[str, Any], str]] = [
        ({"type": "xml"}, "`type` must be text"),
        ({"type": "json_schema"}, "`json_schema` must be an object"),
        ({"type": "json_schema", "json_schema": {"name": "a"}}, "`json_schema.schema` is missing"),
    ]
    for given, says in refused:
        with pytest.raises(ValueError, match=says):
            grammar_of(given)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"properties": {"a": {"type": "string", "format": "z"}}}, "schema.properties.a`: Unknown"),
        ({"type": "object", "properties": {"a": {"pattern": "(?=a)", "type": "string"}}}, "look-around"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "required": ["a"],
          "$defs": {"b": {"type": "string", "pattern": "("}}}, "schema.$defs.b`: unclosed group"),
        ({"oneOf": [{"properties": {"a": {}}, "type": "object"}, {"type": "object"}]}, "use `anyOf`"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "minimum (3) is greater than maximum (2)"),
        ({"enum": []}, "Unsatisfiable"),
    ],
    ids=str,
)  # fmt: skip
def test_what_no_grammar_can_keep_is_refused_with_its_place(
    base: Path, schema: Any, says: str
) -> None:
    assert says in refusal(schema)


HOSTILE: dict[str, Any] = {
    "a pattern of a million": {"type": "string", "pattern": "^(a{1000}){1000}$"},
    "patterns that may be left out": {
        "type": "object",
        "properties": {
            f"p{at}": {"type": "string", "pattern": f"^(a{{{at}}}){{900}}$"} for at in range(900, 930)
        },
    },
    "a constant of a megabyte": {"const": "x" * 900_000},
    "many optional keys": {"type": "object", "properties": {f"p{at}": {} for at in range(4_000)}},
    "all combinations": {
        "allOf": [
            {"anyOf": [{"type": "object", "properties": {f"p{at}{of}": {}}} for of in range(2)]}
            for at in range(30)
        ]
    },
    "a multiple of a prime": {"type": "integer", "multipleOf": 1_000_000_007},
    "an intersection of patterns": {
        "allOf": [{"type": "string", "pattern": f".*{one}.{{50}}"} for one in "abcdefgh"]
    },
}  # fmt: skip
CHECK = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from graders_engine.training.bound import Bound, grammar_of, words_of
from graders_engine.training.trainer import TrainingFailed
try:
    grammar_of({"type": "json_schema", "json_schema": {"name": "a", "schema": json.load(sys.stdin)}})
except ValueError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_ends_with_a_sentence_and_takes_little_memory(
    base: Path, name: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK], input=json.dumps(HOSTILE[name]), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    sentence, megabytes = done.stdout.splitlines()
    assert sentence.startswith("Answers cannot be bound to `json_schema.schema")
    assert int(megabytes) < 700


GRADER = {
    "type": "python",
    "name": "n",
    "source": "def grade(sample, item):\n    return float(sample['output_json']['n'])\n",
}


def test_a_job_whose_answers_are_bound_learns_the_right_one_and_has_no_parse_error(
    base: Path, tmp_path: Path
) -> None:
    spec = job(
        base, tmp_path, "reinforcement", prompts(), grader=GRADER, valid=prompts(3),
        response_format=schema_format(BOOLEAN),
        hyperparameters={"n_epochs": 6, "batch_size": 4, "eval_interval": 6, "eval_samples": 2},
    )  # fmt: skip
    found = trained(spec, tmp_path / "kept")
    train = [one for one in found.found if one.split == "train"]
    assert len(train) == 12 * 32
    for one in found.found:
        assert set(json.loads(one.sample)) == {"n"}
        assert one.flags == {}
    rewards = [step.train["reward_mean"] for step in found.steps]
    assert rewards[0] < 0.7
    assert rewards[-1] > 0.9
    assert found.steps[-1].valid["parse_error_mean"] == 0
    assert found.steps[-1].valid["reward_mean"] > 0.9


def test_adapters_are_trained_with_bound_answers_too(base: Path, tmp_path: Path) -> None:
    spec = job(
        base, tmp_path, "reinforcement", prompts(4), grader=GRADER, lora={"r": 4, "alpha": 8},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": BOOLEAN}},
        hyperparameters={"n_epochs": 1, "batch_size": 4},
    )  # fmt: skip
    found = trained(spec, tmp_path / "kept").found
    assert len(found) == 32
    assert all(set(json.loads(one.sample)) == {"n"} for one in found)


def test_a_job_with_a_format_that_cannot_be_bound_fails_with_its_param(
    base: Path, tmp_path: Path
) -> None:
    spec = job(
        base, tmp_path, "reinforcement", prompts(4), grader=GRADER,
        response_format=schema_format({"type": "string", "pattern": "(?=a)"}),
    )  # fmt: skip
    with pytest.raises(TrainingFailed, match="look-around") as refused:
        trained(spec, tmp_path / "kept")
    assert refused.value.code == "invalid_response_format"
    assert refused.value.param == "method.reinforcement.response_format"
    with pytest.raises(TrainingFailed, match="look-around"):
        TRLTrainer().check(spec)
    TRLTrainer().check(replace(spec, response_format=schema_format(BOOLEAN)))
