"""A part of the grader is taken in evals only: a label_model, or the metric cosine.

Why: the service refuses a job of reinforcement fine-tuning with such a grader.

Example: `{"type": "label_model", "labels": ["good", "bad"], …}` as the grader of a job.

To mend it: ask the judge for a number with a score_model, and compare texts with another metric,
such as `fuzzy_match`.

Ignore it when: you train with this engine or another trainer, which takes any grader.
"""

from __future__ import annotations

from graders_engine.graders.base import GraderSpec
from graders_engine.graders.label_model import LabelModelGrader
from graders_engine.graders.text_similarity import TextSimilarityGrader
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.inputs import Inputs


def _ask(inputs: Inputs) -> Answer:
    service = inputs.options.service
    if inputs.job is None and service == "none":
        return NotChecked("no --job")
    leaves = inputs.grader.leaves if inputs.grader else ()
    found = [(path, what) for path, spec in leaves if (what := _refused(spec))]
    if not found:
        return []
    named = and_joined(f"`{path}` ({what})" if path else f"a {what}" for path, what in found)
    return [
        Finding(
            "not-for-training",
            "error" if service == "openai" else "warning",
            f"The grader has {named}, which OpenAI's service takes in evals, but not in training.",
            "Use a score_model in place of a label_model, and another metric in place of cosine.",
            where=[
                Location(inputs.grader_file, 0, f"{path}.type".lstrip(".")) for path, _ in found
            ],
            numbers={"parts": [path for path, _ in found]},
        )
    ]


def _refused(spec: GraderSpec) -> str:
    if isinstance(spec, LabelModelGrader):
        return "label_model"
    if isinstance(spec, TextSimilarityGrader) and spec.evaluation_metric == "cosine":
        return "text_similarity by cosine"
    return ""


CHECK = Check(
    "not-for-training", "grader", _ask, frozenset({"grader"}), silenced_by=("invalid-grader",)
)
