"""Fine-tuning jobs through the stock `openai` package, trained by a scripted trainer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from graders_engine.jobs.wire import STATES
from tests.jobs.stores import ROWS
from tests.sdks.losing_proxy import losing_proxy
from tests.server.jobs_of import (
    ENDED,
    MODEL,
    SLOW,
    STALLS,
    client_of,
    job_body,
    jobs_server,
    jsonl,
    until,
    upload,
)
from tests.server.serving import Server, eventually


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def trained(folder: Path) -> Iterator[Server]:
    with jobs_server(folder) as running:
        yield running


@pytest.fixture(scope="module")
def client(trained: Server) -> Iterator[Any]:
    with client_of(trained) as opened:
        yield opened


@pytest.fixture(scope="module")
def done(client: Any) -> Any:
    """A reinforcement job that has succeeded."""
    job = client.fine_tuning.jobs.create(
        **job_body(client, "reinforcement", suffix="mine", metadata={"team": "support"})
    )
    assert job.status == "validating_files"
    return until(client, job.id, "succeeded")


def test_the_log_has_the_method_of_the_request_and_that_of_the_training(
    trained: Server, done: Any
) -> None:
    assert done.id
    (created,) = [
        entry
        for entry in trained.log
        if entry.get("job_id") == done.id and entry["path"].endswith("/jobs")
    ]
    assert (created["method"], created["training_method"]) == ("POST", "reinforcement")


def test_a_job_is_created_trained_and_has_all_that_the_sdk_reads(client: Any, done: Any) -> None:
    assert done.object == "fine_tuning.job"
    assert done.model == MODEL
    assert done.fine_tuned_model == f"ft:tiny:local:mine:{done.id.removeprefix('ftjob-')[:8]}"
    assert done.finished_at >= done.created_at
    assert (done.error, done.estimated_finish) == (None, None)
    assert (done.seed, done.metadata) == (7, {"team": "support"})
    assert done.trained_tokens > 0
    assert done.method.type == "reinforcement"
    values = done.method.reinforcement.hyperparameters
    assert (values.n_epochs, values.batch_size, values.eval_interval) == (2, 2, 1)
    assert done.method.reinforcement.grader.name == "match"
    assert done.hyperparameters.n_epochs is None
    names = {client.files.retrieve(one).filename for one in done.result_files}
    assert names == {"step_metrics.csv", "rollouts.jsonl"}
    assert all(
        client.files.retrieve(one).purpose == "fine-tune-results" for one in done.result_files
    )


@pytest.mark.parametrize("method", ["supervised", "dpo"])
def test_the_other_methods_train_too(client: Any, method: str) -> None:
    job = client.fine_tuning.jobs.create(**job_body(client, method))
    ended = until(client, job.id, "succeeded")
    assert ended.method.type == method
    assert getattr(ended.method, method).hyperparameters.batch_size == 2
    if method == "supervised":
        assert ended.hyperparameters.n_epochs == 2
    else:
        assert ended.method.dpo.hyperparameters.beta == 0.1


def test_the_deprecated_hyperparameters_make_a_supervised_job(client: Any) -> None:
    job = client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=upload(client, ROWS["supervised"]),
        hyperparameters={"n_epochs": 3, "batch_size": "auto"},
    )
    assert job.method.supervised.hyperparameters.batch_size == "auto"
    ended = until(client, job.id, "succeeded")
    assert (ended.hyperparameters.n_epochs, ended.hyperparameters.batch_size) == (3, 1)


def test_jobs_are_listed_newest_first_over_pages(client: Any, done: Any) -> None:
    made = [client.fine_tuning.jobs.create(**job_body(client)).id for _ in range(3)]
    first = client.fine_tuning.jobs.list(limit=2)
    assert [job.id for job in first.data] == [made[2], made[1]]
    assert first.has_more
    after = client.fine_tuning.jobs.list(after=made[1], limit=1)
    assert [job.id for job in after.data] == [made[0]]
    every = [job.id for job in client.fine_tuning.jobs.list(limit=2)]
    assert every[:3] == made[::-1]
    assert done.id in every
    assert len(every) == len(set(every))


def test_jobs_are_found_by_their_metadata(client: Any) -> None:
    with_both = client.fine_tuning.jobs.create(
        **job_body(client, metadata={"run": "a b&c", "kind": ""})
    ).id
    with_one = client.fine_tuning.jobs.create(**job_body(client, metadata={"run": "a b&c"})).id
    without = client.fine_tuning.jobs.create(**job_body(client)).id

    def ids(**query: Any) -> list[str]:
        return [job.id for job in client.fine_tuning.jobs.list(**query)]

    assert ids(metadata={"run": "a b&c"}) == [with_one, with_both]
    assert ids(metadata={"run": "a b&c", "kind": ""}) == [with_both]
    assert ids(metadata={"run": "other"}) == []
    null = ids(extra_query={"metadata": "null"})
    assert without in null
    assert not {with_both, with_one} & {*null}
    for query in ({"metadata": "none"}, {"metadata": "null", "metadata[a]": "b"}):
        with pytest.raises(openai.BadRequestError) as refused:
            ids(extra_query=query)
        assert refused.value.param == "metadata"


def test_events_are_listed_newest_first_over_pages(client: Any, done: Any) -> None:
    page = client.fine_tuning.jobs.list_events(done.id, limit=5)
    assert len(page.data) == 5
    assert page.has_more
    events = list(client.fine_tuning.jobs.list_events(done.id, limit=5))
    assert len({event.id for event in events}) == len(events)
    assert all(event.object == "fine_tuning.job.event" for event in events)
    oldest = [event.message for event in reversed(events)]
    assert oldest[0] == f"Created fine-tuning job: {done.id}"
    assert oldest[1].startswith("Validating training file: file-")
    metrics = [event for event in reversed(events) if event.type == "metrics"]
    assert [event.data["step"] for event in metrics] == list(range(1, 13))
    assert all(event.data["total_steps"] == 12 for event in metrics)


def test_checkpoints_are_listed_with_their_names_and_metrics(client: Any, done: Any) -> None:
    found = list(client.fine_tuning.jobs.checkpoints.list(done.id, limit=2))
    assert found
    steps = [one.step_number for one in found]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == 12
    for one in found:
        assert one.object == "fine_tuning.job.checkpoint"
        assert one.fine_tuning_job_id == done.id
        assert (
            one.fine_tuned_model_checkpoint
            == f"{done.fine_tuned_model}:ckpt-step-{one.step_number}"
        )
        assert one.metrics.step == one.step_number
        assert one.metrics.model_extra["valid_reward_mean"] > 0


def test_a_job_is_paused_resumed_and_keeps_its_curve(client: Any) -> None:
    body = job_body(client, "reinforcement", seed=SLOW)
    jobs = client.fine_tuning.jobs
    job = jobs.create(**body)
    until(client, job.id, "running")
    paused = jobs.pause(job.id)
    assert paused.status in ("pausing", "paused")
    until(client, job.id, "paused")
    with pytest.raises(openai.BadRequestError) as refused:
        jobs.pause(job.id)
    assert refused.value.code == "invalid_state"
    assert "The job is paused: only a running or queued job can be paused." in str(refused.value)
    assert jobs.resume(job.id).status in ("queued", "running")
    ended = until(client, job.id, "succeeded")
    metrics = [one.data["step"] for one in jobs.list_events(job.id) if one.type == "metrics"]
    assert metrics == list(range(12, 0, -1))
    for change in (jobs.pause, jobs.resume, jobs.cancel):
        with pytest.raises(openai.BadRequestError) as refused:
            change(ended.id)
        assert refused.value.code == "invalid_state"


def test_a_running_job_is_cancelled_for_good(client: Any) -> None:
    job = client.fine_tuning.jobs.create(**job_body(client, seed=STALLS))
    until(client, job.id, "running")
    cancelled = client.fine_tuning.jobs.cancel(job.id)
    assert cancelled.status == "cancelled"
    assert cancelled.finished_at is not None
    assert cancelled.fine_tuned_model is None
    last = next(iter(client.fine_tuning.jobs.list_events(job.id)))
    assert last.message == "The job is cancelled."


def test_a_job_whose_file_is_bad_fails_with_the_lines(client: Any) -> None:
    rows = [*ROWS["supervised"], {"messages": []}]
    job = client.fine_tuning.jobs.create(**job_body(client, training_file=upload(client, rows)))
    failed = until(client, job.id, "failed")
    assert (failed.error.code, failed.error.param) == ("invalid_training_file", "training_file")
    assert "Line 13: " in failed.error.message


def test_a_file_of_a_job_that_has_not_ended_cannot_be_deleted(client: Any) -> None:
    body = job_body(client, "reinforcement", seed=STALLS)
    job = client.fine_tuning.jobs.create(**body)
    for key in ("training_file", "validation_file"):
        with pytest.raises(openai.BadRequestError) as refused:
            client.files.delete(body[key])
        assert refused.value.code == "file_in_use"
        assert job.id in str(refused.value)
    client.fine_tuning.jobs.cancel(job.id)
    assert client.files.delete(body["training_file"]).deleted


def test_the_same_request_sent_again_is_answered_with_the_job_that_exists(client: Any) -> None:
    body = job_body(client)
    first = client.fine_tuning.jobs.create(**body)
    again = {"x-stainless-retry-count": "1"}
    assert client.fine_tuning.jobs.create(**body, extra_headers=again).id == first.id
    assert client.fine_tuning.jobs.create(**body).id != first.id
    other = client.fine_tuning.jobs.create(**{**body, "seed": 8}, extra_headers=again)
    assert other.id != first.id


def test_a_client_whose_connection_breaks_makes_one_job(trained: Server, client: Any) -> None:
    body = job_body(client, metadata={"lost": "answer"})
    with (
        losing_proxy(trained.url) as lossy,
        openai.OpenAI(base_url=f"{lossy}/v1", api_key="any", max_retries=1) as unlucky,
    ):
        untyped: Any = unlucky
        made = untyped.fine_tuning.jobs.create(**body, extra_headers={"x-lose": "answer"})
    listed = client.fine_tuning.jobs.list(metadata={"lost": "answer"})
    assert [job.id for job in listed] == [made.id]


def test_what_does_not_exist_is_404(client: Any) -> None:
    jobs = client.fine_tuning.jobs
    for call in (
        jobs.retrieve, jobs.cancel, jobs.pause, jobs.resume, jobs.list_events, jobs.checkpoints.list,
    ):  # fmt: skip
        with pytest.raises(openai.NotFoundError) as missing:
            call("ftjob-" + "0" * 24)
        assert missing.value.code == "not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        jobs.list(after="ftjob-" + "0" * 24)
    assert refused.value.param == "after"


def test_every_method_works_without_waiting_too(trained: Server, done: Any) -> None:
    async def use() -> None:
        async with openai.AsyncOpenAI(
            base_url=f"{trained.url}/openai/v1", api_key="any", max_retries=0
        ) as client:
            jobs: Any = client.fine_tuning.jobs
            file = await client.files.create(
                file=("rows.jsonl", jsonl(ROWS["supervised"])), purpose="fine-tune"
            )
            made = await jobs.create(model=MODEL, training_file=file.id, seed=STALLS)
            status = made.status
            while status != "running":
                await asyncio.sleep(0.05)
                status = (await jobs.retrieve(made.id)).status
                assert status not in ENDED
            assert (await jobs.pause(made.id)).status in ("pausing", "paused")
            assert (await jobs.cancel(made.id)).status == "cancelled"
            with pytest.raises(openai.BadRequestError):
                await jobs.resume(made.id)
            assert made.id in [job.id async for job in jobs.list()]
            events = [one.message async for one in jobs.list_events(made.id, limit=2)]
            assert events[-1] == f"Created fine-tuning job: {made.id}"
            found = [one.step_number async for one in jobs.checkpoints.list(done.id, limit=1)]
            assert found[0] == 12

    asyncio.run(use())


def test_the_metrics_count_jobs_by_their_state(trained: Server, done: Any) -> None:
    assert done.status == "succeeded"
    assert trained.metric('graders_fine_tuning_jobs{status="succeeded"}') >= 1
    shown = [trained.metric(f'graders_fine_tuning_jobs{{status="{one}"}}') for one in STATES]
    assert sum(shown) >= 1


def test_a_job_goes_on_while_its_server_is_another_one(tmp_path: Path) -> None:
    with jobs_server(tmp_path) as first, client_of(first) as client:
        job = client.fine_tuning.jobs.create(**job_body(client, "reinforcement", seed=SLOW))
        until(client, job.id, "running")
    with jobs_server(tmp_path) as second, client_of(second) as client:
        until(client, job.id, "succeeded")
        jobs: Any = client.fine_tuning.jobs
        steps = [one.data["step"] for one in jobs.list_events(job.id) if one.type == "metrics"]
        assert steps == list(range(12, 0, -1))


def test_a_new_job_of_a_server_that_died_is_checked_by_the_next_one(tmp_path: Path) -> None:
    with jobs_server(tmp_path) as first, client_of(first) as client:
        first_rows = [*ROWS["supervised"]] * 5_000  # its check takes a while
        job = client.fine_tuning.jobs.create(
            **job_body(client, training_file=upload(client, first_rows), seed=STALLS)
        )
        first.process.kill()
        first.process.wait()
        first.process.returncode = 0
    with jobs_server(tmp_path) as second, client_of(second) as client:
        until(client, job.id, "running")
        client.fine_tuning.jobs.cancel(job.id)
        assert eventually(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "cancelled")
