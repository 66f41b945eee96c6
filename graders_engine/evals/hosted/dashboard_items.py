"""Lines of the file that the dashboard downloads, as the output items that the API answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.evals.hosted.export import OUTPUT_ITEM
from graders_engine.language import strict_json

_COUNTS = ("total_tokens", "completion_tokens", "prompt_tokens", "cached_tokens")
_PARAMETERS = ("temperature", "top_p", "seed", "max_completion_tokens")


def made_id(kind: str, *parts: Any) -> str:
    """An id for what has none: the same one for the same parts, so that importing it again finds it.

    Args:
        kind: what the id begins with.
        parts: JSON values.
    """
    digest = hashlib.blake2b(strict_json.encode(list(parts)), digest_size=16)
    return f"{kind}_{digest.hexdigest()}"


def output_item(line: Mapping[str, Any], eval_id: str, created_at: int) -> dict[str, Any]:
    """The output item that a line of the dashboard's download stands for.

    Args:
        line: `run_id`, `data_source_idx`, `item`, and what there is of `sample`, `grades`, `passes`.
        eval_id: of the run's eval.
        created_at: seconds since 1970; the line does not say it.
    """
    results = [*_results(line)]
    sample = _sample(line.get("sample"))
    number = line["data_source_idx"]
    return {
        "object": OUTPUT_ITEM,
        "id": made_id("outputitem", dict(line)),
        "created_at": created_at,
        "run_id": line["run_id"],
        "eval_id": eval_id,
        "status": _status(results, failed=sample["error"] is not None),
        "datasource_item_id": number,
        "datasource_item": line["item"],
        "results": results,
        "sample": sample,
    }


def _results(line: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    grades, passes, samples = (
        part if isinstance(part, Mapping) else {}
        for part in (line.get("grades"), line.get("passes"), line.get("grader_samples"))
    )
    for name in dict.fromkeys([*grades, *passes]):
        yield {
            "name": name,
            "score": grades.get(name),
            "passed": passes.get(name),
            "sample": samples.get(name),
        }


def _status(results: list[dict[str, Any]], *, failed: bool) -> str:
    if not results:
        return "error" if failed else ""
    passed = [result["passed"] for result in results]
    if None in passed:
        return "error"
    return "pass" if all(passed) else "fail"


def _sample(given: Any) -> dict[str, Any]:
    sample = given if isinstance(given, Mapping) else {}
    parameters = sample.get("sampled_model_params")
    parameters = parameters if isinstance(parameters, Mapping) else {}
    usage = sample.get("token_usage")
    usage = usage if isinstance(usage, Mapping) else {}
    asked, output = sample.get("trajectory"), sample.get("outputs")
    return {
        "input": asked if isinstance(asked, list) else [],
        "output": output if isinstance(output, list) else [],
        "finish_reason": sample.get("finish_reason") or "",
        "model": sample.get("sampled_model_name") or "",
        "usage": {name: usage.get(name, 0) for name in _COUNTS},
        "error": sample.get("error") or None,
        **{name: parameters.get(name) for name in _PARAMETERS},
    }
