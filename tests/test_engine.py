"""The engines: the same methods with and without async, and what they do with rows and evaluators."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from graders_engine import (
    AsyncEngine,
    Engine,
    EngineSettings,
    InvalidGrader,
    InvalidRow,
    JudgeSettings,
    UnavailableGrader,
)
from graders_engine.compiled import CompiledGrader
from graders_engine.graders.base import Services, attempt
from graders_engine.graders.multi import Multi, MultiGrader
from graders_engine.language.scope import Scope, scope_of
from graders_engine.outcome import Failure, Flag, Outcome, failed, rewarded

JUDGED: dict[str, Any] = {
    "type": "score_model",
    "model": "gpt-4o",
    "input": [{"role": "user", "content": "Rate: {{sample.output_text}}"}],
}
ROWS = [{"item": {"label": f"cat{n % 3}"}, "model_sample": "cat1"} for n in range(50)]


class Waiting:
    """An evaluator that waits, like one that asks a judge; it counts rows, and rows in flight."""

    waits = True

    def __init__(self) -> None:
        self.in_flight = self.max_in_flight = self.rows = 0

    async def evaluate(self, scope: Scope) -> Outcome:
        self.rows += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        # Some rows give way to later ones, so that rows do not finish in their order.
        for _ in range(5 if scope.item["label"] == "cat0" else 1):
            await asyncio.sleep(0)
        self.in_flight -= 1
        return rewarded(float(scope.item["label"][-1]))


def test_both_engines_give_the_same_answers(string_check: dict[str, Any]) -> None:
    async def grade() -> tuple[Any, Any, list[Any]]:
        async with AsyncEngine() as engine:
            return (
                (await engine.run(string_check, model_sample="a", item={"label": "a"})).reward,
                (await engine.validate(string_check)).grader,
                [row.reward async for row in engine.score(string_check, ROWS)],
            )

    with Engine() as engine:
        blocking = (
            engine.run(string_check, model_sample="a", item={"label": "a"}).reward,
            engine.validate(string_check).grader,
            [row.reward for row in engine.score(string_check, ROWS)],
        )
    assert asyncio.run(grade()) == blocking


def test_rows_that_wait_are_graded_concurrently_and_returned_in_order(
    string_check: dict[str, Any],
) -> None:
    expected = [float(n % 3) for n in range(50)]
    with Engine(concurrency=8) as engine:
        evaluator = Waiting()
        compiled = engine.compile(string_check).with_evaluator(evaluator)
        assert [row.reward for row in engine.score(compiled, ROWS)] == expected
        assert 1 < evaluator.max_in_flight <= 8

    async def grade() -> None:
        async with AsyncEngine(concurrency=8) as engine:
            evaluator = Waiting()
            compiled = engine.compile(string_check).with_evaluator(evaluator)
            assert [row.reward async for row in engine.score(compiled, [*ROWS, 3])] == [
                *expected,
                None,
            ]
            assert 1 < evaluator.max_in_flight <= 8

    asyncio.run(grade())


def test_a_caller_who_stops_taking_rows_stops_the_grading(string_check: dict[str, Any]) -> None:
    evaluator = Waiting()
    with Engine(concurrency=2) as engine:
        compiled = engine.compile(string_check).with_evaluator(evaluator)
        rows = engine.score(compiled, itertools.cycle(ROWS))
        assert next(rows).index == 0
        rows.close()  # type: ignore[attr-defined] # a generator
        graded = evaluator.rows
        assert graded <= 100  # of an endless number
        # The engine's one thread would grade further rows before it answers the next call.
        engine.run(string_check, model_sample="x", item={"label": "x"})
        assert evaluator.rows == graded


def multi_of(compiled: CompiledGrader) -> MultiGrader:
    assert isinstance(compiled.spec, MultiGrader)
    return compiled.spec


def test_parts_of_a_multi_that_wait_run_concurrently(name_email: dict[str, Any]) -> None:
    with Engine() as engine:
        compiled = engine.compile(name_email)
        judge = Waiting()
        multi = Multi(multi_of(compiled), {"name": judge, "email": judge})
        row = engine.run(compiled.with_evaluator(multi), model_sample="{}", item={"label": "cat0"})
        assert row.sub_rewards == {"name": 0.0, "email": 0.0}
        assert judge.max_in_flight == 2


def test_an_outage_in_a_part_gives_no_reward_and_a_zero_on_the_wire_only(
    name_email: dict[str, Any],
) -> None:
    class Outage:
        waits = False

        async def evaluate(self, scope: Scope) -> Outcome:
            return failed(Failure(Flag.MODEL_SERVER, "503 from the judge", "infrastructure"))

    with Engine() as engine:
        spec = multi_of(engine.compile(name_email))
        email = spec.graders["email"].compile(Services())
        multi = Multi(spec, {"name": Outage(), "email": email})
        compiled = engine.compile(name_email).with_evaluator(multi)
        row: dict[str, Any] = {"item": {"email": "e"}, "model_sample": '{"email": "e"}'}
        [graded] = engine.score(compiled, [row])
        response = engine.run(compiled, **row)
    assert (graded.reward, graded.status) == (None, "failed")
    assert graded.sub_rewards == {"name": None, "email": 1.0}
    assert graded.flags == {"model_grader_server_error": "name: 503 from the judge"}
    assert (response.reward, response.sub_rewards) == (0.5, {"name": 0.0, "email": 1.0})
    assert response.metadata.errors.model_grader_server_error_details == "name: 503 from the judge"


def test_an_unexpected_exception_of_an_evaluator_is_a_logged_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        waits = False

        async def evaluate(self, scope: Scope) -> Outcome:
            raise KeyError("gone")

    outcome = asyncio.run(attempt(Broken(), scope_of(model_sample="x")))
    assert (outcome.reward, outcome.status) == (None, "failed")
    assert outcome.failures[0].flag is Flag.OTHER
    assert "an evaluator raised an unexpected exception" in caplog.text


def test_an_evaluator_that_waits_without_declaring_it_is_an_error(
    string_check: dict[str, Any],
) -> None:
    evaluator = Waiting()
    evaluator.waits = False
    with Engine() as engine:
        compiled = engine.compile(string_check).with_evaluator(evaluator)
        with pytest.raises(RuntimeError, match="says that it does not wait, but it does"):
            list(engine.score(compiled, ROWS))


def test_a_compiled_grader_is_accepted_in_place_of_its_json(string_check: dict[str, Any]) -> None:
    with Engine() as engine:
        compiled = engine.compile(string_check)
        assert engine.compile(compiled) is compiled
        assert engine.run(compiled, model_sample="a", item={"label": "a"}).reward == 1.0
        assert (
            engine.run(
                str(string_check).replace("'", '"'), model_sample="a", item={"label": "b"}
            ).reward
            == 0.0
        )


def test_other_tasks_of_the_loop_run_while_rows_are_graded(string_check: dict[str, Any]) -> None:
    async def grade() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        async with AsyncEngine() as engine:
            async for _ in engine.score(string_check, ROWS * 400):
                pass
        task.cancel()
        return turns

    assert asyncio.run(grade()) > 1


def test_settings_out_of_range_are_rejected() -> None:
    with pytest.raises(ValueError, match="concurrency must be at least 1"):
        Engine(concurrency=0)


def test_an_invalid_request_raises_an_exception(
    engine: Engine, string_check: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRow, match="no model output"):
        engine.run(string_check)
    with pytest.raises(InvalidRow, match="must be an object, but it is an array"):
        engine.run(string_check, sample=[])  # type: ignore[arg-type] # what a caller without types may do
    with pytest.raises(InvalidRow, match="give one of the two"):
        engine.run(string_check, model_sample="x", item={}, reference_answer="y")
    with pytest.raises(InvalidRow, match="must be a string, but it is a boolean"):
        engine.run(string_check, sample={"output_text": True})
    with pytest.raises(InvalidGrader, match="failed to parse JSON value"):
        engine.run("{", model_sample="x")
    with pytest.raises(UnavailableGrader, match="'gpt-4o' has no endpoint"):
        engine.run(JUDGED, model_sample="x")


def test_a_grader_that_contains_itself_is_rejected(engine: Engine) -> None:
    endless: dict[str, Any] = {"type": "multi"}
    endless["graders"] = {"a": endless}
    with pytest.raises(InvalidGrader, match="nests too deep"):
        engine.validate(endless)


def test_validate_warns_of_a_grader_that_cannot_be_run_here(engine: Engine) -> None:
    [warning] = engine.validate(JUDGED).warnings
    assert "--map gpt-4o=MODEL" in warning.message
    with Engine(allow_endpoints=False) as strict:
        [warning] = strict.validate({"type": "endpoint", "url": "https://example.org"}).warnings
    assert "endpoint graders are not run here" in warning.message


def test_validate_warns_of_a_sample_in_a_system_message(engine: Engine) -> None:
    def grader(role: str, content: Any) -> dict[str, Any]:
        return {"type": "score_model", "model": "m", "input": [{"role": role, "content": content}]}

    blocks = [
        "{{sample.output_text}}",
        {"type": "input_text", "text": "{{sample.output_text}}"},
        ["x", {"type": "input_image", "image_url": "{{sample.output_text}}"}],
        [
            {
                "type": "input_audio",
                "input_audio": {"data": "{{sample.output_audio}}", "format": "wav"},
            }
        ],
    ]
    for content in blocks:
        warned = engine.validate(grader("system", content)).warnings
        assert warned[0].param == "input[0]"
        assert len(engine.validate(grader("user", content)).warnings) == len(warned) - 1


def test_a_value_without_a_json_form_makes_its_row_invalid(
    engine: Engine, string_check: dict[str, Any]
) -> None:
    [row] = engine.score(string_check, [{"item": {"label": {1, 2}}, "model_sample": "x"}])
    assert row.status == "invalid"
    assert row.flags["other_error"].startswith("`{{item.label}}`: Object of type set")


def test_services_default_to_the_metrics_own_variants() -> None:
    assert Services().metric_variants == {}


def test_a_mapping_that_changes_later_changes_no_reward(string_check: dict[str, Any]) -> None:
    variants: dict[str, str] = {}
    grader = {**string_check, "type": "text_similarity", "evaluation_metric": "bleu"}
    del grader["operation"]
    row: dict[str, Any] = {"model_sample": "the cat sat", "item": {"label": "a cat sat here"}}
    with Engine(metric_variants=variants) as engine:
        before = engine.run(grader, **row).reward
        variants["bleu"] = "nltk_method4"
        assert engine.run(grader, **row).reward == before
    with Engine(metric_variants=variants) as engine:
        assert engine.run(grader, **row).reward != before


def test_settings_do_not_print_the_keys_that_addresses_may_hold() -> None:
    address = "https://user:secret@example.org/v1?key=secret"
    for judges in (address, JudgeSettings(endpoints={"default": address})):
        printed = repr(EngineSettings(judges=judges, embeddings=f"openai:m@{address}"))
        assert "secret" not in printed
        assert "secret" not in repr(judges) or isinstance(judges, str)
