"""A generator for tests of those who ask: it repeats the last word that it reads, and gives verdicts by it.

A model's folder may hold `says.json`: what it answers to a last word. In the folder of the process, `dies-at`
has the number of an answer in whose middle the process kills itself, once; `waits-at` that of one that is not
given before there is `go`; `busy` how many requests are refused first; with `on-gpu` the model takes the GPU.
Each answer is a line of `answered`. A model whose folder has `broken` cannot be loaded; each attempt is a
line of that file.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

from graders_engine.inference.errors import ModelBusy, ModelUnavailable
from graders_engine.inference.generator import Answer, Choice, Listener
from graders_engine.inference.request import ChatRequest
from graders_engine.inference.served import ServedModel
from tests.jobs.models import make_model

ROOT = Path(__file__).parents[2]
CONFIG = """
[base_models]
tiny = "tiny"
[inference]
python = "answers"
idle_s = 20
"""


class Echoing:
    """See above."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.says: dict[str, str] = {}

    @property
    def on_gpu(self) -> bool:
        return Path("on-gpu").exists()

    def load(self, model: ServedModel) -> None:
        if (broken := model.folder / "broken").exists():
            with broken.open("a", encoding="utf-8") as lines:
                lines.write("an attempt\n")
            raise ModelUnavailable("The weights are not whole.")
        file = model.folder / "says.json"
        self.says = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def answer(self, request: ChatRequest, model: ServedModel, listener: Listener) -> Answer:
        words = " ".join(one["content"] for one in request.messages).split()
        self.act(model, words[-1])
        text = self.says.get(words[-1], words[-1])
        if request.response_format is not None:
            text = json.dumps({"steps": [], "result": verdict(request.response_format, text)})
        limit = min(request.max_tokens or 1 << 30, model.max_completion_tokens)
        said = text.split()
        cut = len(said) > limit
        choice = Choice(" ".join(said[:limit]), [], "length" if cut else "stop", len(said[:limit]))
        return Answer([choice] * request.choices, len(words))

    def act(self, model: ServedModel, word: str) -> None:
        busy = Path("busy")
        if busy.exists() and (left := int(busy.read_text())):
            busy.write_text(str(left - 1))
            raise ModelBusy("Another model is answering.")
        with Path("answered").open("a", encoding="utf-8") as file:
            file.write(f"{model.name} {word}\n")
        waits, dies = Path("waits-at"), Path("dies-at")
        count = len(Path("answered").read_text(encoding="utf-8").splitlines())
        if waits.exists() and count >= int(waits.read_text()):
            while not Path("go").exists():
                time.sleep(0.02)
        if dies.exists() and count >= int(dies.read_text()):
            dies.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None: ...


def verdict(response_format: dict[str, Any], text: str) -> Any:
    """The number that a text is, 0 for none; or it as one of the labels, the last one for none."""
    result = response_format["json_schema"]["schema"]["properties"]["result"]
    if "enum" in result:
        return text if text in result["enum"] else result["enum"][-1]
    return float(text) if text.replace(".", "", 1).isdigit() else 0.0


def lay_out(folder: Path, more: str = "") -> Path:
    """A graders.toml, the base model that it names, and a Python that answers so; gives the file."""
    make_model(folder / "tiny")
    python = folder / "answers"
    generator = "tests.inference.echoing:Echoing"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" --generator {generator}\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    config = folder / "graders.toml"
    config.write_text(CONFIG + more, encoding="utf-8")
    return config


def answered(store: Path) -> list[str]:
    """What was answered, as `MODEL WORD`."""
    file = store / "inference" / "answered"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
