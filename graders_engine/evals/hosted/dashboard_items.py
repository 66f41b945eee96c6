"""Lines of the file that the dashboard downloads, as the output items that the API answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.evals.hosted.dashboard_samples import sample_of
from graders_engine.evals.hosted.export import OUTPUT_ITEM
from graders_engine.evals.hosted.names import without_uuid
from graders_engine.language import strict_json


def made_id(kind: str, *parts: Any) -> str:
    """An id for what has none: the same one for the same parts, so that importing it again finds it.

    Args:
        kind: what the id begins with.
        parts: JSON values.
    """
    digest = hashlib.blake2b(strict_json.encode(list(parts)), digest_size=16)
    return f"{kind}_{digest.hexdigest()}"


def output_item(
    line: Mapping[str, Any], eval_id: str, created_at: int, thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """The output item that a line of the dashboard's download stands for.

    Args:
        line: `run_id`, `data_source_idx`, `item`, and what there is of `sample`, `grades`, `passes`.
        eval_id: of the run's eval.
        created_at: seconds since 1970; the line does not say it.
        thresholds: by the name of a score without what follows the criterion's name, the score from which on
            the criterion is met. It decides where the line has no verdict.
    """
    results = [*_results(line, thresholds)]
    sample = sample_of(line)
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


def _results(line: Mapping[str, Any], thresholds: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    grades, passes, samples = (
        part if isinstance(part, Mapping) else {}
        for part in (line.get("grades"), line.get("passes"), line.get("grader_samples"))
    )
    for name in dict.fromkeys([*grades, *passes]):
        score, passed = _grade(grades.get(name))
        if isinstance(passes.get(name), bool):
            passed = passes[name]
        if passed is None and type(score) in (int, float):
            threshold = thresholds.get(without_uuid(name))
            passed = None if threshold is None else score >= threshold
        yield {"name": name, "score": score, "passed": passed, "sample": samples.get(name)}


def _grade(given: Any) -> tuple[Any, bool | None]:
    """The score of a grade, and the verdict if it has one: a number, a truth value, or an object of both."""
    if isinstance(given, Mapping):
        passed = given.get("passed")
        score, own = _grade(given.get("score"))
        return score, passed if isinstance(passed, bool) else own
    if isinstance(given, bool):
        return float(given), given
    return given, None


def _status(results: list[dict[str, Any]], *, failed: bool) -> str:
    if not results:
        return "error" if failed else ""
    passed = [result["passed"] for result in results]
    if None in passed:
        return "error"
    return "pass" if all(passed) else "fail"
