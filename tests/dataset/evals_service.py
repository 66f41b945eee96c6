"""A real HTTP server on loopback that serves hosted evals as the API does: by pages, with a key."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "sk-of-a-test"
UUID = "a2486074-d803-4445-b431-ad2262e85d47"
PAGE = 2
"""Objects in one answer, whatever was asked for, so that everything has several pages."""

USAGE = {"total_tokens": 3, "completion_tokens": 1, "prompt_tokens": 2, "cached_tokens": 0}
CRITERIA: list[dict[str, Any]] = [
    {
        "type": "string_check", "name": "Match", "id": f"Match-{UUID}",
        "input": "{{sample.output_text}}", "reference": "{{item.ground_truth}}", "operation": "eq",
    },
    {
        "type": "text_similarity", "name": "Alike", "id": f"Alike-{UUID}", "pass_threshold": 0.8,
        "input": "{{sample.output_text}}", "reference": "{{item.ground_truth}}",
        "evaluation_metric": "fuzzy_match",
    },
    {
        "type": "python", "name": "min", "id": f"min-{UUID}", "image_tag": None, "pass_threshold": None,
        "source": "def grade(sample, item):\n    return float(item['ground_truth'] in sample['output_text'])",
    },
    {
        "type": "label_model", "name": "Fitting?", "id": f"Fitting?-{UUID}", "model": "gpt-4o",
        "input": [
            {"type": "message", "role": "developer", "content": {"type": "input_text", "text": "Label it."}},
            {"role": "user", "content": {"type": "input_text", "text": "{{sample.output_text}}"}},
        ],
        "labels": ["good", "bad"], "passing_labels": ["good"],
    },
    {
        "type": "score_model", "name": "1st score", "model": "o3", "range": [0.0, 1.0], "pass_threshold": 0.5,
        "input": [{"type": "message", "role": "user", "content": "{{item.input}}: {{sample.output_text}}"}],
        "sampling_params": {"seed": None, "temperature": 1.0, "max_completions_tokens": None},
    },
]  # fmt: skip
UNUSABLE = {"type": "azure_ai_evaluator", "name": "Coherence", "evaluator_name": "coherence"}


def eval_(own_id: str, name: str, criteria: list[dict[str, Any]]) -> dict[str, Any]:
    config = {"type": "custom", "schema": {"type": "object", "properties": {}}}
    return {
        "object": "eval", "id": own_id, "name": name, "created_at": 1, "metadata": {},
        "data_source_config": config, "testing_criteria": criteria,
    }  # fmt: skip


def run(own_id: str, eval_id: str, name: str) -> dict[str, Any]:
    source = {"type": "jsonl", "source": {"type": "file_id", "id": "file-1"}}
    return {
        "object": "eval.run", "id": own_id, "eval_id": eval_id, "name": name, "model": "gpt-4o-mini",
        "created_at": 1, "status": "completed", "data_source": source, "error": None, "metadata": {},
        "per_model_usage": [], "per_testing_criteria_results": [], "report_url": "",
        "result_counts": {"total": 1, "errored": 0, "failed": 0, "passed": 1},
    }  # fmt: skip


def output_item(number: int, run_id: str, eval_id: str, text: str, **sample: Any) -> dict[str, Any]:
    """An output item whose hosted scores are those that the three graders without a judge give."""
    scores = {"Match": float(text == "Markets"), "min": float("Markets" in text)}
    return {
        "object": "eval.run.output_item", "id": f"outputitem_{number}", "created_at": 1,
        "run_id": run_id, "eval_id": eval_id, "status": "pass", "datasource_item_id": number,
        "datasource_item": {"input": f"Headline {number}", "ground_truth": "Markets"},
        "results": [
            {"name": f"{name}-{UUID}", "sample": None, "passed": bool(score), "score": score}
            for name, score in scores.items()
        ],
        "sample": {
            "input": [{"role": "user", "content": f"Headline {number}"}],
            "output": [{"role": "assistant", "content": text, "tool_calls": None}] if text else [],
            "finish_reason": "stop", "model": "gpt-4o-mini", "usage": USAGE, "error": None,
            "temperature": 1.0, "max_completion_tokens": 100, "top_p": 1.0, "seed": 42, **sample,
        },
    }  # fmt: skip


EVALS = [
    eval_("eval_1", "News / topics", [*CRITERIA, UNUSABLE]),
    eval_("eval_2", "../../one grader", CRITERIA[:1]),
    eval_("eval_3", "News / topics", []),
]
RUNS = [
    run("evalrun_1", "eval_1", "mini"),
    run("evalrun_2", "eval_1", "mini"),
    run("evalrun_3", "eval_2", "mini"),
]
ITEMS = [
    *(
        output_item(n, "evalrun_1", "eval_1", text)
        for n, text in enumerate(["Markets", "World", "Markets!", "Markets", ""])
    ),
    output_item(
        5, "evalrun_1", "eval_1", "", error={"code": "server_error", "message": "The model broke"}
    ),
    output_item(6, "evalrun_3", "eval_2", "Markets"),
]


@dataclass
class Service:
    """The server: its address, the requests it got, and the answers it gives before the sound ones."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    first: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    endless: bool = False
    refused: dict[str, int] = field(default_factory=dict)
    """By a part of an address: the status of the answer."""
    on_asked: Callable[[str], None] = lambda path: None

    def answer(
        self, path: str, query: dict[str, list[str]], key: str
    ) -> tuple[int, dict[str, str], bytes]:
        if key != f"Bearer {KEY}":
            return 401, {}, b'{"error": {"message": "Incorrect API key provided."}}'
        if self.first:
            return self.first.pop(0)
        for part, status in self.refused.items():
            if part in path:
                return status, {}, b'{"error": {"message": "It was deleted."}}'
        every = self._listed(path.removeprefix("/v1/").split("/"))
        after = query.get("after", [""])[0]
        ids = [one["id"] for one in every]
        begin = ids.index(after) + 1 if after and not self.endless else 0
        data = every[begin : begin + PAGE]
        more = self.endless or begin + PAGE < len(every)
        page = {"object": "list", "data": data, "first_id": None, "last_id": None, "has_more": more}
        return 200, {}, json.dumps(page).encode()

    def _listed(self, steps: list[str]) -> list[dict[str, Any]]:
        if steps == ["evals"]:
            return EVALS
        if steps[2:] == ["runs"]:
            return [one for one in RUNS if one["eval_id"] == steps[1]]
        return [one for one in ITEMS if (one["eval_id"], one["run_id"]) == (steps[1], steps[3])]


@contextmanager
def service() -> Iterator[Service]:
    state = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            state.on_asked(self.path)
            url = urlsplit(self.path)
            status, headers, content = state.answer(
                url.path, parse_qs(url.query), self.headers.get("Authorization", "")
            )
            self.send_response(status)
            headers = {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                **headers,
            }
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
