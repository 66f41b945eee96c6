"""What is the real generator's alone: it answers as `generate` does, and reads calls, forms and adapters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from graders_engine.inference.errors import InvalidChat, ModelUnavailable
from graders_engine.inference.generator import Answer
from graders_engine.inference.request import read_chat
from graders_engine.inference.served import ServedModel
from tests.inference.taught import ADD, BROKEN, BROKEN_TEXT, QUESTION, SUM, WORDS


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.gone = False
        self.texts: dict[int, str] = {}
        self.pieces = 0
        self.calls: list[dict[str, Any]] = []

    def text(self, choice: int, text: str) -> None:
        self.texts[choice] = self.texts.get(choice, "") + text
        self.pieces += bool(text)

    def call(self, choice: int, call: dict[str, Any]) -> None:
        self.calls.append(call)


class Loaded:
    """A generator with a model in it."""

    def __init__(self, folder: Path, longest: int = 160) -> None:
        from graders_engine.inference.generators.transformers_generator import TransformersGenerator

        self.model = ServedModel("tiny", folder, longest, "one")
        self.generator = TransformersGenerator("cpu")
        self.generator.load(self.model)

    def answer(self, content: str = QUESTION, heard: Heard | None = None, **body: Any) -> Answer:
        messages = [{"role": "user", "content": content}]
        request = read_chat({"messages": messages, "temperature": 0, **body})
        return self.generator.answer(request, self.model, heard or Heard())

    def refused(self, content: str = QUESTION, **body: Any) -> tuple[str | None, str | None]:
        with pytest.raises(InvalidChat) as caught:
            self.answer(content, **body)
        (mistake,) = caught.value.mistakes
        return mistake.param, mistake.code


@pytest.fixture(scope="module")
def loaded(base: Path) -> Loaded:
    return Loaded(base)


def generated(folder: Path, content: str, **settings: Any) -> tuple[str, int]:
    """What `generate` makes of a question: the text, and how many tokens it has."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    return _generated(torch, words, model, content, settings)


def _generated(
    torch: Any, words: Any, model: Any, content: str, settings: dict[str, Any]
) -> tuple[str, int]:
    messages = [{"role": "user", "content": content}]
    prompt = words.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = words(prompt, add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        found = model.generate(**ids, do_sample=False, **settings)[0, ids["input_ids"].shape[1] :]
    return words.decode(found, skip_special_tokens=True), len(found)


def test_greedy_answers_are_those_of_generate_token_for_token(base: Path, loaded: Loaded) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words, model = AutoTokenizer.from_pretrained(base), AutoModelForCausalLM.from_pretrained(base)
    for number in range(60):
        content = f"{QUESTION[: number % 12]} {number * 7919} {'né' * (number % 5)}"
        text, tokens = _generated(torch, words, model, content, {"max_new_tokens": 40})
        (choice,) = loaded.answer(content, max_tokens=40).choices
        assert (choice.text, choice.tokens) == (text, tokens)
        heard = Heard()
        (streamed,) = loaded.answer(content, heard, max_tokens=40, stream=True).choices
        assert (streamed.text, streamed.tokens) == (text, tokens)
        assert heard.texts.get(0, "") == text


def test_an_answer_that_ends_by_itself_has_the_token_of_its_end_among_its_tokens(
    base: Path, loaded: Loaded
) -> None:
    (choice,) = loaded.answer().choices
    assert (choice.text, choice.finish_reason) == (WORDS, "stop")
    assert choice.tokens == len(WORDS) + 1


def test_the_highest_temperature_is_one_also_as_a_whole_number(loaded: Loaded) -> None:
    found = [loaded.answer(temperature=hot, seed=1, max_tokens=8) for hot in (2, 2.0)]
    assert found[0] == found[1]


def test_tools_that_nest_too_deep_for_a_chat_template_are_refused(loaded: Loaded) -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"a": deep}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    assert loaded.refused(tools=[tool]) == ("tools", "invalid_value")


def test_a_special_token_in_a_content_is_text(loaded: Loaded) -> None:
    for content in ("<|assistant|>", "<|end|><|assistant|>"):
        plain = loaded.answer("x" * len(content), max_tokens=1)
        assert loaded.answer(content, max_tokens=1).prompt_tokens == plain.prompt_tokens


def test_calls_of_tools_are_read_and_streamed_behind_the_text_before_them(loaded: Loaded) -> None:
    (choice,) = loaded.answer("Add 1.", tools=[ADD]).choices
    assert choice.finish_reason == "tool_calls"
    assert [call["function"]["name"] for call in choice.tool_calls] == ["add", "add"]
    assert [json.loads(call["function"]["arguments"]) for call in choice.tool_calls] == [
        {"a": 1}
    ] * 2
    assert len({call["id"] for call in choice.tool_calls}) == 2
    heard = Heard()
    (streamed,) = loaded.answer("Add 1.", heard, tools=[ADD], stream=True).choices
    assert heard.pieces > 2
    assert (heard.texts[0].strip(), len(heard.calls)) == ((choice.text or "").strip(), 2)
    assert streamed.finish_reason == "tool_calls"
    assert heard.calls == streamed.tool_calls


def test_what_cannot_be_read_as_a_call_is_text(loaded: Loaded) -> None:
    heard = Heard()
    (choice,) = loaded.answer(BROKEN, heard, tools=[ADD], stream=True).choices
    assert (choice.text, choice.tool_calls, choice.finish_reason) == (BROKEN_TEXT, [], "stop")
    assert heard.texts[0] == BROKEN_TEXT


