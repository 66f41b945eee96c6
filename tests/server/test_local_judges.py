"""Models of this machine over the routes: two projects, what one shares with the other, and takes back."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from graders_engine.inference.gpu import leave
from graders_engine.storage.store import Store
from tests.inference.echoing import ROOT, answered, lay_out
from tests.inference.tuned import names_of, trained_job
from tests.server.evals_of import ended, eval_body, evals_of
from tests.server.serving import Server, serving

MINE, THEIRS, ADMIN = "sk-mine", "sk-theirs", "sk-admin"
PROJECTS = """
[projects.research]
api_key_env = "KEY_RESEARCH"
"""


@functools.cache
def _client(url: str, key: str) -> openai.OpenAI:
    """One for all: a client that is collected before it is closed leaves a socket open."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


@dataclass
class Site:
    """A server with a model of each of its two projects."""

    server: Server
    store: Path
    mine: str
    checkpoint: str
    theirs: str

    def client(self, key: str = MINE) -> openai.OpenAI:
        return _client(self.server.url, key)

    def grade(self, grader: Any, text: str, key: str = MINE) -> Any:
        run: Any = self.client(key).fine_tuning.alpha.graders.run
        return run(grader=grader, model_sample=text, item={})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    lay_out(folder, PROJECTS)
    with Store(folder / "store") as store:
        mine, checkpoint, _ = names_of(trained_job(store))
        theirs = names_of(trained_job(store, "research"))[0]
    keys = {
        "GRADERS_API_KEY": MINE,
        "KEY_RESEARCH": THEIRS,
        "GRADERS_ADMIN_KEY": ADMIN,
        "PYTHONPATH": str(ROOT),
    }
    given = ("--jobs", str(folder / "store"))
    with serving(folder, *given, **keys) as server:
        yield Site(server, folder / "store", mine, checkpoint, theirs)
    leave(folder / "store" / "inference")


def score(model: str, **more: Any) -> dict[str, Any]:
    asked = [{"role": "user", "content": "How good? {{sample.output_text}}"}]
    return {
        "type": "score_model",
        "name": "rated",
        "model": model,
        "input": asked,
        "range": [0, 10],
        **more,
    }


def label(model: str) -> dict[str, Any]:
    labels = {"labels": ["good", "bad"], "passing_labels": ["good"]}
    asked = [{"role": "user", "content": "Good or bad? {{sample.output_text}}"}]
    return {"type": "label_model", "name": "labelled", "model": model, "input": asked, **labels}


def shared(site: Site, name: str, project: str) -> str:
    permissions: Any = site.client(ADMIN).fine_tuning.checkpoints.permissions
    (made,) = permissions.create(name, project_ids=[project]).data
    return str(made.id)


def take_back(site: Site, name: str, permission: str) -> None:
    permissions: Any = site.client(ADMIN).fine_tuning.checkpoints.permissions
    assert permissions.delete(permission, fine_tuned_model_checkpoint=name).deleted


def source(model: str, **more: Any) -> dict[str, Any]:
    rows = [{"item": {"label": word}} for word in ("cat", "dog")]
    template = [{"role": "user", "content": "Say {{item.label}}"}]
    return {
        "type": "completions",
        "model": model,
        "input_messages": {"type": "template", "template": template},
        "source": {"type": "file_content", "content": rows},
        **more,
    }


def test_the_sdk_runs_an_eval_with_a_tuned_model_and_one_as_its_judge(site: Site) -> None:
    evals = evals_of(site.client())
    made = evals.create(
        **eval_body(
            {"type": "string_check", "name": "same", "operation": "eq",
             "input": "{{sample.output_text}}", "reference": "{{item.label}}"},
            label(site.checkpoint),
        )
    )  # fmt: skip
    run = ended(evals, evals.runs.create(made.id, data_source=source(site.mine)))
    assert run.status == "completed", run.error
    assert run.result_counts.total == 2
    used = {one.model_name: one for one in run.per_model_usage}
    assert {name: one.invocation_count for name, one in used.items()} == {
        site.mine: 2,
        site.checkpoint: 2,
    }
    assert used[site.mine].prompt_tokens == 4
    assert used[site.mine].completion_tokens == 2
    items = list(evals.runs.output_items.list(run.id, eval_id=made.id))
    assert [one.sample.output[0].content for one in items] == ["cat", "dog"]
    assert [one.results[0].passed for one in items] == [True, True]


@pytest.mark.parametrize("model", ["mine", "checkpoint", "tiny"])
def test_a_judge_of_this_machine_gives_numbers_and_labels_over_the_route(
    site: Site, model: str
) -> None:
    name = str(getattr(site, model, model))
    found = site.grade(score(name), "7")
    assert found.reward == 7.0
    assert set(found.model_grader_token_usage_per_model) == {name}
    used = found.model_grader_token_usage_per_model[name]
    assert (used["prompt_tokens"], used["completion_tokens"]) == (3, 4)
    assert site.grade(label(name), "good").reward == 1.0
    assert site.grade(label(name), "bad").reward == 0.0


