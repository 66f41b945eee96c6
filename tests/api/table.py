"""Which public names are on which page of the reference."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A page: its title, what it begins with, and its names as "module:name" below `graders_engine`."""

    title: str
    intro: str
    names: tuple[str, ...]


LEFT_OUT: dict[str, frozenset[str]] = {
    "AsyncEngine": frozenset({"crew", "holds_something"}),
    "BackendFailure": frozenset({"answer"}),
    "CompiledGrader": frozenset(
        {
            "evaluator", "grade", "grade_now", "grade_row", "grade_row_now", "grade_rows_now",
            "lenient", "masked", "misreadings", "reads_sample", "require_runnable",
            "scope_reader", "with_evaluator", "with_sandbox",
        }
    ),
    "EngineSettings": frozenset({"judge_settings", "shares_rows"}),
    "GraderResourcesServer": frozenset({"model_post_init"}),
    "JudgeSettings": frozenset({"inputs", "outputs"}),
    "Options": frozenset({"limit", "scaled", "to_json"}),
    "RetryPolicy": frozenset({"call"}),
}  # fmt: skip
"""Class -> its methods that are for the rest of the package."""
MADE_BY_OTHERS = frozenset({"CompiledGrader"})
"""Classes whose constructor is for the rest of the package."""

PAGES: dict[str, Page] = {
    "engine": Page(
        "what grades, in your own program",
        "An engine is made once and used for many rows. `Engine` is for ordinary programs, "
        "`AsyncEngine` has the same methods with `await`; both take the fields of `EngineSettings` as "
        "keywords.",
        (
            "blocking:Engine", "engine:AsyncEngine", "settings:EngineSettings",
            "compiled:CompiledGrader", "sandbox.base:Limits",
        ),
    ),
    "outcomes": Page(
        "what comes out: rewards, or the reasons why there are none",
        "`engine.score` gives a `RowOutcome` for each row, `engine.run` a `RunGraderResponse`, the hosted "
        "API's form of one. What a row without a reward counts as is its `counted`.",
        (
            "outcome:RowOutcome", "outcome:Outcome", "outcome:Failure", "outcome:Flag",
            "outcome:Blame", "outcome:Usage", "response:RunGraderResponse",
            "response:ValidateGraderResponse", "tables:to_arrow", "tables:to_pandas",
        ),
    ),
    "judges": Page(
        "how models are asked, and what may answer in their place",
        "`Engine(judges=…)` takes an address, a `JudgeSettings`, or any object with the methods of "
        "`ModelBackend`. `Scripted` is one that answers what you write, for tests.",
        (
            "models.judges:JudgeSettings", "models.retry:RetryPolicy", "models.policies:Price",
            "models.scripted:Scripted", "models.base:ModelBackend", "models.base:ModelRequest",
            "models.base:ModelReply", "models.base:ModelMessage", "models.base:TextPart",
            "models.base:ImagePart", "models.base:AudioPart", "models.base:Sampling",
        ),
    ),
    "errors": Page(
        "what is raised, and when",
        "All exceptions of the package, as a tree. A row that cannot be graded raises nothing in "
        "`score`: it has an outcome without a reward.",
        (
            "errors:GradersError", "errors:InvalidRequest", "errors:InvalidGrader",
            "errors:Mistake", "errors:UnavailableGrader", "errors:InvalidRow",
            "errors:DataSetError", "errors:BudgetSpent", "errors:LifecycleError", "errors:NoReward",
            "errors:BackendFailure", "errors:BackendBusy", "errors:BackendRejected",
        ),
    ),
    "rewards": Page(
        "a grader as the reward of trainers and evaluation frameworks",
        "`GraderReward` is what all adapters are built on. The class or function of a framework is "
        "imported from its own module, which needs that framework; the guide "
        "[adapters](../adapters.md) has an example of each.",
        (
            "adapters.reward:GraderReward", "adapters.trl:TRLReward",
            "adapters.openrlhf:OpenRLHFReward", "adapters.verl:compute_score",
            "adapters.verl:acompute_score", "adapters.verifiers:reward_function",
            "adapters.nemo_gym:GraderResourcesServer", "adapters.inspect_ai:grader_scorer",
            "adapters.mlflow:grader_scorer", "adapters.deepeval:GraderMetric",
            "adapters.pydantic_evals:GraderEvaluator", "adapters.ray_data:GradeBatch",
        ),
    ),
    "preflight": Page(
        "whether a grader is fit for a job, as a call",
        "`engine.preflight` takes `Options` and gives a `PreflightReport`.",
        (
            "preflight.options:Options", "preflight.report:PreflightReport",
            "preflight.findings:Finding", "preflight.findings:Location",
        ),
    ),
}  # fmt: skip
