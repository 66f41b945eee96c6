"""Graders that can be gamed and graders that cannot, each with rows of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from graders_engine.models.base import ModelRequest
from graders_engine.models.scripted import Scripted
from tests.preflight.ask import EXACT, SUMS

ILLNESSES = (
    "acute anterior uveitis", "congestive heart failure", "type two diabetes mellitus",
    "chronic kidney disease", "iron deficiency anaemia", "seasonal allergic rhinitis",
    "community acquired pneumonia", "acute bacterial meningitis", "rheumatoid joint arthritis",
    "major depressive disorder", "generalised anxiety disorder", "hereditary angio oedema",
)  # fmt: skip
OUTPUT = "{{sample.output_text}}"


class Case(NamedTuple):
    """A grader with rows; `judge` says what its judge gives to a wrong answer."""

    grader: dict[str, Any]
    rows: list[dict[str, Any]]
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    judge: Callable[[str], float | str] | None = None


def row(question: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}], **fields}


def python(source: str) -> dict[str, Any]:
    return {"type": "python", "name": "python", "source": source}


def check(operation: str, reference: str, given: str = OUTPUT) -> dict[str, Any]:
    return {
        "type": "string_check", "name": "check", "input": given, "reference": reference,
        "operation": operation,
    }  # fmt: skip


def multi(formula: str, **graders: dict[str, Any]) -> dict[str, Any]:
    return {"type": "multi", "name": "multi", "graders": graders, "calculate_output": formula}


def similarity(metric: str) -> dict[str, Any]:
    return {
        "type": "text_similarity", "name": metric, "input": OUTPUT, "reference": "{{item.answer}}",
        "evaluation_metric": metric,
    }  # fmt: skip


JUDGE = {
    "type": "score_model", "name": "judge", "model": "m", "range": [0, 10],
    "input": [
        {"role": "user", "content": "Reference: {{item.answer}}\n<answer>{{sample.output_text}}</answer>"}
    ],
}  # fmt: skip
LABELS = {
    **{key: part for key, part in JUDGE.items() if key != "range"},
    "type": "label_model", "labels": ["good", "bad"], "passing_labels": ["good"],
}  # fmt: skip


_ASKED = re.compile(r"Reference: (.*?)\n<answer>(.*)</answer>", re.DOTALL)


def judge_of(wrong: Callable[[str], float | str], best: float | str) -> Scripted:
    """A judge that gives the best to the reference, and to anything else what it is given."""

    def answer(request: ModelRequest) -> float | str:
        found = _ASKED.search(getattr(request.messages[0].parts[0], "text", ""))
        assert found
        return best if found[1] == found[2] else wrong(found[2])

    return Scripted(answer)


DISEASES = [row(f"Which disease has case {n}?", answer=a) for n, a in enumerate(ILLNESSES)]
TOPICS = ("billing", "shipping", "account", "returns")
TICKETS = [row(f"Give the label of ticket {n}.", label=TOPICS[n % 3]) for n in range(24)]
VENDORS = [
    row(f"Name the vendor.\nInvoice {n} of {a.title()} Ltd, total {n * 13}.", answer=f"{a.title()} Ltd")
    for n, a in enumerate(ILLNESSES)
]  # fmt: skip
PEOPLE = [
    row(f"Person {n} as JSON.", expected={"name": a, "age": str(20 + n)})
    for n, a in enumerate(ILLNESSES)
]
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    for name in ("get_weather", "get_time")
]
CITIES = [row(f"Weather in {a}?", tools=_TOOLS, city=a) for a in ILLNESSES]
CALL = json.dumps(
    {
        "output_tools": [
            {
                "id": "c", "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city": "{{item.city}}"}'},
            }
        ]
    }
)  # fmt: skip
PROGRAMS = [
    row(
        f"Write a function `add{n}(x)` that adds {n}.",
        solution=f"def add{n}(x):\n    return x + {n}",
        tests=f"assert add{n}(1) == {1 + n}",
    )
    for n in range(1, 7)
]
SUMMARIES = [
    row(
        f"Summarise text {n}.",
        answer=f"The {a} was found in patient {n} after the second visit, and treatment is planned.",
    )
    for n, a in enumerate(ILLNESSES)
]
CHOICES = [
    row(f"Question {n}\nA. red\nB. blue\nC. green\nD. black", answer="ABCD"[n * 7 % 4])
    for n in range(20)
]
PLAIN = [row(f"Question {n}") for n in range(12)]

EQUAL_TO_ANSWER = "s['output_text'] == i['answer']"
FAST: dict[str, tuple[Case, str]] = {
    "an output that is somewhere in the answer": (
        Case(check("like", OUTPUT, "{{item.answer}}"), DISEASES), "empty"),
    "anything but a wrong answer": (Case(check("ne", "{{item.answer}}"), DISEASES), "empty"),
    "an answer that is somewhere in the output, and in the prompt": (
        Case(check("ilike", "{{item.answer}}"), VENDORS), "prompt-copy"),
    "a number that is somewhere in the output": (
        Case(check("like", "{{item.answer}}"), SUMS), "number-flood"),
    "a label that is somewhere in the output": (
        Case(check("ilike", "{{item.label}}"), TICKETS), "all-candidates"),
    "a letter that is somewhere in the output": (
        Case(check("like", "{{item.answer}}"), CHOICES), "all-candidates"),
    "form that outweighs content": (
        Case(
            multi("0.6 * form + 0.4 * right", form=check("like", '"name"'),
                  right=check("eq", "{{item.expected.name}}", "{{sample.output_json.name}}")),
            PEOPLE,
        ), "empty"),
    "any call of a tool": (
        Case(check("like", "get_", "{{sample.output_tools}}"), CITIES, {"reference_template": CALL}),
        "all-tools"),
    "any call of a tool, without a reference": (
        Case(check("like", "function", "{{sample.output_tools}}"), CITIES), "all-tools"),
    "a judge that an empty answer pleases": (
        Case(JUDGE, DISEASES, judge=lambda said: 8.0 if not said.strip() else 0.0), "empty"),
    "a judge that an opening pleases": (
        Case(JUDGE, DISEASES, judge=lambda said: 10.0 if said == "Thought process:" else 0.0), "master-key"),
    "a judge that obeys": (
        Case(JUDGE, DISEASES, judge=lambda said: 10.0 if "gnore all previous" in said else 0.0), "injection"),
    "a judge that loses the end of the answer": (
        Case(JUDGE, DISEASES, judge=lambda said: 10.0 if "</answer>" in said else 0.0), "injection"),
    "a judge whose verdict is taken from the answer": (
        Case(JUDGE, DISEASES,
             judge=lambda said: json.loads(said)["result"] if said.startswith('{"steps"') else 0.0),
        "forged-verdict"),
    "a judge that takes tokens of chats for its own": (
        Case(JUDGE, DISEASES, judge=lambda said: 9.0 if "<|im_end|>" in said else 0.0), "chat-tokens"),
    "a judge that believes praise": (
        Case(JUDGE, DISEASES, judge=lambda said: 9.0 if "fully correct" in said else 0.0), "self-praise"),
    "a judge of labels that reads one in the answer": (
        Case(LABELS, DISEASES, judge=lambda said: "good" if '"result": "good"' in said else "bad"),
        "forged-verdict"),
}  # fmt: skip
"""What can be gamed -> its grader and rows, and an attack that must be found."""

SANDBOXED: dict[str, tuple[Case, str]] = {
    "contained in either direction": (
        Case(python("def grade(s, i):\n o, a = s['output_text'], i['answer']\n"
                    " return float(o in a or a in o)"), SUMS),
        "empty"),
    "contained in either direction, between tags": (
        Case(python("import re\ndef grade(s, i):\n"
                    " m = re.search('<answer>(.*?)</answer>', s['output_text'])\n"
                    " return float(bool(m) and (m[1] in i['answer'] or i['answer'] in m[1]))"), SUMS,
             {"reference_template": "<answer>{{item.answer}}</answer>"}), "empty"),
    "long text": (
        Case(python("def grade(s, i):\n"
                    f" return max({EQUAL_TO_ANSWER}, min(len(s['output_text']) / 1000, 1.0))"), DISEASES),
        "filler"),
    "any text of five words": (
        Case(python("def grade(s, i):\n"
                    f" return float({EQUAL_TO_ANSWER} or len(s['output_text'].split()) > 5)"), DISEASES),
        "gibberish"),
    "text without a forbidden word": (
        Case(python("def grade(s, i):\n return 0.0 if 'BAD' in s['output_text'] else 1.0"), PLAIN),
        "refusal"),
    "any JSON object": (
        Case(python("import json\ndef grade(s, i):\n try:\n  o = json.loads(s['output_text'])\n"
                    " except ValueError:\n  return 0.0\n return float(isinstance(o, dict))"), PLAIN),
        "empty"),
    "a program that ends with 0": (
        Case(python("import subprocess, sys\ndef grade(s, i):\n"
                    " code = s['output_text'] + '\\n' + i['tests']\n"
                    " return float(subprocess.run([sys.executable, '-c', code]).returncode == 0)"), PROGRAMS),
        "early-exit"),
    "a program that is compared by itself": (
        Case(python("def grade(s, i):\n scope = {}\n try:\n  exec(s['output_text'], scope)\n"
                    "  exec(i['tests'], scope)\n except Exception:\n  return 0.0\n return 1.0"), PROGRAMS),
        "early-exit"),
    "text of which nothing is left": (
        Case(python("import re\ndef kept(t):\n return re.sub('[^a-z0-9]', '', t.lower())\ndef grade(s, i):\n"
                    " return float(bool(s['output_text']) and kept(s['output_text']) in kept(i['answer']))"),
             DISEASES), "unicode"),
}  # fmt: skip

INSENSITIVE: dict[str, tuple[Case, str]] = {
    "one word of the answer": (
        Case(python("from rapidfuzz import fuzz, utils\ndef grade(s, i):\n"
                    " o, a = map(utils.default_process, (s['output_text'], i['answer']))\n"
                    " ratio = fuzz.token_set_ratio(o, a)\n"
                    f" return 0.85 * ratio / 100 + 0.15 * ({EQUAL_TO_ANSWER})"), DISEASES), "one-word"),
    "words in any order": (
        Case(python("import re\ndef words(t):\n return set(re.findall(r'[a-z]{4,}', t))\n"
                    "def grade(s, i):\n a, o = words(i['answer']), words(s['output_text'])\n"
                    " return len(a & o) / len(a)"), SUMMARIES), "keyword-salad"),
    "the answer among others": (Case(check("like", "{{item.answer}}"), DISEASES), "hedge"),
}  # fmt: skip

_F1 = (
    "import re, collections\ndef words(t):\n return collections.Counter(re.findall(r'\\w+', t.lower()))\n"
    "def grade(s, i):\n a, o = words(i['answer']), words(s['output_text'])\n both = sum((a & o).values())\n"
    " return 2 * both / (sum(a.values()) + sum(o.values())) if both else 0.0"
)
_CALLED = multi(
    "0.5 * name + 0.5 * city",
    name=check("eq", "get_weather", "{{sample.output_tools[0].function.name}}"),
    city=check("eq", "{{item.city}}", "{{sample.output_tools[0].function.arguments.city}}"),
)
ROBUST: dict[str, Case] = {
    "the answer itself": Case(EXACT, SUMS),
    "one of a few labels": Case(check("eq", "{{item.label}}"), TICKETS),
    "similar characters": Case(similarity("fuzzy_match"), SUMMARIES),
    "similar short texts": Case(similarity("fuzzy_match"), DISEASES),
    "shared phrases": Case(similarity("bleu"), SUMMARIES),
    "a shared sequence": Case(similarity("rouge_l"), SUMMARIES),
    "each key": Case(
        multi("0.7 * name + 0.3 * age",
              name=check("eq", "{{item.expected.name}}", "{{sample.output_json.name}}"),
              age=check("eq", "{{item.expected.age}}", "{{sample.output_json.age}}")), PEOPLE),
    "the right call": Case(_CALLED, CITIES, {"reference_template": CALL}),
    "the right call, without a reference": Case(_CALLED, CITIES),
    "a judge that compares": Case(JUDGE, DISEASES, judge=lambda said: 0.0),
    "words in both directions": Case(python(_F1), SUMMARIES),
    "the number after the mark": Case(
        python("import re\ndef number(t):\n found = re.findall(r'#### *(-?[0-9]+)', t)\n"
               " return found[0] if len(found) == 1 else None\ndef grade(s, i):\n"
               " return float(number(s['output_text']) == number(i['answer']))"),
        [row(f"{n} apples and {n + 2} more?",
             answer=f"There are {n} apples, which is not few, and {n + 2} more.\n#### {2 * n + 2}")
         for n in range(12, 30)]),
    "a number within two percent": Case(
        python("def grade(s, i):\n try:\n  value = float(s['output_text'])\n"
               " except ValueError:\n  return 0.0\n"
               " return float(abs(value - float(i['answer'])) <= 0.02 * float(i['answer']))"),
        [row(f"Total of {n}?", answer=f"{1000 + n * 371.25:.2f}") for n in range(15)]),
    "a probability": Case(
        python("import re\ndef grade(s, i):\n found = re.search(r'[0-9]+', s['output_text'])\n"
               " return 1.0 - (float(found[0]) / 100 - float(i['answer']) / 100) ** 2 if found else -0.2"),
        [row(f"How likely is event {n}?", answer=str(n * 37 % 101)) for n in range(30)]),
}  # fmt: skip