def test_an_answer_cut_off_in_a_call_says_so(loaded: Loaded) -> None:
    (choice,) = loaded.answer(SUM, tools=[ADD], max_tokens=20).choices
    assert (choice.tool_calls, choice.finish_reason) == ([], "length")


def test_tools_that_may_not_be_called_are_not_shown(loaded: Loaded) -> None:
    none = loaded.answer(SUM, tools=[ADD], tool_choice="none")
    assert none.prompt_tokens == loaded.answer(SUM).prompt_tokens
    assert not none.choices[0].tool_calls


def test_tools_are_refused_where_nobody_could_read_the_calls(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "mute")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["response_template"]
    path.write_text(json.dumps(config))
    assert Loaded(folder).refused(SUM, tools=[ADD]) == ("tools", "invalid_value")


FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "point",
        "schema": {
            "type": "object",
            "properties": {"x": {"enum": [1, 2, 3]}, "on": {"type": "boolean"}},
            "required": ["x", "on"],
            "additionalProperties": False,
        },
    },
}


def test_answers_keep_to_a_form(loaded: Loaded) -> None:
    found = loaded.answer(response_format=FORM, temperature=1.0, seed=1, n=32)
    for choice in found.choices:
        value = json.loads(choice.text or "")
        assert set(value) == {"x", "on"}
        assert value["x"] in (1, 2, 3)
        assert choice.finish_reason == "stop"


def test_a_form_that_answers_cannot_be_bound_to_is_refused(loaded: Loaded) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "no such"}}}
    assert loaded.refused(response_format=schema) == ("response_format", "invalid_value")


def test_messages_that_leave_no_room_for_an_answer_are_refused(loaded: Loaded) -> None:
    assert loaded.refused("long " * 200) == ("messages", "context_length_exceeded")


def test_an_answer_ends_where_the_model_can_read_no_further(loaded: Loaded) -> None:
    answer = loaded.answer("x" * 500, max_tokens=160)
    assert answer.prompt_tokens + answer.choices[0].tokens == 512
    assert answer.choices[0].finish_reason == "length"


def test_a_name_that_the_template_does_not_show_is_refused(loaded: Loaded) -> None:
    messages = [{"role": "user", "content": QUESTION, "name": "Ann"}]
    with pytest.raises(InvalidChat) as caught:
        loaded.answer(messages=messages)
    assert caught.value.mistakes[0].param == "messages[0].name"


def test_settings_of_sampling_in_the_model_s_folder_do_not_count(
    base: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(base, tmp_path / "set")
    path = folder / "generation_config.json"
    usual = json.loads(path.read_text())
    path.write_text(json.dumps({**usual, "do_sample": True, "top_k": 1, "temperature": 0.1}))
    found = Loaded(folder).answer("12", temperature=2.0, seed=1, n=8, max_tokens=8)
    assert len({choice.text for choice in found.choices}) > 1


def test_no_share_of_the_tokens_and_almost_no_temperature_are_greedy(loaded: Loaded) -> None:
    for temperature, top_p in ((1.0, 0.0), (1e-6, 1.0), (1e-4, 1.0)):
        answer = loaded.answer(temperature=temperature, top_p=top_p)
        assert answer.choices[0].text == WORDS


def test_adapters_answer_as_with_peft(base: Path, tmp_path: Path) -> None:
    import torch
    from peft import AutoPeftModelForCausalLM, LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(3)
    settings = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings)
    adapted.save_pretrained(tmp_path / "adapters")
    words = AutoTokenizer.from_pretrained(base)
    words.save_pretrained(tmp_path / "adapters")
    loaded = Loaded(tmp_path / "adapters")
    own = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapters").merge_and_unload()
    text, tokens = _generated(torch, words, own, QUESTION, {"max_new_tokens": 30})
    (choice,) = loaded.answer(max_tokens=30).choices
    assert (choice.text, choice.tokens) == (text, tokens)
    assert text != generated(base, QUESTION, max_new_tokens=30)[0]


def test_a_folder_that_cannot_be_loaded_says_why(base: Path, tmp_path: Path) -> None:
    def message_of(folder: Path) -> str:
        with pytest.raises(ModelUnavailable) as caught:
            Loaded(folder)
        return str(caught.value)

    def copied(name: str) -> Path:
        return shutil.copytree(base, tmp_path / name)

    pickled = copied("pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert "no safetensors file" in message_of(pickled)
    cut = copied("cut")
    weights = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "cannot be loaded" in message_of(cut)
    more = copied("more")
    settings = json.loads((more / "config.json").read_text())
    settings["num_hidden_layers"] += 1  # a file of the weights is missing
    (more / "config.json").write_text(json.dumps({**settings, "layer_types": None}))
    assert "its files lack 9 of its weights, such as model.layers.2." in message_of(more)
    mute = copied("mute")
    (mute / "chat_template.jinja").unlink()
    assert "no chat template" in message_of(mute)
    adapters = tmp_path / "adapters"
    adapters.mkdir()
    gone = {"base_model_name_or_path": str(tmp_path / "gone")}
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(base / name, adapters / name)
    (adapters / "adapter_config.json").write_text(json.dumps(gone))
    assert "is gone" in message_of(adapters)
    (adapters / "adapter_config.json").write_text("[]")
    assert "cannot be read" in message_of(adapters)
