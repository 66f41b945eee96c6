"""Makes a language model of 128 KB with random weights and a character tokenizer: no download, no sense.

Usage: python make_model.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch  # type: ignore[import-not-found,unused-ignore] # only in the environment of .ci/real-model
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as Bytes
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (  # type: ignore[import-not-found,unused-ignore] # likewise
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

END, BEGIN = "<|im_end|>", "<|im_start|>"
CHAT = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte: byte-level BPE without any merge."""
    letters = sorted(ByteLevel.alphabet())
    plain = Tokenizer(BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    plain.pre_tokenizer = ByteLevel(add_prefix_space=False)
    plain.decoder = Bytes()
    whole = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token=END, pad_token=END)
    whole.add_special_tokens({"additional_special_tokens": [BEGIN]})
    whole.chat_template = CHAT
    return whole


def main(folder: Path) -> None:
    torch.manual_seed(0)
    words = tokenizer()
    config = Qwen2Config(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    # Now and then an answer ends by itself: the end is about as likely as any byte.
    model.generation_config.update(do_sample=True, temperature=1.0, top_k=0, max_new_tokens=64)
    model.save_pretrained(folder)
    words.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
