"""The process that answers: one a store, started when needed, gone when idle; its death is no answer."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graders_engine.inference import gpu
from graders_engine.inference.client import LocalModels
from graders_engine.inference.environment import environment
from graders_engine.inference.errors import InvalidChat, ModelBusy, ModelUnavailable
from graders_engine.inference.gpu import GPU_IS_TAKEN, gpu_for_training, leave
from graders_engine.inference.options import InferenceOptions
from graders_engine.inference.place import LOCK, LOG, address_in
from graders_engine.inference.served import ServedModel
from tests.inference.conformance import Asked, text_of
from tests.inference.scripted import SCRIPTED, STARTED, TEXT
from tests.inference.waiting import is_free, until, until_free
from tests.jobs.made import Bench

WORDS = "One two three four."


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / TEXT).write_text(WORDS)
    options = InferenceOptions(device="cpu", generator=SCRIPTED)
    model = ServedModel("scripted", tmp_path / "model", 64, "one")
    made = Asked(tmp_path / "store" / "inference", options, model)
    yield made
    leave(made.folder)
    until_free(made.folder)


def on_gpu(asked: Asked) -> Asked:
    return Asked(asked.folder, replace(asked.options, device="cuda"), asked.model)


def say(what: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": what}], "temperature": 0, **more}


def process_of(asked: Asked) -> int:
    return int((asked.folder / LOCK).read_text())


def started(asked: Asked) -> int:
    """How many processes have begun to answer."""
    return len((asked.folder / STARTED).read_text().split())


def test_two_processes_that_start_it_at_once_get_one(asked: Asked, tmp_path: Path) -> None:
    program = f"""
import asyncio
from pathlib import Path
from graders_engine.inference.client import LocalModels
from graders_engine.inference.options import InferenceOptions
from graders_engine.inference.served import ServedModel
async def main():
    options = InferenceOptions(device="cpu", generator={SCRIPTED!r})
    models = LocalModels(Path({str(asked.folder)!r}), options)
    model = ServedModel("scripted", Path({str(asked.model.folder)!r}), 64, "one")
    found = await models.complete(model, {say("go")!r})
    print(found["choices"][0]["message"]["content"])
    await models.aclose()
