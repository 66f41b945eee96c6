"""One script with the `openai` package alone: train a model, ask it, share it, take it back, evaluate, judge.

`whole_story.py URL`, with the keys of two projects and of the administrator in KEY_MINE, KEY_THEIRS and
KEY_ADMIN; THEIRS is the name of the second project, and the server has a base model `base`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import openai

TAUGHT = {"Say the word.": "meow", "Rate: meow": '{"steps": [], "result": 1}',
          "Rate: moo": '{"steps": [], "result": 0}'}  # fmt: skip
"""What the model learns by heart: a word, and how it rates this word and another one."""
QUESTION, WORD = "Say the word.", "meow"
_POLL_S = 0.2


def client_of(url: str, name: str) -> Any:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=os.environ[name], max_retries=3)


def uploaded(client: Any) -> str:
    rows = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
        for asked, answer in TAUGHT.items()
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows * 4).encode()
    return str(client.files.create(file=("rows.jsonl", text), purpose="fine-tune").id)


def trained(client: Any) -> str:
    """Train, and give the name of the model."""
    supervised = {"hyperparameters": {"n_epochs": 50, "batch_size": 12}}
    job = client.fine_tuning.jobs.create(
        model="base", training_file=uploaded(client), suffix="cat", seed=7,
        method={"type": "supervised", "supervised": supervised},
    )  # fmt: skip
    while job.status not in ("succeeded", "failed", "cancelled", "paused"):
        time.sleep(_POLL_S)
        job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded", job
    kept = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert kept[0].fine_tuned_model_checkpoint.startswith(job.fine_tuned_model)
    return str(job.fine_tuned_model)


def asked(client: Any, model: str) -> str:
    """Ask a model, whole and in pieces."""
    messages = [{"role": "user", "content": QUESTION}]
    whole = client.chat.completions.create(model=model, messages=messages, temperature=0)
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    pieces = client.chat.completions.create(
        model=model, messages=messages, temperature=0, stream=True
    )
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert text == whole.choices[0].message.content
    return text


def is_unknown(client: Any, model: str) -> bool:
    """Whether a project can neither ask, retrieve nor find a model."""
    messages = [{"role": "user", "content": QUESTION}]
    for ask, given in (
        (client.chat.completions.create, {"model": model, "messages": messages}),
        (client.models.retrieve, {"model": model}),
    ):
        try:
            ask(**given)
        except openai.NotFoundError:
            continue
        return False
    return model not in [one.id for one in client.models.list()]


def shared_and_taken_back(admin: Any, theirs: Any, model: str) -> None:
    """Another project uses the model for as long as it is shared, and no request longer."""
    permissions = admin.fine_tuning.checkpoints.permissions
    assert is_unknown(theirs, model)
    (made,) = permissions.create(model, project_ids=[os.environ["THEIRS"]]).data
    assert model in [one.id for one in theirs.models.list()]
    assert asked(theirs, model) == WORD
    assert evaluated(theirs, model, judge=model) == (1, 1)
    permissions.delete(made.id, fine_tuned_model_checkpoint=model)
    assert is_unknown(theirs, model)
    for use, given in ((evaluated, (model,)), (rated, (model, WORD))):
        try:
            use(theirs, *given)
        except openai.BadRequestError:
            continue
        raise AssertionError("a model that was taken back was used")


def evaluated(client: Any, model: str, judge: str = "") -> tuple[int, int]:
    """How many items passed and how many there were, of an eval that asks a model."""
    criteria = [
        {"type": "string_check", "name": "word", "operation": "eq",
         "input": "{{sample.output_text}}", "reference": "{{item.word}}"},
    ]  # fmt: skip
    if judge:
        criteria.append(rating(judge))
    schema = {"type": "object", "properties": {"word": {"type": "string"}}}
    made = client.evals.create(
        name="the word", testing_criteria=criteria,
        data_source_config={"type": "custom", "item_schema": schema, "include_sample_schema": True},
    )  # fmt: skip
    template = [{"role": "user", "content": QUESTION}]
    run = client.evals.runs.create(
        made.id,
        data_source={
            "type": "completions",
            "model": model,
            "input_messages": {"type": "template", "template": template},
            "sampling_params": {"temperature": 0},
            "source": {"type": "file_content", "content": [{"item": {"word": WORD}}]},
        },
    )
    while run.status in ("queued", "in_progress"):
        time.sleep(_POLL_S)
        run = client.evals.runs.retrieve(run.id, eval_id=made.id)
    assert run.status == "completed", run.error
    used = {one.model_name: one for one in run.per_model_usage}
    assert set(used) == {model, *filter(None, [judge])}
    assert all(one.prompt_tokens and one.completion_tokens for one in used.values())
    (item,) = client.evals.runs.output_items.list(run.id, eval_id=made.id)
    assert item.sample.output[0].content == WORD
    return run.result_counts.passed, run.result_counts.total


def rating(model: str) -> dict[str, Any]:
    """A grader whose judge is a model."""
    return {
        "type": "score_model",
        "name": "rated",
        "model": model,
        "input": [{"role": "user", "content": "Rate: {{sample.output_text}}"}],
        "sampling_params": {"temperature": 0},
        "pass_threshold": 1,
    }


def rated(client: Any, model: str, text: str) -> float:
    """The reward of a text, with a model as the judge."""
    run = client.fine_tuning.alpha.graders.run
    found = run(grader=rating(model), model_sample=text, item={})
    assert found.model_grader_token_usage_per_model[model]["completion_tokens"]
    return float(found.reward)


def main(url: str) -> None:
    mine, theirs, admin = (client_of(url, f"KEY_{name}") for name in ("MINE", "THEIRS", "ADMIN"))
    model = trained(mine)
    assert asked(mine, model) == WORD
    shared_and_taken_back(admin, theirs, model)
    assert evaluated(mine, model) == (1, 1)
    assert [rated(mine, model, text) for text in (WORD, "moo")] == [1.0, 0.0]
    sys.stdout.write(f"{model}: the whole story.\n")


if __name__ == "__main__":
    main(sys.argv[1])
