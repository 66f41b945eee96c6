"""A run from its creation to its items, in a worker process."""

from __future__ import annotations

import gzip
import json
import threading
import time
from typing import Any

from graders_engine.evals.run.items import OutputItems
from graders_engine.storage.pages import Page
from tests.evals.run.made import (
    Bench,
    completions,
    counts,
    echo,
    jsonl,
    judge,
    row,
    settings_for,
    string_check,
)
from tests.judges.judge_server import (
    Asked,
    Conversation,
    JudgeServer,
    Reply,
    answer,
    responded,
    said,
    spoken,
    verdict,
)


def test_every_criterion_of_a_run_has_its_result(bench: Bench, server: JudgeServer) -> None:
    def script(asked: Asked) -> Reply:
        return verdict("good" if "labels" in asked.text else 0.7)

    server.script = script
    python = "def grade(sample, item): return 0.5 if item['label'] == 'a' else 0.0"
    labels = {"labels": ["good", "bad"], "passing_labels": ["good"]}
    asked_label = [{"role": "user", "content": "labels? {{sample.output_text}}"}]
    criteria = [
        string_check(),
        {
            "type": "text_similarity", "name": "near", "id": "near-1", "pass_threshold": 0.5,
            "evaluation_metric": "fuzzy_match", "input": "{{sample.output_text}}",
            "reference": "{{item.label}}",
        },
        {"type": "python", "name": "code", "id": "code-1", "source": python, "pass_threshold": 0.5},
        judge("score_model", "score", pass_threshold=0.6),
        judge("label_model", "label", input=asked_label, **labels),
    ]  # fmt: skip
    done = bench.completed(criteria, jsonl(row("a"), row("bb", "bc")))
    assert counts(done) == (2, 1, 1, 0)
    passes, fails = bench.items(done)
    assert [one["name"] for one in passes["results"]] == [one["id"] for one in criteria]
    assert [one["type"] for one in passes["results"]] == [one["type"] for one in criteria]
    assert [one["score"] for one in passes["results"]] == [1.0, 1.0, 0.5, 0.7, 1.0]
    assert [one["passed"] for one in fails["results"]] == [False, True, False, True, True]
    assert (passes["status"], fails["status"]) == ("pass", "fail")
    met = [(one["passed"], one["failed"]) for one in done.result["per_testing_criteria_results"]]
    assert met == [(1, 1), (2, 0), (1, 1), (2, 0), (2, 0)]
    shown = passes["results"][3]["sample"]
    assert shown["input"] == [{"role": "user", "content": "Good? a"}]
    assert json.loads(shown["output"][0]["content"])["result"] == 0.7
    assert passes["results"][0]["sample"] is None


def test_a_judges_traffic_is_counted_by_its_model(bench: Bench, server: JudgeServer) -> None:
    server.script = lambda asked: verdict(1.0)
    done = bench.completed([judge("score_model")], jsonl(row("a"), row("b"), row("a")))
    assert done.result["per_model_usage"] == [
        {
            "model_name": "judge-1-2026", "invocation_count": 2, "prompt_tokens": 80,
            "completion_tokens": 18, "cached_tokens": 0, "total_tokens": 98,
        }
    ]  # fmt: skip
    assert len(server.asked) == 2


def test_items_are_sampled_and_their_samples_are_graded(bench: Bench, server: JudgeServer) -> None:
    params = {"temperature": 0.5, "top_p": 0.9, "seed": 7, "max_completion_tokens": 50}
    source = completions(
        {"question": "yes", "label": "yes"},
        {"question": "no", "label": "yes"},
        sampling_params=params,
    )
    done = bench.completed([string_check()], source)
    assert counts(done) == (2, 1, 1, 0)
    assert {key: server.asked[0].body[key] for key in params} == params
    first, second = bench.items(done)
    assert first["sample"]["input"] == [{"role": "user", "content": "yes"}]
    assert second["sample"]["output"] == [{"role": "assistant", "content": "no"}]
    assert first["sample"]["model"] == "judge-1-2026"
    assert first["sample"]["usage"]["total_tokens"] == 49
    assert {key: first["sample"][key] for key in params} == params
    assert (first["datasource_item_id"], second["datasource_item_id"]) == (0, 1)
    assert second["datasource_item"] == {"question": "no", "label": "yes"}
    assert done.result["per_model_usage"][0]["invocation_count"] == 2


def test_tools_and_formats_reach_the_model_and_calls_the_graders(
    bench: Bench, server: JudgeServer
) -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "look", "arguments": '{"at": "x"}'},
    }
    server.script = lambda asked: answer(said(None, finish="tool_calls", tool_calls=[call]))
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": {"type": "object"}}}
    source = completions(
        {"question": "?", "label": "look"},
        sampling_params={"tools": [tool], "response_format": form},
    )
    check = string_check(input="{{sample.output_tools[0].function.name}}")
    done = bench.completed([check], source)
    assert counts(done) == (1, 1, 0, 0)
    assert server.asked[0].body["tools"] == [tool]
    assert server.asked[0].body["response_format"] == form
    sample = bench.items(done)[0]["sample"]
    assert (sample["finish_reason"], sample["output"][0]["tool_calls"]) == ("tool_calls", [call])


