"""A model whose answers are bound learns from the probabilities of what it may answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.training.bound import grammar_of
from graders_engine.training.bound_probabilities import bound_logps
from tests.training.jobs import job, prompts, trained

SHORT = {
    "type": "json_schema",
    "json_schema": {
        "name": "a",
        "schema": {
            "type": "object",
            "properties": {"a": {"type": "string", "maxLength": 2}},
            "required": ["a"],
            "additionalProperties": False,
        },
    },
}
SHARE_OF_E = {
    "type": "python",
    "name": "e",
    "source": "def grade(sample, item):\n"
    "    text = sample['output_text']\n"
    "    return text.count('e') / max(1, len(text))\n",
}
BEST = 2 / len('{"a":"ee"}')


def test_the_probabilities_are_those_among_the_tokens_that_are_allowed(
    base: Path, tokenizer: Any
) -> None:
    import torch

    words = tokenizer("x", add_special_tokens=False)["input_ids"]
    answer = tokenizer('{"a":"e"}', add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id
    ids = torch.tensor([[*words, *answer, end, end]])
    torch.manual_seed(0)
    logits = torch.randn(1, len(answer) + 2, len(tokenizer))
    grammar = grammar_of(SHORT)
    assert grammar is not None
    logps, entropies = bound_logps(tokenizer, grammar, ids, logits)
    assert logps.shape == entropies.shape == (1, len(answer) + 2)
    assert float(logps[0, 0]) == 0.0  # a brace is all that an answer may begin with
    assert float(logps[0, -2]) == float(entropies[0, -2]) == 0.0  # it has to end there
    within = 1 + answer[1:].index(answer[5])  # the first letter of the text: many may stand there
    free = logits[0, within].log_softmax(-1)
    assert float(logps[0, within]) > float(free[answer[5]])
    assert float(logps[0, within].exp()) < 1
    assert torch.isfinite(logps).all()
    assert torch.isfinite(entropies).all()


@pytest.mark.parametrize("seed", [3, 12])
def test_a_job_whose_answers_are_bound_comes_to_the_best_of_them(
    base: Path, tmp_path: Path, seed: int
) -> None:
    spec = job(
        base, tmp_path, "reinforcement", prompts(), grader=SHARE_OF_E, response_format=SHORT, seed=seed,
        hyperparameters={"n_epochs": 25, "batch_size": 4},
    )  # fmt: skip
    rewards = [step.train["reward_mean"] for step in trained(spec, tmp_path / "kept").steps]
    assert rewards[0] < BEST / 4
    assert min(rewards[-5:]) > BEST * 0.75
