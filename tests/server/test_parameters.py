"""Each parameter of each method of the package's files and evals, with values that it cannot have."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from tests.server.evals_of import MATCH, ROWS, client_of, ended, eval_body, evals_of, jsonl
from tests.server.serving import serving

LONG, DIGITS = "x" * 3000, 10**30
FILE = ("a.jsonl", b"{}")
NEAR = {
    "type": "text_similarity", "name": "near", "input": "a", "reference": "b",
    "evaluation_metric": "bleu",
}  # fmt: skip
CREATE_FILE = {"file": FILE, "purpose": "evals"}
IDS = ("EVAL", "RUN", "ITEM", "FILE")
"""Stand for ids; with `OLD` before them for those of what was deleted."""
NOT_FOUND = (404, None, "not_found")
NO_FILE = (404, "id", "not_found")
BELOW, ABOVE = "integer_below_min_value", "integer_above_max_value"
METHODS: dict[str, dict[str, Any]] = {
    "files.create": CREATE_FILE,
    "files.list": {},
    "files.retrieve": {"file_id": "FILE"},
    "files.content": {"file_id": "FILE"},
    "files.delete": {"file_id": "FILE"},
    "evals.create": eval_body(),
    "evals.list": {},
    "evals.retrieve": {"eval_id": "EVAL"},
    "evals.update": {"eval_id": "EVAL"},
    "evals.delete": {"eval_id": "EVAL"},
    "evals.runs.create": {"eval_id": "EVAL", "data_source": jsonl(ROWS)},
    "evals.runs.list": {"eval_id": "EVAL"},
    "evals.runs.retrieve": {"eval_id": "EVAL", "run_id": "RUN"},
    "evals.runs.cancel": {"eval_id": "EVAL", "run_id": "RUN"},
    "evals.runs.delete": {"eval_id": "EVAL", "run_id": "RUN"},
    "evals.runs.output_items.list": {"eval_id": "EVAL", "run_id": "RUN"},
    "evals.runs.output_items.retrieve": {
        "eval_id": "EVAL", "run_id": "RUN", "output_item_id": "ITEM",
    },
}  # fmt: skip
"""What each method is called with, but for the one value that is wrong."""
IN_ALL_LISTS: dict[str, list[tuple[Any, Any, str]]] = {
    "limit": [
        (0, "limit", BELOW), (-DIGITS, "limit", BELOW), (10_001, "limit", ABOVE),
        (DIGITS, "limit", ABOVE), (1.5, "limit", "invalid_type"), ("x", "limit", "invalid_type"),
        (True, "limit", "invalid_type"),
    ],
    "order": [(value, "order", "invalid_value") for value in ("up", 5, "")],
    "after": [(value, "after", "invalid_value") for value in ("x", 5, LONG)],
    "status": [("cancelled", "status", "invalid_value")],
    "order_by": [("name", "order_by", "invalid_value")],
}  # fmt: skip
IN_ALL_OBJECTS: dict[str, list[tuple[Any, Any, str]]] = {
    "name": [(5, "name", "invalid_type"), ([], "name", "invalid_type")],
    "metadata": [
        (5, "metadata", "invalid_type"), ({"a": 5}, "metadata.a", "invalid_type"),
        ({"a": LONG}, "metadata.a", "string_above_max_length"),
        ({LONG: "a"}, "metadata", "string_above_max_length"),
    ],
}  # fmt: skip
OF_ONE: dict[str, list[tuple[Any, Any, str]]] = {
    "file": [(("", b"{}"), "file", "invalid_type")],
    "purpose": [
        (None, "purpose", "missing_required_parameter"),
        *((value, "purpose", "invalid_value") for value in ("", 5, "EVALS", "x" * 1000)),
        *((value, "purpose", "invalid_type") for value in (["evals"], {"a": "evals"})),
    ],
    "expires_after": [
        *((value, "expires_after", "invalid_type") for value in (5, "x")),
        ({"seconds": 3600}, "expires_after[anchor]", "missing_required_parameter"),
        ({"anchor": "created_at"}, "expires_after[seconds]", "missing_required_parameter"),
        *(
            ({"anchor": "created_at", "seconds": value}, "expires_after[seconds]", code)
            for value, code in (
                (1, BELOW), (DIGITS, ABOVE), (3600.5, "invalid_type"), ("x", "invalid_type"),
            )
        ),
    ],
    "data_source_config": [
        (None, "data_source_config", "missing_required_parameter"),
        ("custom", "data_source_config", "invalid_type"),
        ({"type": "custom"}, "data_source_config.item_schema", "missing_required_parameter"),
    ],
    "testing_criteria": [
        (None, "testing_criteria", "missing_required_parameter"),
        ([], "testing_criteria", "empty_array"),
        ([MATCH] * 2000, "testing_criteria", "array_above_max_length"),
        ([MATCH, NEAR], "testing_criteria[1].pass_threshold", "missing_required_parameter"),
    ],
    "data_source": [
        (None, "data_source", "missing_required_parameter"),
        ("jsonl", "data_source", "invalid_type"),
        *(
            ({"type": "jsonl", "source": {"type": "file_id", "id": value}},
             "data_source.source.id", "invalid_value")
            for value in ("", LONG, "../x", "EVAL", "OLDFILE")
        ),
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A call with one wrong value, and how it is answered."""

    method: str
    given: dict[str, Any]
    answer: tuple[int, Any, str]

    def __str__(self) -> str:
        return self.method