asyncio.run(main())
"""
    asking = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [one.communicate()[0].strip() for one in asking] == [WORDS] * 3
    assert started(asked) == 1
    assert text_of(asked.greedy()) == WORDS
    assert started(asked) == 1


def test_a_process_that_is_killed_while_it_answers_gives_no_answer_and_the_next_request_another_one(
    asked: Asked,
) -> None:
    assert text_of(asked.greedy()) == WORDS
    first = process_of(asked)

    async def stalled(models: LocalModels) -> None:
        answer = asyncio.ensure_future(models.complete(asked.model, say("stall")))
        await asyncio.to_thread(until, (asked.folder / "stalled").exists)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(ModelUnavailable, match="died before the answer was whole"):
            await answer
        assert text_of(await models.complete(asked.model, say("go"))) == WORDS

    asked.run(stalled)
    assert process_of(asked) != first


def test_a_stream_whose_process_is_killed_does_not_end_as_if_it_were_whole(asked: Asked) -> None:
    async def cut_off(models: LocalModels) -> list[Any]:
        chunks = models.stream(asked.model, say("die"))
        heard = [await anext(chunks)]
        with pytest.raises(ModelUnavailable, match="died before the answer was whole"):
            await anext(chunks)
        return heard

    assert [one["choices"][0]["delta"]["content"] for one in asked.run(cut_off)] == ["Half of"]
    assert text_of(asked.greedy()) == WORDS


def test_a_process_that_is_killed_while_nobody_asks_is_not_missed(asked: Asked) -> None:
    assert text_of(asked.greedy()) == WORDS
    dead = address_in(asked.folder)
    os.kill(process_of(asked), signal.SIGKILL)
    until_free(asked.folder)
    assert text_of(asked.greedy()) == WORDS
    assert dead is not None
    assert not Path(dead.socket).parent.exists()


def test_an_idle_process_ends_and_leaves_nothing_behind(asked: Asked) -> None:
    asked.options = replace(asked.options, idle_s=0.3)
    assert text_of(asked.greedy()) == WORDS
    worker, address = process_of(asked), address_in(asked.folder)
    until_free(asked.folder)
    with pytest.raises(ProcessLookupError):
        until_gone(worker)
    assert address_in(asked.folder) is None
    assert address is not None
    assert not Path(address.socket).parent.exists()
    assert text_of(asked.greedy()) == WORDS


def until_gone(process: int) -> None:
    until(lambda: os.kill(process, 0))  # None as long as it is there


def test_a_process_that_answers_is_not_idle(asked: Asked) -> None:
    asked.options = replace(asked.options, idle_s=0.2)

    async def slow(models: LocalModels) -> dict[str, Any]:
        answer = asyncio.ensure_future(models.complete(asked.model, say("stall")))
        await asyncio.to_thread(until, (asked.folder / "stalled").exists)
        await asyncio.sleep(1)
        (asked.folder / "go on").touch()
        return await answer

    assert text_of(asked.run(slow)) == WORDS
    assert started(asked) == 1


def test_requests_one_after_the_other_while_processes_end_are_all_answered(asked: Asked) -> None:
    asked.options = replace(asked.options, idle_s=0.01)

    async def often(models: LocalModels) -> list[str]:
        found = []
        for number in range(6):
            found.append(text_of(await models.complete(asked.model, say("go"))))
            await asyncio.sleep(0.1 * number)
        return found

    assert asked.run(often) == [WORDS] * 6
    assert started(asked) > 1


def test_a_caller_that_goes_stops_the_generating(asked: Asked) -> None:
    async def go(models: LocalModels) -> None:
        async with aclosing(models.stream(asked.model, say("until gone"))) as chunks:
            async for _ in chunks:
                break

    asked.run(go)
    until((asked.folder / "gone").exists)
    assert text_of(asked.greedy()) == WORDS


def test_a_caller_that_gives_up_a_whole_answer_stops_the_generating(asked: Asked) -> None:
    async def give_up(models: LocalModels) -> None:
        answer = asyncio.ensure_future(models.complete(asked.model, say("stall")))
        await asyncio.to_thread(until, (asked.folder / "stalled").exists)
        answer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answer
        assert text_of(await models.complete(asked.model, say("go"))) == WORDS

    asked.run(give_up)


def test_what_nobody_expects_is_answered_with_its_reason_and_by_another_process_next_time(
    asked: Asked,
) -> None:
    with pytest.raises(ModelUnavailable, match="RuntimeError: nobody expects this"):
        asked.complete(**say("fail"))
    assert text_of(asked.greedy()) == WORDS
    assert started(asked) == 2


def test_a_refusal_of_the_model_comes_with_its_param(asked: Asked) -> None:
    for ask in (asked.complete, asked.chunks):
        with pytest.raises(InvalidChat) as caught:
            ask(response_format={"type": "json_object"})
        assert caught.value.mistakes[0].param == "response_format"


def test_tool_calls_come_whole_and_in_chunks(asked: Asked) -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("one", "two")]
    whole = asked.complete(**say("calls", tools=tools))["choices"][0]
    assert whole["finish_reason"] == "tool_calls"
    assert [call["function"]["name"] for call in whole["message"]["tool_calls"]] == ["one", "two"]
    chunks = asked.chunks(**say("calls", tools=tools))
    calls = [
        call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())
    ]
    assert [(call["index"], call["function"]["name"]) for call in calls] == [(0, "one"), (1, "two")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_other_weights_are_loaded_when_the_identity_is_another_one(asked: Asked) -> None:
    assert text_of(asked.greedy()) == WORDS
    (asked.model.folder / TEXT).write_text("Others.")
    assert text_of(asked.greedy()) == WORDS
    assert (
        text_of(Asked(asked.folder, asked.options, replace(asked.model, identity="two")).greedy())
        == "Others."
    )
    assert started(asked) == 1


def test_a_python_that_is_not_there_is_named(asked: Asked) -> None:
    asked.options = replace(asked.options, python="/no/such/python")
    with pytest.raises(ModelUnavailable, match="/no/such/python: No such file"):
        asked.complete()


def test_a_generator_that_is_not_installed_says_what_to_do(asked: Asked) -> None:
    asked.options = replace(asked.options, generator="no_such_package:Generator")
    with pytest.raises(ModelUnavailable, match=r"No module named 'no_such_package'.*install there"):
        asked.complete()


def test_a_process_that_cannot_start_says_the_end_of_its_log(asked: Asked, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    broken.chmod(0o700)
    asked.options = replace(asked.options, python=str(broken))
    with pytest.raises(ModelUnavailable, match=r"cannot start.*it is broken"):
        asked.complete()


def test_a_process_whose_store_is_removed_ends(asked: Asked) -> None:
    assert text_of(asked.greedy()) == WORDS
    worker = process_of(asked)
    shutil.rmtree(asked.folder.parent)
    with pytest.raises(ProcessLookupError):
        until_gone(worker)


def test_its_folder_is_the_user_s_alone_and_its_environment_has_no_key(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text_of(asked.greedy()) == WORDS
    address = address_in(asked.folder)
    assert address is not None
    for path in (asked.folder, Path(address.socket).parent):
        assert path.stat().st_mode & 0o077 == 0
    for path in (asked.folder / LOG, asked.folder / "address.json"):
        assert path.stat().st_mode & 0o077 == 0
    given = {
        "PATH": "/bin", "CUDA_VISIBLE_DEVICES": "1", "OPENAI_API_KEY": "k", "GRADERS_API_KEY": "k",
        "HF_TOKEN": "k", "VLLM_API_KEY": "k", "ANYTHING": "else",
    }  # fmt: skip
    assert set(environment(given)) == {
        "PATH", "CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE", "PYTHONUNBUFFERED",
    }  # fmt: skip


def test_while_a_job_trains_on_the_gpu_models_do_not_answer(asked: Asked) -> None:
    asked = on_gpu(asked)
    assert text_of(asked.greedy()) == WORDS
    first = process_of(asked)
    with gpu_for_training(asked.folder):
        with pytest.raises(ProcessLookupError):
            until_gone(first)
        with pytest.raises(ModelBusy, match=GPU_IS_TAKEN):
            asked.greedy()
        with pytest.raises(ModelBusy, match=GPU_IS_TAKEN):
            asked.chunks()
        with gpu_for_training(asked.folder):  # several jobs may train
            pass
        with pytest.raises(ModelBusy, match=GPU_IS_TAKEN):
            asked.greedy()
    assert text_of(asked.greedy()) == WORDS


def test_an_answer_in_the_middle_gives_way_to_a_job_and_is_not_taken_for_whole(
    asked: Asked,
) -> None:
    asked = on_gpu(asked)

    async def cut_off(models: LocalModels) -> None:
        whole = asyncio.ensure_future(models.complete(asked.model, say("stall")))
        await asyncio.to_thread(until, (asked.folder / "stalled").exists)
        with gpu_for_training(asked.folder), pytest.raises(ModelBusy, match=GPU_IS_TAKEN):
            await whole
        chunks = models.stream(asked.model, say("until gone"))
        await anext(chunks)
        training = gpu_for_training(asked.folder)
        await asyncio.to_thread(training.__enter__)
        with pytest.raises(ModelBusy, match="was cut off"):
            _ = [chunk async for chunk in chunks]
        training.__exit__(None, None, None)

    asked.run(cut_off)


def test_without_a_gpu_models_answer_while_a_job_trains(asked: Asked) -> None:
    assert text_of(asked.greedy()) == WORDS
    first = process_of(asked)
    with gpu_for_training(asked.folder):
        assert text_of(asked.greedy()) == WORDS
    assert process_of(asked) == first


def test_a_request_whose_process_has_to_leave_is_answered_by_the_next_one(asked: Asked) -> None:
    async def moved(models: LocalModels) -> dict[str, Any]:
        answer = asyncio.ensure_future(models.complete(asked.model, say("stall")))
        await asyncio.to_thread(until, (asked.folder / "stalled").exists)
        await asyncio.to_thread(leave, asked.folder)
        await asyncio.to_thread(until, lambda: started(asked) == 2)
        (asked.folder / "go on").touch()
        return await answer

    assert text_of(asked.run(moved)) == WORDS


def test_a_process_that_does_not_leave_is_killed_before_a_job_trains(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "KILL_S", 0.5)
    monkeypatch.setattr(gpu, "ANSWER_S", 0.2)
    asked = on_gpu(asked)
    assert text_of(asked.greedy()) == WORDS
    os.kill(process_of(asked), signal.SIGSTOP)
    with gpu_for_training(asked.folder):
        assert is_free(asked.folder)


def test_a_job_has_the_gpu_as_long_as_it_trains(asked: Asked, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "store")
    asked = on_gpu(asked)
    assert text_of(asked.greedy()) == WORDS
    job_id = bench.job({"3": "stall"})
    training = bench.supervisor()
    training.look()
    until((bench.place(job_id) / "stalled").exists)
    with pytest.raises(ModelBusy, match=GPU_IS_TAKEN):
        asked.greedy()
    bench.script_is_over(job_id)
    training.close()
    assert bench.finish(job_id).status == "succeeded"
    assert text_of(asked.greedy()) == WORDS
    bench.store.close()


def test_a_store_in_a_deep_folder_is_served(asked: Asked) -> None:
    deep = asked.folder.parent / ("deep" * 40) / "inference"
    asked = Asked(deep, asked.options, asked.model)
    assert text_of(asked.greedy()) == WORDS
    leave(deep)
    until_free(deep)
