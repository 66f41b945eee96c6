"""The numbers of an evaluation are those of its rows, and do not depend on how many are computed at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.training.jobs import job, trained

NEXT_TO_NOTHING = 1e-12
"""A learning rate with which the weights stay as they are."""


def answers(*texts: str) -> list[Any]:
    return [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": text}]}
        for text in texts
    ]


def pairs(*texts: str) -> list[Any]:
    return [
        {
            "input": {"messages": [{"role": "user", "content": "a"}]},
            "preferred_output": [{"role": "assistant", "content": text}],
            "non_preferred_output": [{"role": "assistant", "content": f"no {text}"}],
        }
        for text in texts
    ]


TEXTS = ("b", "cc", "ddd", "e" * 60, "ff")
"""Of so different lengths that a mean of means is another number."""


def evaluated(base: Path, folder: Path, method: str, rows: list[Any], batch: int) -> dict[str, Any]:
    """The first evaluation of a job: the rows it trains on are those it validates with."""
    spec = job(
        base, folder, method, rows, valid=rows, learning_rate=NEXT_TO_NOTHING,
        hyperparameters={"n_epochs": 1, "batch_size": batch},
    )  # fmt: skip
    last = trained(spec, folder / "kept").steps[-1]
    return dict(last.valid)


@pytest.mark.parametrize(("method", "rows"), [("supervised", answers), ("dpo", pairs)])
def test_an_evaluation_is_the_same_in_batches_of_any_size(
    base: Path, tmp_path: Path, method: str, rows: Any
) -> None:
    one, two, all_of_them = (
        evaluated(base, tmp_path / str(size), method, rows(*TEXTS), size) for size in (1, 2, 5)
    )
    assert set(one) >= {"loss", "token_accuracy"}
    assert one == pytest.approx(two, rel=1e-4)
    assert one == pytest.approx(all_of_them, rel=1e-4)


def test_the_loss_of_an_evaluation_is_the_mean_over_the_tokens_of_its_answers(
    base: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = answers(*TEXTS)
    found = evaluated(base, tmp_path, "supervised", rows, 2)
    model = AutoModelForCausalLM.from_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    losses: list[float] = []
    for row in rows:
        prompt = tokenizer.apply_chat_template(
            row["messages"][:1], add_generation_prompt=True, tokenize=True, return_dict=True
        )["input_ids"]
        ids = tokenizer.apply_chat_template(row["messages"], tokenize=True, return_dict=True)[
            "input_ids"
        ]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        losses += [-float(logits[at - 1, ids[at]]) for at in range(len(prompt), len(ids))]
    assert found["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