_CLIENT = openai.OpenAI(api_key="x")


def parameters_of(method: str) -> set[str]:
    """What the package's method takes, but for what all of them take."""
    found: Any = _CLIENT
    for name in method.split("."):
        found = getattr(found, name)
    names = inspect.signature(found).parameters
    return {name for name in names if not name.startswith("extra_") and name != "timeout"}


def cases() -> Iterator[Case]:
    for method, usual in METHODS.items():
        for name in sorted(parameters_of(method)):
            if name.endswith("_id"):
                missing = NO_FILE if method.startswith("files.") else NOT_FOUND
                for wrong in ("x", LONG, 5, "../evals", f"OLD{usual[name]}", *IDS):
                    if wrong != usual[name]:
                        yield Case(method, {**usual, name: wrong}, missing)
                continue
            known = {**OF_ONE, **IN_ALL_OBJECTS}
            if method.endswith(".list"):
                known = {**IN_ALL_LISTS, "purpose": [("x", "purpose", "invalid_value")]}
            for value, param, code in known[name]:  # a KeyError: the package has a new parameter
                yield Case(method, {**usual, name: value}, (400, param, code))
        for where in ("extra_query", *(("extra_body",) if method in WITH_BODY else ())):
            unknown = (400, "colour", "unknown_parameter")
            yield Case(method, {**usual, where: {"colour": "red"}}, unknown)


WITH_BODY = ("files.create", "evals.create", "evals.update", "evals.runs.create")


def test_each_parameter_is_refused_by_its_name(tmp_path: Path) -> None:
    """Takes some seconds: it sends some 300 requests, and one server of two projects serves all of them."""
    (tmp_path / "graders.toml").write_text('[projects.other]\napi_key_env = "OTHER"\n')
    keys = {"GRADERS_API_KEY": "sk-1", "OTHER": "sk-2"}
    with (
        serving(tmp_path, "--jobs", "store", **keys) as server,
        client_of(server, api_key="sk-1") as client,
        client_of(server, api_key="sk-2") as other,
    ):
        ids = {**made(client), **{f"OLD{name}": one for name, one in made(client).items()}}
        client.files.delete(ids["OLDFILE"])
        client.evals.delete(ids["OLDEVAL"])
        wrong = []
        for case in cases():
            answer = answer_to(client, case, ids)
            if answer != case.answer:
                wrong.append((case.method, str(case.given)[:200], answer, case.answer))
        for method, usual in METHODS.items():
            if any(name.endswith("_id") for name in usual):
                missing = NO_FILE if method.startswith("files.") else NOT_FOUND
                answer = answer_to(other, Case(method, usual, missing), ids)
                if answer != missing:
                    wrong.append((method, "of another project", answer, missing))
        assert not wrong, "\n".join(map(str, wrong))
        assert client.evals.runs.retrieve(ids["RUN"], eval_id=ids["EVAL"]).status == "completed"


def made(client: openai.OpenAI) -> dict[str, str]:
    """A file, an eval, its run and an item of that."""
    evals = evals_of(client)
    one = evals.create(**eval_body())
    run = ended(evals, evals.runs.create(one.id, data_source=jsonl(ROWS)))
    item = next(iter(evals.runs.output_items.list(run.id, eval_id=one.id)))
    file = client.files.create(file=FILE, purpose="evals")
    return {"EVAL": one.id, "RUN": run.id, "ITEM": item.id, "FILE": file.id}


def answer_to(client: openai.OpenAI, case: Case, ids: dict[str, str]) -> Any:
    """The status, the parameter and the code of the error; what was returned where there is none."""
    found: Any = client
    for name in case.method.split("."):
        found = getattr(found, name)
    given = with_ids(case.given, ids)
    try:
        return str(found(**given))[:100]
    except openai.APIStatusError as error:
        if error.type != "invalid_request_error":
            return error.body
        return error.status_code, error.param, error.code


def with_ids(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: with_ids(part, ids) for name, part in value.items()}
    return ids.get(value, value) if isinstance(value, str) else value
