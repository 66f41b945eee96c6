"""Jobs of the tiny model, one for each method."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from graders_engine.training.trainer import JobSpec, Resumed
from graders_engine.training.trl_trainer import TRLTrainer
from tests.training.recorder import Recorder
from tests.training.tiny import write_rows

MANY_E = {
    "type": "python",
    "name": "many_e",
    "source": "def grade(sample, item):\n"
    "    text = sample['output_text']\n"
    "    return 0.8 * text.count('e') / max(1, len(text)) + 0.2 * ('e' in text)\n",
}
TURNS: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "abc", "weight": 0},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "def"},
    ]
}
PREFERENCE: dict[str, Any] = {
    "input": {"messages": [{"role": "user", "content": "a"}]},
    "preferred_output": [{"role": "assistant", "content": "yes"}],
    "non_preferred_output": [{"role": "assistant", "content": "no!"}],
}


def prompts(count: int = 8) -> list[Any]:
    """Rows whose fields have several types, which Arrow would not take."""
    return [
        {"messages": [{"role": "user", "content": chr(97 + at)}], "n": at if at % 2 else str(at)}
        for at in range(count)
    ]


def job(base: Path, folder: Path, method: Any, rows: list[Any], **more: Any) -> JobSpec:
    """A job that trains with rows; `more` replaces fields of its spec, `valid` are rows to validate with."""
    valid = more.pop("valid", None)
    folder.mkdir(parents=True, exist_ok=True)
    spec = JobSpec(
        id="ftjob-1",
        method=method,
        model_path=str(base),
        lora=None,
        learning_rate=5e-3,
        max_completion_tokens=16,
        training_file=write_rows(folder / "train.jsonl", rows),
        validation_file=valid and write_rows(folder / "valid.jsonl", valid),
        hyperparameters={"n_epochs": 5, "batch_size": 4},
        seed=7,
    )
    return dataclasses.replace(spec, **more)


def trained(spec: JobSpec, folder: Path, resumed: Resumed | None = None, **events: int) -> Recorder:
    """The record of a job that was trained to its end."""
    report = Recorder(folder, resumed=resumed.step if resumed else 0, **events)
    TRLTrainer().train(spec, resumed, report)
    return report


def answer(folder: Path, *messages: dict[str, Any], tokens: int = 12) -> str:
    """What a trained model says, the likeliest token each time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        found = model.generate(**ids, max_new_tokens=tokens, do_sample=False)
    text: str = tokenizer.decode(found[0][ids["input_ids"].shape[1] :], skip_special_tokens=True)
    return text