def test_an_endpoint_of_responses_is_asked_in_its_form(
    bench: Bench, server: JudgeServer, tmp_path: Any
) -> None:
    config = tmp_path / "graders.toml"
    config.write_text(f'[endpoints.default]\nbase_url = "{server.url}"\napi = "responses"\n')
    bench.settings = settings_for(config=config)
    called = {"type": "function_call", "call_id": "c9", "name": "look", "arguments": "{}"}
    whole = responded(spoken("fine"))
    server.script = lambda asked: answer({**whole, "output": [*whole["output"], called]})
    source = completions(
        {"question": "?", "label": "fine"},
        type="responses",
        sampling_params={
            "max_completion_tokens": 9,
            "reasoning_effort": "low",
            "tools": [{"type": "function", "name": "look", "parameters": {}, "strict": None}],
            "text": {"format": {"type": "json_schema", "name": "it", "schema": {}, "strict": True}},
        },
    )
    done = bench.completed([string_check()], source)
    assert counts(done) == (1, 1, 0, 0)
    asked = server.asked[0]
    assert asked.path.endswith("/responses")
    assert asked.body["input"] == [{"role": "user", "content": "?"}]
    assert asked.body["max_output_tokens"] == 9
    assert asked.body["reasoning"] == {"effort": "low"}
    assert asked.body["tools"] == [
        {"type": "function", "name": "look", "parameters": {}, "strict": True}
    ]
    assert asked.body["text"]["format"]["name"] == "it"
    calls = bench.items(done)[0]["sample"]["output"][0]["tool_calls"]
    assert calls[0]["function"]["name"] == "look"


def test_a_file_may_be_deleted_while_its_run_goes(bench: Bench, server: JudgeServer) -> None:
    file_id = bench.upload([row("a"), row("b")])

    def script(asked: Asked) -> Reply:
        bench.store.files.delete("default", file_id)
        return verdict(1.0)

    server.script = script
    source = {"type": "jsonl", "source": {"type": "file_id", "id": file_id}}
    done = bench.completed([judge("score_model")], source)
    assert not bench.store.files.path(file_id).exists()
    assert [one["datasource_item"] for one in bench.items(done)] == [{"label": "a"}, {"label": "b"}]


def test_the_settings_of_the_model_hold_for_two_runs_apart(
    bench: Bench, server: JudgeServer
) -> None:
    source = completions({"question": "?", "label": "?"}, {"question": "?", "label": "?"})
    for _ in range(2):
        bench.completed([string_check()], source)
    assert len(server.asked) == 4  # equal items and equal runs are sampled, each


def test_a_run_without_rows_is_completed(bench: Bench) -> None:
    done = bench.completed([string_check()], jsonl())
    assert counts(done) == (0, 0, 0, 0)
    assert bench.items(done) == []


def test_progress_is_seen_while_a_run_goes(bench: Bench, server: JudgeServer) -> None:
    gate = threading.Event()

    def held(conversation: Conversation) -> None:
        gate.wait(20)
        verdict(1.0)(conversation)

    def script(asked: Asked) -> Reply:
        if "Good?" not in asked.text:
            return echo(asked)
        return held if "late" in asked.text else verdict(1.0)

    server.script = script
    items = [{"question": "late" if n == 90 else f"q{n}", "label": ""} for n in range(91)]
    run = bench.run([judge("score_model")], completions(*items))
    finishing = threading.Thread(target=bench.finish, args=(run,))
    finishing.start()
    seen: set[tuple[int, int]] = set()
    until = time.monotonic() + 30
    while not any(graded for _, graded in seen) and time.monotonic() < until:
        found = bench.store.runs.find(run.id)
        assert found is not None
        if found.result:
            asked = sum(one["invocation_count"] for one in found.result["per_model_usage"])
            seen.add((asked, counts(found)[0]))
        time.sleep(0.02)
    some = OutputItems(bench.store).page(run, Page(limit=100)).data
    gate.set()
    finishing.join(20)
    assert all(graded < 91 for _, graded in seen)
    assert 0 < len(some) < 91
    assert len(bench.items(run)) == 91


def test_a_compressed_file_is_read_as_its_content(bench: Bench) -> None:
    file_id = bench.upload([])
    content = b"".join(json.dumps(row(f"{n}")).encode() + b"\n" for n in range(300))
    bench.store.files.path(file_id).write_bytes(gzip.compress(content))
    source = {"type": "jsonl", "source": {"type": "file_id", "id": file_id}}
    done = bench.completed([string_check()], source)
    assert counts(done) == (300, 300, 0, 0)
    assert bench.items(done)[299]["datasource_item"] == {"label": "299"}
