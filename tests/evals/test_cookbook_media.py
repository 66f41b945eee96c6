"""The OpenAI cookbook's scripts for images and sound, by their shapes, against this server."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.evals.cookbook import (
    STRONG,
    Place,
    content,
    counts,
    items_of,
    message,
    poll_runs,
    template,
)
from tests.evals.cookbook_models import JUDGE, WEAK


def test_images_reach_the_model_and_the_judge(place: Place) -> None:
    fields = ("media_url", "reference", "prompt")
    made = place.evals.create(
        name="Image Grading",
        data_source_config={
            "type": "custom",
            "item_schema": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in fields},
                "required": list(fields),
            },
            "include_sample_schema": True,
        },
        testing_criteria=[
            {
                "type": "score_model",
                "name": "Score Model Grader",
                "input": [
                    {"role": "system", "content": "You are an expert grader."},
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_text", "text": "Prompt: {{ item.prompt }}."},
                            {
                                "type": "input_image",
                                "image_url": "{{ item.media_url }}",
                                "detail": "auto",
                            },
                            {
                                "type": "input_text",
                                "text": "Reference answer: {{ item.reference }}. Model response: "
                                "{{ sample.output_text }}.",
                            },
                        ],
                    },
                ],
                "pass_threshold": 0.9,
                "range": [0, 1],
                "model": JUDGE,
            }
        ],
    )
    url = "https://pictures.example/circle.png"
    image = {"type": "input_image", "image_url": "{{ item.media_url }}", "detail": "auto"}
    item = {"media_url": url, "reference": "A circle.", "prompt": "What is this?"}
    run = place.evals.runs.create(
        name="Image Input Eval Run",
        eval_id=made.id,
        data_source={
            "type": "responses",
            "source": content([item]),
            "model": WEAK,
            "input_messages": template(
                message("user", "{{ item.prompt }}"),
                {"role": "user", "type": "message", "content": image},
            ),
        },
    )
    (done,) = poll_runs(place.evals, made.id, run.id)
    assert counts(done) == ("completed", 1, 0, 0)
    (found,) = items_of(place.evals, done)
    assert found.sample.output[0].content == "A red circle."
    assert found.sample.input[1].content == f"<image>{url}</image>"
    judged = found.results[0].sample["input"][1]["content"]
    reference = "Reference answer: A circle.. Model response: A red circle.."
    assert judged == f"Prompt: What is this?. <image>{url}</image> {reference}"


def test_sound_reaches_the_model(place: Place, tmp_path: Path) -> None:
    rows = [
        {"id": number, "official_answer": answer, "audio_base64": sound(spoken)}
        for number, (spoken, answer) in enumerate([("It is valid.", "valid"), ("No.", "valid")])
    ]
    path = tmp_path / "evals_data_source.json"  # the script's name, of a file with a row a line
    path.write_text("".join(json.dumps({"item": row}) + "\n" for row in rows))
    with path.open("rb") as opened:
        file = place.files.create(file=opened, purpose="evals")
    properties = {
        "id": {"type": "integer"},
        "official_answer": {"type": "string"},
        "audio_base64": {"type": "string"},
    }
    made = place.evals.create(
        name="Audio Grading Cookbook",
        data_source_config={
            "type": "custom",
            "item_schema": {
                "type": "object",
                "properties": properties,
                "required": list(properties),
            },
            "include_sample_schema": True,
        },
        testing_criteria=[
            {
                "type": "string_check",
                "name": "String check grader",
                "input": "{{sample.output_text}}",
                "reference": "{{item.official_answer}}",
                "operation": "like",
            }
        ],
    )
    heard = {"data": "{{ item.audio_base64 }}", "format": "wav"}
    run = place.evals.runs.create(
        name="Audio Input Eval Run",
        eval_id=made.id,
        data_source={
            "type": "completions",
            "source": {"type": "file_id", "id": file.id},
            "model": STRONG,
            "input_messages": template(
                {"role": "system", "content": "You answer questions with the audio input."},
                {
                    "role": "user",
                    "type": "message",
                    "content": {"type": "input_audio", "input_audio": heard},
                },
            ),
        },
    )
    (done,) = poll_runs(place.evals, made.id, run.id)
    assert counts(done) == ("completed", 1, 1, 0)
    items = items_of(place.evals, done)
    assert [item.sample.output[0].content for item in items] == ["It is valid.", "No."]
    assert [item.datasource_item for item in items] == rows
    parts = [asked.body["messages"][1]["content"][0] for asked in place.asked(STRONG)]
    assert {part["type"] for part in parts} == {"input_audio"}
    expected = [{**heard, "data": sound(spoken)} for spoken in ("It is valid.", "No.")]
    found = [part["input_audio"] for part in parts]  # which of the two is asked first is open
    assert sorted(found, key=str) == sorted(expected, key=str)


def sound(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
