"""The tiny model of the tests of training, after it has learned some sentences by heart: it takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.training import tiny

WORDS = "It is what it is, and it was what it was; it will be what it will be, some day."
"""The answer to `QUESTION`."""
QUESTION = "What is it?"
ADD: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}
SUM = "Add 1."
CALLS = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
CALL_TEXT = f"I do. {CALLS}{CALLS}"
"""The answer to `SUM` where there is the tool."""
BROKEN, BROKEN_TEXT = "Call it badly.", "Well, <tool_call>{oh</tool_call>"
_LESSONS: list[tuple[str, list[Any] | None, str]] = [
    (QUESTION, None, WORDS),
    (SUM, [ADD], CALL_TEXT),
    (BROKEN, [ADD], BROKEN_TEXT),
]
_MOST_STEPS, _KNOWN = 400, 0.05
RESPONSES = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|assistant|>",
    "fields": {
        "tool_calls": {
            "open": "<tool_call>",
            "close_pattern": r"</tool_call>\s*",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"<\|end\|>", "content": "text"},
    },
}
"""How the model writes calls of tools, as transformers reads it."""


def make(folder: Path) -> Path:
    """Write the model into a folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tiny.make(folder)
    model, words = (
        AutoModelForCausalLM.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    lessons = [_lesson(words, *lesson) for lesson in _LESSONS]
    longest = max(len(ids) for ids, _ in lessons)
    ids = torch.tensor([[*ids, *[words.pad_token_id] * (longest - len(ids))] for ids, _ in lessons])
    labels = torch.tensor([[*known, *[-100] * (longest - len(known))] for _, known in lessons])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(_MOST_STEPS):
        optimizer.zero_grad()
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        if loss < _KNOWN:
            break
    torch.set_num_threads(threads)
    model.save_pretrained(folder)
    words.response_template = RESPONSES
    words.save_pretrained(folder)
    return folder


def _lesson(
    words: Any, question: str, tools: list[Any] | None, answer: str
) -> tuple[list[int], list[int]]:
    messages = [{"role": "user", "content": question}]
    prompt = words.apply_chat_template(
        messages, tools=tools, tokenize=False, add_generation_prompt=True
    )
    before = words(prompt, add_special_tokens=False)["input_ids"]
    after = words(f"{answer}{tiny.END}", add_special_tokens=False)["input_ids"]
    return before + after, [-100] * len(before) + after
