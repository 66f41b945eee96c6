"""What attacks know: the grader, the rows, and the form in which an answer is expected."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from graders_engine.graders.base import GraderSpec
from graders_engine.graders.python import PythonGrader
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.preflight.attacks.fill import PLAIN, Field, FieldValues, Fill
from graders_engine.preflight.attacks.ruled_out import is_ruled_out, strict_schema
from graders_engine.preflight.attacks.skeleton import (
    from_paths,
    from_schema,
    from_value,
    texts_in_schema,
)
from graders_engine.preflight.data_file import TrainingRow, normalized
from graders_engine.preflight.grader.response_schema import response_format, schema_in
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.references import ReferenceSource, Sample
from graders_engine.preflight.sample_parts import answer_key, calls_of, json_of, text_of, to_text
from graders_engine.preflight.schemas.form import usable_schema

MAX_CANDIDATES = 20
"""With more different answers, a task has no fixed set of labels."""
_RUNS_CODE = re.compile(r"\bsubprocess\b|(?<![\w.])(?:exec|eval|compile)\(")
_CODE = re.compile(
    r"^\s*(?:def |class |import |from \w+ import|#include|function |return )|```", re.MULTILINE
)
_PARSES_ANSWER = re.compile(r"\bjson\.loads\((?!\s*item\b)")
_TAG = re.compile(r"<([A-Za-z_]\w*)>")
_ANSWER = re.compile(r"(?:[Tt]he )?(?:[Ff]inal )?[Aa]nswer(?: is)?:")
_OPTION = re.compile(r"^\s*(?:[-*]\s+)?\(?([A-Za-z]|\d{1,2})[.):]\s+(\S.*)$", re.MULTILINE)
_THOUGHT = "I have thought about it."


class Tool(NamedTuple):
    """A tool that a model may call.

    Attributes:
        name: its name.
        parameters: the schema of its arguments; None if unknown.
    """

    name: str
    parameters: Any = None


class Frame(NamedTuple):
    """Where a text is put so that the grader finds it.

    Attributes:
        name: as it stands in the name of a variant: `in JSON`.
        put: makes a sample of a text.
    """

    name: str
    put: Callable[[str], str]


class Context:
    """What attacks know.

    Attributes:
        facts: the grader.
        job: the job's request.
        rows: the rows that were drawn.
        references: where right answers come from.
        samples: answers of the base model, which show the form of an answer where no right answer does.
    """

    def __init__(
        self,
        facts: GraderFacts,
        rows: Sequence[TrainingRow],
        references: ReferenceSource | None = None,
        job: Mapping[str, Any] | None = None,
        samples: Sequence[Sample] = (),
    ) -> None:
        self.facts, self.rows, self.references, self.job = facts, rows, references, job
        self.samples = samples
        self._right: dict[int, Sample | None] = {
            row.line: references.sample_of(row.item) if references else None for row in rows
        }

        self._keys = {
            line: answer_key(answer) for line, answer in self._right.items() if answer is not None
        }

    @classmethod
    def of(cls, inputs: Inputs) -> Context | None:
        """The context of these inputs; None without a grader or rows."""
        if inputs.grader is None or inputs.train is None:
            return None
        samples = [given.sample for given in inputs.given]
        return cls(inputs.grader, inputs.train.drawn, inputs.references, inputs.job, samples)

    def right(self, row: TrainingRow) -> Sample | None:
        """The reference answer of a row."""
        return self._right.get(row.line)

    def others(self, row: TrainingRow) -> list[Sample]:
        """The reference answers of other rows that differ from this row's, each once."""
        found: dict[str, Sample] = {}
        at = next((at for at, one in enumerate(self.rows) if one.line == row.line), 0)
        for one in [*self.rows[at + 1 :], *self.rows[:at]]:
            answer, key = self.right(one), self._keys.get(one.line, "")
            if answer is not None and key != self._keys.get(row.line):
                found.setdefault(key, answer)
        return list(found.values())

    def is_right(self, row: TrainingRow, sample: Sample) -> bool:
        """Whether a sample says what the reference answer of a row says."""
        key = self._keys.get(row.line)
        return key is not None and answer_key(sample) == key

    @property
    def judged(self) -> bool:
        """Whether a judge takes part."""
        return bool(self.facts.judges)

    @functools.cached_property
    def sources(self) -> str:
        """All python sources of the grader."""
        parts = (spec.source for _, spec in self.facts.leaves if isinstance(spec, PythonGrader))
        return "\n".join(parts)

    @functools.cached_property
    def reads_tools(self) -> bool:
        """Whether the grader reads tool calls, or may read them while rows or right answers have some."""
        if "output_tools" not in self.facts.channels:
            return False
        return self.facts.names_calls or any(
            calls_of(answer) for answer in self._right.values() if answer
        )

    @functools.cached_property
    def reads_json(self) -> bool:
        """Whether the grader reads JSON, or its right answers are JSON."""
        return self._names_json or self._any_form is not None

    @property
    def reads_json_only(self) -> bool:
        """Whether the grader reads the sample's JSON, and neither its text nor its tool calls."""
        return set(self.facts.channels) == {"output_json"} or (
            _PARSES_ANSWER.search(self.sources) is not None
            and set(self.facts.channels) == {"output_text"}
        )

    @functools.cached_property
    def _parses_text(self) -> bool:
        return re.search(r"\bjson\.loads\b", self.sources) is not None

    @property
    def _names_json(self) -> bool:
        return "output_json" in self.facts.channels or self._parses_text

    @functools.cached_property
    def handles_code(self) -> bool:
        """Whether the right answers look like code, or the grader runs code."""
        if _RUNS_CODE.search(self.sources):
            return True
        texts = [text_of(answer) for answer in self._right.values() if answer]
        return bool(texts) and sum(bool(_CODE.search(text)) for text in texts) * 2 > len(texts)

    @functools.cached_property
    def schema(self) -> Mapping[str, Any] | None:
        """The schema of the job's response format; None if there is none that can be used."""
        return usable_schema(schema_in(response_format(self.job)))

    @functools.cached_property
    def _strict_schema(self) -> Mapping[str, Any] | None:
        strict = strict_schema(response_format(self.job))
        return strict if self.schema is not None else None

    @property
    def is_strict(self) -> bool:
        """Whether the job's response format has a schema that holds for every answer."""
        return self._strict_schema is not None

    def is_ruled_out(self, sample: Sample) -> bool:
        """Whether the job's response format lets no model give this answer."""
        return self._strict_schema is not None and is_ruled_out(sample, self._strict_schema)

    @functools.cached_property
    def _paths(self) -> list[tuple[str | int, ...]]:
        return [
            one.steps[1:]
            for _, one in self.facts.variables
            if one.namespace == "sample" and one.steps[:1] == ("output_json",) and one.steps[1:]
        ]

    @functools.cached_property
    def _any_form(self) -> Any:
        """The JSON of a right answer; else, where the grader reads JSON, that of a sample."""
        samples = self.samples if self._names_json else ()
        answers = (answer for answer in (*self._right.values(), *samples) if answer)
        values = (json_of(text_of(answer)) for answer in answers)
        return next((value for value in values if value is not None), None)

    @functools.cached_property
    def usual(self) -> FieldValues:
        """What right answers that are JSON have in each field; without any, what samples have."""
        right = (answer for answer in self._right.values() if answer)
        given = [value for one in right if (value := json_of(text_of(one))) is not None]
        samples = self.samples if self._names_json else ()
        return FieldValues(
            given or (value for one in samples if (value := json_of(text_of(one))) is not None)
        )

    @functools.cached_property
    def usual_answer(self) -> Sample | None:
        """A JSON answer with the usual value in each field; None where no value is usual."""
        if not isinstance(self._any_form, dict) or not self.usual.repeated:
            return None
        return to_text(self.usual.guess(self._any_form))

    def _fill(self, own: Any, *, guessed: bool) -> Fill:
        if guessed:
            return Fill(self.usual, PLAIN.right, self.is_strict)
        return Fill(PLAIN.usual, FieldValues([] if own is None else [own]), self.is_strict)

    def skeleton(self, row: TrainingRow, *, guessed: bool = True) -> Callable[[Any], Any] | None:
        """Makes JSON of the expected form with a text in each of its texts; None if no JSON is expected.

        Args:
            row: the row that it is for.
            guessed: whether the other fields have the values that right answers usually have; else wrong
                ones, so that none is right by chance.
        """
        if "output_json" not in self.facts.channels and self._any_form is None:
            return None
        own = self.right(row)
        value = json_of(text_of(own)) if own is not None else None
        fill = self._fill(value, guessed=guessed)
        if self.schema is not None:
            return lambda text: from_schema(self.schema, text, fill)
        form = self._any_form if value is None else value
        if form is not None:
            return lambda text: from_value(form, text, fill)
        return (lambda text: from_paths(self._paths, text)) if self._paths else None

    def frames(self, row: TrainingRow, *, guessed: bool) -> list[Frame]:
        """Where a text is put, other than as the whole answer."""
        found = [self._text_frame] if self._text_frame else []
        if (made := self.skeleton(row, guessed=guessed)) is not None:
            found.append(Frame("in JSON", lambda text: to_text(made(text))))
        return found

    @functools.cached_property
    def _text_frame(self) -> Frame | None:
        """Where the python sources look for the answer in a text."""
        tags = [
            tag for tag in dict.fromkeys(_TAG.findall(self.sources)) if f"</{tag}>" in self.sources
        ]
        if tags:
            before = "\n".join(f"<{tag}>{_THOUGHT}</{tag}>" for tag in tags[:-1])
            start, end = f"{before}\n<{tags[-1]}>".lstrip(), f"</{tags[-1]}>"
            return Frame("in tags", lambda text: f"{start}{text}{end}")
        if "boxed" in self.sources:
            return Frame("in a box", lambda text: f"\\boxed{{{text}}}")
        if "####" in self.sources:
            return Frame("after ####", lambda text: f"#### {text}")
        if marker := _ANSWER.search(self.sources):
            return Frame("after Answer:", lambda text: f"{marker[0]} {text}")
        return None

    @functools.cached_property
    def candidates(self) -> list[str]:
        """The labels of the task: few different right answers, each of several rows; else an enumeration."""
        texts = [text_of(one) for one in self._right.values() if one is not None]
        texts = [text for text in texts if text.strip() and json_of(text) is None]
        return _labels(texts) or list(dict.fromkeys(texts_in_schema(self.schema)))[:MAX_CANDIDATES]

    @functools.cached_property
    def candidate_fields(self) -> dict[Field, list[str]]:
        """The labels of each text of a JSON answer, by its field; only of fields that have few."""
        texts = self.usual.texts().items()
        return {field: labels for field, some in texts if (labels := _labels(some))}

    def options_in(self, row: TrainingRow) -> list[tuple[str, str]]:
        """(letter, text) of the options that a prompt lists: `A. red`, `B) blue`, `- C: green`."""
        found = [(found[1], found[2].strip()) for found in _OPTION.finditer(row.prompt)]
        return found if 2 <= len(found) <= MAX_CANDIDATES else []

    def offered(self, row: TrainingRow) -> list[Tool]:
        """The tools that a row, or the job, gives the model."""
        given = row.item.get("tools") if isinstance(row.item, Mapping) else None
        return _tools_in(given) or _tools_in(self.job.get("tools") if self.job else None)

    def tools(self, row: TrainingRow) -> list[Tool]:
        """The tools of a row, or of the job; else those that right answers or the grader name."""
        found = self.offered(row)
        if not found:
            names = [call.name for one in self._right.values() if one for call in calls_of(one)]
            found = [Tool(name) for name in dict.fromkeys(names)][:MAX_CANDIDATES]
        return found or [Tool(name) for name in self._named_tools] or [Tool("search")]

    @functools.cached_property
    def _named_tools(self) -> list[str]:
        names = (_tool_named(spec) for _, spec in self.facts.leaves)
        return list(dict.fromkeys(filter(None, names)))


def _labels(texts: Sequence[str]) -> list[str]:
    """Different texts if they are few and each stands there twice on average; else nothing."""
    different = list({normalized(text): text for text in texts}.values())
    fixed = 2 <= len(different) <= MAX_CANDIDATES and len(different) * 2 <= len(texts)
    return sorted(different) if fixed else []


def _tools_in(value: Any) -> list[Tool]:
    found = []
    for tool in value if isinstance(value, list) else ():
        body = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if isinstance(body, Mapping) and isinstance(body.get("name"), str):
            found.append(Tool(body["name"], body.get("parameters")))
    return found


def _tool_named(spec: GraderSpec) -> str:
    """The name that a comparison wants a called tool to have; empty if it is none."""
    if not isinstance(spec, StringCheckGrader):
        return ""
    for one, other in ((spec.input, spec.reference), (spec.reference, spec.input)):
        steps = one.variables[0].steps if len(one.variables) == 1 else ()
        if "output_tools" in steps[:1] and steps[-1:] == ("name",) and not other.variables:
            return other.source
    return ""
