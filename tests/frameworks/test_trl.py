"""TRL trains with a grader's rewards; an outage leaves no trace in what the model learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from graders_engine import Scripted
from graders_engine.adapters.trl import TRLReward
from graders_engine.errors import BackendFailure
from tests.frameworks.conftest import score_model, two_checks
from tests.frameworks.heads import examples, run

WORDS = ["<pad>", "<eos>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"]
TEMPLATE = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


def tokenizer() -> Any:
    words = {word: number for number, word in enumerate(WORDS)}
    tokens = Tokenizer(models.WordLevel(words, unk_token="<unk>"))  # noqa: S106 - a token, not a secret
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {f"{name}_token": f"<{name}>" for name in ("pad", "eos", "unk")}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokens, chat_template=TEMPLATE, padding_side="left", **special
    )


def model() -> Any:
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def test_the_example_of_the_head_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model().save_pretrained("tiny")
    tokenizer().save_pretrained("tiny")
    (block,) = examples("trl", tmp_path)
    # A model of this folder, since none can be fetched; and few steps without a GPU.
    for own, here in (
        ("Qwen/Qwen3-0.6B", "tiny"),
        ("GRPOConfig(", "GRPOConfig(use_cpu=True, max_steps=2, max_completion_length=8, "),
    ):
        assert block.count(own) == 1
        block = block.replace(own, here)
    run(block, tmp_path)
    assert capsys.readouterr().out.count("rewards/exact/mean") == 2


def trained(
    kind: str, folder: Path, reward: Any, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The logs of three steps."""
    trainer, config = {"grpo": (GRPOTrainer, GRPOConfig), "rloo": (RLOOTrainer, RLOOConfig)}[kind]
    arguments = config(
        output_dir=str(folder), max_steps=3, per_device_train_batch_size=4, num_generations=4,
        max_completion_length=8, logging_steps=1, report_to="none", use_cpu=True, beta=0.0, seed=1,
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    training = trainer(
        model=model(), reward_funcs=reward, args=arguments, processing_class=tokenizer(),
        train_dataset=Dataset.from_list(rows),
    )  # fmt: skip
    training.train()
    return [log for log in training.state.log_history if "reward" in log]


ROWS = [{"prompt": "a b c", "answer": "a"}] * 8
CHATS = [{"prompt": [{"role": "user", "content": "a b c"}], "item": '{"answer": "a"}'}] * 8


@pytest.mark.parametrize("rows", [ROWS, CHATS], ids=["text", "conversations"])
@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_a_trainer_logs_rewards_parts_and_shares(
    kind: str, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    grader = two_checks("{{item.answer}}")
    logs = trained(kind, tmp_path, TRLReward(grader), rows)
    assert len(logs) == 3
    for log in logs:
        assert {"rewards/mix/mean", "mix/exact", "mix/loose", "mix/scored"} <= set(log)
        assert (log["mix/scored"], log["mix/failed"]) == (1.0, 0.0)
        assert log["rewards/mix/mean"] == pytest.approx((log["mix/exact"] + log["mix/loose"]) / 2)


def test_an_outage_on_half_of_the_rows_moves_nothing(tmp_path: Path) -> None:
    asked = []

    def half(_: Any) -> float:
        asked.append(1)
        if len(asked) % 2:
            raise BackendFailure("the endpoint is down")
        return 0.5

    reward = TRLReward(score_model("{{item.answer}}"), judges=Scripted(half))
    logs = trained("grpo", tmp_path, reward, ROWS)
    assert [log["judge/failed"] for log in logs] == [0.5] * 3
    assert [(log["reward_std"], log["grad_norm"]) for log in logs] == [(0.0, 0.0)] * 3
