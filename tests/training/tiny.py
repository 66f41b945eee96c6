"""A model of about 100,000 random parameters, and a tokenizer of one token a byte: made in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

END, BEGIN_OF_TEXT = "<|end|>", "<|begin|>"
ROLES = ("system", "user", "assistant", "tool")
TEMPLATE = (
    "{{ bos_token }}"
    "{% if tools %}{{ '<|system|>tools: ' + (tools | tojson) + '<|end|>' }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<|' + message.role + '|>' + message.content }}"
    "{% for call in message.tool_calls or [] %}"
    "{{ '<tool_call>' + ({'name': call.function.name, 'arguments': call.function.arguments} | tojson)"
    " + '</tool_call>' }}"
    "{% endfor %}"
    "{{ '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def tokenizer(template: str = TEMPLATE) -> Any:
    """One token a byte, and one for each special token; it begins each text with `<|begin|>` by itself."""
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.decoders import ByteLevel as Bytes
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    letters = sorted(ByteLevel.alphabet())
    plain = Tokenizer(BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    plain.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    plain.decoder = Bytes()
    special = [BEGIN_OF_TEXT, END, *(f"<|{role}|>" for role in ROLES)]
    plain.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    plain.post_processor = TemplateProcessing(
        single=f"{BEGIN_OF_TEXT} $A",
        special_tokens=[(BEGIN_OF_TEXT, plain.token_to_id(BEGIN_OF_TEXT))],
    )
    whole = PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token=BEGIN_OF_TEXT, eos_token=END, pad_token=END
    )
    whole.add_special_tokens({"additional_special_tokens": special[2:]})
    whole.chat_template = template
    return whole


def make(folder: Path, words: Any = None, room: int = 512) -> Path:
    """Write both into a folder: the model reads so many tokens, of this tokenizer or the one above."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = words or tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=room,
        tie_word_embeddings=True,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def write_rows(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)
