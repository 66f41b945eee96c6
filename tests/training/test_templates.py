"""Rows with the chat templates of models that people train, as TRL's package has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.training.chat import Chat
from graders_engine.training.rows import IGNORED, labelled, pair, prompt_of
from graders_engine.training.samples import reads_calls, sample_of
from tests.training import tiny
from tests.training.jobs import PREFERENCE

ROW = {
    "messages": [
        {"role": "user", "content": "first question"},
        {"role": "assistant", "content": "first answer", "weight": 0},
        {"role": "user", "content": "second question"},
        {"role": "assistant", "content": "second answer"},
    ]
}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks up.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}
NAMES = ["qwen3", "qwen2_5", "llama3", "llama3_2", "gemma3", "phi3"]


def tokenizer_of(name: str) -> Any:
    import trl

    path = Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja"
    if not path.exists():
        pytest.skip(f"this TRL has no template of {name}")
    return tiny.tokenizer(path.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_the_last_answer_alone_is_trained(base: Path, name: str) -> None:
    chat = Chat(tokenizer_of(name))
    found = labelled(chat, ROW, 4096)
    text = chat.tokenizer.decode([one for one in found.labels if one != IGNORED])
    assert "second answer" in text
    assert "question" not in text
    assert "first answer" not in text
    assert "first answer" in chat.tokenizer.decode(found.input_ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_and_a_prompt_are_made(base: Path, name: str) -> None:
    chat = Chat(tokenizer_of(name))
    assert pair(chat, PREFERENCE, 4096).chosen.strip().startswith(("yes", "<think>"))
    assert "first question" in prompt_of(chat, {"messages": ROW["messages"][:1]}, 4096).prompt


def test_calls_of_tools_are_read_out_of_what_a_model_says(base: Path) -> None:
    words = reads_calls(tokenizer_of("qwen3"))
    text = 'Well.\n<tool_call>\n{"name": "look_up", "arguments": {"a": 3}}\n</tool_call>'
    chat = Chat(tokenizer_of("qwen3"))
    row = {"messages": ROW["messages"][:1], "tools": [TOOL]}
    before = chat.ids(prompt_of(chat, row, 4096).prompt)
    sample = sample_of(words, [TOOL], text, chat.ids(text), before)
    call = {"name": "look_up", "arguments": '{"a": 3}'}
    assert sample["output_tools"] == [{"id": "call_0", "type": "function", "function": call}]
    assert sample["choices"][0]["message"]["tool_calls"] == sample["output_tools"]
    assert sample["output_text"].strip() == "Well."
    assert sample_of(words, None, text, [], []) == text
    plain = "no call"
    assert sample_of(words, [TOOL], plain, chat.ids(plain), before) == plain
