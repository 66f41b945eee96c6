"""What jobs are refused for, each with its parameter; and who may see them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from graders_engine.jobs.training_python import has_package
from graders_engine.server.routes import PREFIXES
from tests.jobs.stores import GRADER, ROWS
from tests.jobs.test_requests import CASES
from tests.jobs.test_requests import body_of as case_body
from tests.server.jobs_of import (
    CONFIG,
    client_of,
    job_body,
    jobs_server,
    lay_out,
    until,
    upload,
)
from tests.server.serving import Server, serving

PROJECTS = '[projects.other]\napi_key_env = "KEY_OTHER"\n'
OWN = {"authorization": "Bearer sk-own"}
REFUSED = [case for case in CASES if "error" in case]
JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("refused")
    lay_out(folder)
    (folder / "graders.toml").write_text(PROJECTS + CONFIG, encoding="utf-8")
    with jobs_server(folder, GRADERS_API_KEY="sk-own", KEY_OTHER="sk-other") as running:
        yield running


@pytest.fixture(scope="module")
def client(shared: Server) -> Iterator[Any]:
    with client_of(shared, api_key="sk-own") as opened:
        yield opened


@pytest.fixture(scope="module")
def failed(client: Any) -> Any:
    """A job of the project `default` that has ended."""
    body = job_body(client, training_file=upload(client, ROWS["dpo"]))
    return until(client, client.fine_tuning.jobs.create(**body).id, "failed")


@pytest.mark.parametrize("case", REFUSED, ids=[case["name"] for case in REFUSED])
def test_a_wrong_request_is_400_with_the_parameter(shared: Server, case: dict[str, Any]) -> None:
    answer = shared.ask("POST", JOBS, case_body(case), OWN)
    assert answer.status == 400
    error = answer.error
    assert (error["param"], error["code"]) == (case["error"]["param"], case["error"]["code"])
    assert error["type"] == "invalid_request_error"


def more_refusals(client: Any) -> dict[str, tuple[dict[str, Any], str, str, str]]:
    """(request, param, code, words) of what only this server knows to be wrong."""
    judge = {
        "type": "score_model", "name": "j", "model": "gpt-4o",
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }  # fmt: skip
    asking = job_body(client, "reinforcement")
    asking["method"]["reinforcement"]["grader"] = judge
    wandb = [{"type": "wandb", "wandb": {"project": "p"}}]
    grader = "method.reinforcement.grader"
    return {
        "no such model": (
            job_body(client, model="gpt-4o-mini"), "model", "model_not_available",
            "There are: 'tiny', 'large', 'supervised-only'.",
        ),
        "a folder": (job_body(client, model="./tiny"), "model", "model_not_available", "cannot be"),
        "another method": (
            job_body(client, "dpo", model="supervised-only"), "model", "model_not_available",
            "graders.toml has it for supervised",
        ),
        "too large": (
            job_body(client, model="large"), "model", "model_too_large",
            "70,368,744,177,664 parameters",
        ),
        "no endpoint for a judge": (asking, grader, "grader_not_available", "gpt-4o"),
        "wandb is not installed": (
            job_body(client, integrations=wandb), "integrations", "integration_not_available",
            "pip install '.[wandb]'",
        ),
        "no such file": (
            job_body(client, training_file="file-none"), "training_file", "invalid_value",
            "there is no file 'file-none'",
        ),
        "a file for something else": (
            job_body(client, validation_file=upload(client, ROWS["supervised"], "evals")),
            "validation_file", "file_wrong_purpose", "purpose 'evals'",
        ),
    }  # fmt: skip


def test_what_this_server_cannot_train_is_refused_at_once(client: Any) -> None:
    if has_package("", "wandb"):
        pytest.skip("wandb is installed here")
    for name, (body, param, code, words) in more_refusals(client).items():
        with pytest.raises(openai.BadRequestError) as refused:
            client.fine_tuning.jobs.create(**body)
        error = refused.value
        assert (error.param, error.code) == (param, code), name
        assert words in str(error), name
        assert "/refused" not in str(error), name


def test_a_job_is_its_projects_alone(shared: Server, client: Any, failed: Any) -> None:
    with client_of(shared, api_key="sk-other") as other:
        jobs: Any = other.fine_tuning.jobs
        for call in (
            jobs.retrieve, jobs.cancel, jobs.pause, jobs.resume, jobs.list_events,
            jobs.checkpoints.list,
        ):  # fmt: skip
            with pytest.raises(openai.NotFoundError):
                call(failed.id)
        assert list(jobs.list()) == []
        with pytest.raises(openai.BadRequestError) as refused:
            jobs.list(after=failed.id)
        assert refused.value.param == "after"
        stolen = job_body(client)
        with pytest.raises(openai.BadRequestError) as refused:
            jobs.create(**stolen)
        assert refused.value.param == "training_file"
    with (
        client_of(shared, api_key="sk-wrong") as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.fine_tuning.jobs.list()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_jobs_are_served_below_each_prefix(shared: Server, failed: Any, prefix: str) -> None:
    path = f"{prefix}/fine_tuning/jobs"
    query = "?api-version=2025-04-01-preview"
    assert shared.ask("GET", path + query, None, OWN).json["data"]
    one = f"{path}/{failed.id}"
    assert shared.ask("GET", one, None, {"api-key": "sk-own"}).json["id"] == failed.id
    for below in ("/events", "/checkpoints"):
        assert shared.ask("GET", one + below + query, None, OWN).json["object"] == "list"
    for change in ("/cancel", "/pause", "/resume"):
        answer = shared.ask("POST", one + change + query, b"", OWN)
        assert (answer.status, answer.error["code"]) == (400, "invalid_state")
        assert "x-should-retry" not in answer.headers


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("?limit=0", "limit"),
        ("?limit=many", "limit"),
        ("?limit=101", "limit"),
        ("?order=asc", "order"),
        ("?after=nothing", "after"),
        ("?metadata[a]=b&metadata[a]=c", "metadata[a]"),
        ("?metadata=a", "metadata"),
        ("?metadata=null&metadata%5Ba%5D=b", "metadata"),
    ],
)
def test_a_list_is_asked_for_with_parameters_that_it_has(
    shared: Server, path: str, param: str
) -> None:
    answer = shared.ask("GET", JOBS + path, None, OWN)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_a_body_that_is_no_json_is_refused(shared: Server) -> None:
    assert shared.ask("POST", JOBS, b"{", OWN).status == 400
    long = shared.ask("POST", JOBS, {"model": "x" * (5 << 20)}, OWN)
    assert (long.status, long.error["code"]) == (413, "body_too_large")
    assert "a job may have at most" in long.error["message"]
    form = {**OWN, "content-type": "text/plain"}
    assert shared.ask("POST", JOBS, b"{}", form).status == 415


def test_a_page_of_another_site_changes_no_job(tmp_path: Path) -> None:
    with jobs_server(tmp_path) as open_to_all:
        path = f"{JOBS}/ftjob-1/cancel"
        headers = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
        form = {"content-type": "text/plain", **headers}
        assert open_to_all.ask("POST", path, b"", form).status in (403, 415)
        assert open_to_all.ask("POST", path, b"").status == 404


def test_without_base_models_the_refusal_says_where_to_list_them(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "store") as bare, client_of(bare) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.fine_tuning.jobs.create(**job_body(client))
        assert refused.value.code == "model_not_available"
        assert "graders.toml lists none in [base_models]" in str(refused.value)


def test_a_grader_is_compiled_with_its_path_in_the_request(shared: Server) -> None:
    grader = {"type": "multi", "name": "m", "graders": {"a": GRADER}, "calculate_output": "a + b"}
    body = case_body({"base": "rft"})
    body["method"]["reinforcement"]["grader"] = grader
    answer = shared.ask("POST", JOBS, body, OWN)
    assert answer.error["param"] == "method.reinforcement.grader.calculate_output"
    assert answer.error["message"].startswith(
        "Invalid 'method.reinforcement.grader.calculate_output'"
    )


def test_a_template_in_a_grader_is_refused_with_its_path_in_the_request(shared: Server) -> None:
    body = case_body({"base": "rft"})
    body["method"]["reinforcement"]["grader"] = {**GRADER, "reference": "{{itme.label}}"}
    answer = shared.ask("POST", JOBS, body, OWN)
    assert answer.error["param"] == "method.reinforcement.grader.reference"
    assert answer.error["message"].startswith("Invalid 'method.reinforcement.grader.reference'")


def test_another_python_is_asked_for_its_packages() -> None:
    assert has_package(sys.executable, "openai")
    assert not has_package(sys.executable, "no_such_package")
    assert not has_package("/no/python", "openai")