def test_another_projects_judge_is_refused_as_one_that_does_not_exist(site: Site) -> None:
    found = []
    for name in (site.theirs, "ft:tiny:local:none:12345678"):
        with pytest.raises(openai.BadRequestError) as caught:
            site.grade(score(name), "7")
        body: Any = caught.value.body
        assert (body["param"], body["code"]) == ("grader.model", "model_not_available")
        found.append(body["message"].replace(name, "NAME"))
    assert found[0] == found[1]
    grader = {
        "type": "multi",
        "name": "both",
        "graders": {"a": score(site.theirs)},
        "calculate_output": "a",
    }
    with pytest.raises(openai.BadRequestError) as caught:
        site.grade(grader, "7")
    assert caught.value.param == "grader.graders.a.model"


def test_a_permission_opens_and_closes_a_judge_within_one_request(site: Site) -> None:
    grader = score(site.mine)
    assert site.grade(grader, "7").reward == 7.0
    for text in ("8", "9"):
        permission = shared(site, site.mine, "research")
        assert site.grade(grader, text, THEIRS).reward == float(text)
        take_back(site, site.mine, permission)
        before = len(answered(site.store))
        with pytest.raises(openai.BadRequestError):
            site.grade(grader, text, THEIRS)
        assert site.grade(grader, text).reward == float(text)
        assert len(answered(site.store)) == before + 1


def test_a_batch_with_a_judge_that_is_not_shared_is_refused_whole(site: Site) -> None:
    body = {"grader": score(site.theirs), "rows": [{"model_sample": "1"}, {"model_sample": "2"}]}
    answer = site.server.post(
        "/v1/fine_tuning/alpha/graders/run_batch", body, authorization=f"Bearer {MINE}"
    )
    assert answer.status == 400
    assert answer.error["param"] == "grader.model"


def test_a_run_is_refused_at_once_where_its_model_or_its_judge_is_another_projects(
    site: Site,
) -> None:
    evals = evals_of(site.client())
    made = evals.create(**eval_body())
    with pytest.raises(openai.BadRequestError) as caught:
        evals.runs.create(made.id, data_source=source(site.theirs))
    assert (caught.value.param, caught.value.code) == ("data_source.model", "model_not_available")
    judged = evals.create(**eval_body(score(site.theirs)))
    with pytest.raises(openai.BadRequestError) as caught:
        evals.runs.create(judged.id, data_source=source(site.mine))
    assert "The criterion 'rated' of this eval" in str(caught.value)
    assert "this project may not use it" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"sampling_params": {"reasoning_effort": "low"}}, "data_source.sampling_params.reasoning_effort"),
        (
            {"input_messages": {"type": "template", "template": [
                {"role": "user", "content": {"type": "input_image", "image_url": "{{item.label}}"}}]}},
            "data_source.input_messages.template[0].content.type",
        ),
    ],
)  # fmt: skip
def test_a_run_asks_no_model_of_this_machine_for_what_it_cannot_honour(
    site: Site, more: dict[str, Any], param: str
) -> None:
    evals = evals_of(site.client())
    made = evals.create(**eval_body())
    with pytest.raises(openai.BadRequestError) as caught:
        evals.runs.create(made.id, data_source=source(site.mine, **more))
    assert caught.value.param == param


def test_a_judge_of_this_machine_with_an_effort_or_an_image_is_refused(site: Site) -> None:
    image = [
        {"role": "user", "content": {"type": "input_image", "image_url": "{{sample.output_text}}"}}
    ]
    for grader, what in (
        (score(site.mine, sampling_params={"reasoning_effort": "high"}), "reasoning_effort"),
        ({**score(site.mine), "input": image}, "images"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            site.grade(grader, "7")
        assert what in str(caught.value)
        evals = evals_of(site.client())
        made = evals.create(**eval_body(grader))
        with pytest.raises(openai.BadRequestError) as caught:
            evals.runs.create(made.id, data_source=source(site.mine))
        assert what in str(caught.value)


def test_a_grader_of_a_job_may_ask_the_models_of_its_project_alone(site: Site) -> None:
    client = site.client()
    rows = [{"messages": [{"role": "user", "content": f"word{number}"}]} for number in range(10)]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = client.files.create(file=("rows.jsonl", text), purpose="fine-tune").id

    def create(model: str) -> Any:
        reinforcement: Any = {"grader": score(model)}
        return client.fine_tuning.jobs.create(
            model="tiny", training_file=file, validation_file=file,
            method={"type": "reinforcement", "reinforcement": reinforcement},
        )  # fmt: skip

    with pytest.raises(openai.BadRequestError) as caught:
        create(site.theirs)
    assert caught.value.param == "method.reinforcement.grader"
    assert "this project may not use it" in str(caught.value)
    job = create(site.mine)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
