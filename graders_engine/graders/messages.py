"""The messages that a model grader sends to its judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Tag

from graders_engine.errors import Mistake
from graders_engine.graders.base import GraderSpec, Services
from graders_engine.graders.fields import TemplateField, by_shape, by_type, one_of
from graders_engine.language.scope import Scope, scope_of
from graders_engine.models.base import AudioPart, ImagePart, ModelMessage, Sampling, TextPart

ROLES = ("user", "assistant", "system", "developer")
BLOCKS = ("input_text", "output_text", "input_image", "input_audio")
NOTHING = scope_of(None, model_sample="")
"""For what names no variable."""
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class _Part(BaseModel):
    # Requests in the API's own documentation carry keys such as `file_id: null`: unknown ones pass.
    model_config = ConfigDict(
        extra="ignore", strict=True, frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )


class InputText(_Part):
    """Text to the judge."""

    type: Literal["input_text"]
    text: TemplateField


class OutputText(_Part):
    """Text that a model gave."""

    type: Literal["output_text"]
    text: TemplateField


class InputImage(_Part):
    """An image by its address, or as a data URL."""

    type: Literal["input_image"]
    image_url: TemplateField
    detail: Annotated[Literal["low", "high", "auto"], one_of("low", "high", "auto")] | None = None


class AudioData(_Part):
    """Base64-encoded sound."""

    data: TemplateField
    format: Annotated[Literal["mp3", "wav"], one_of("mp3", "wav")]


class InputAudio(_Part):
    """Sound to the judge."""

    type: Literal["input_audio"]
    input_audio: AudioData


Block = Annotated[
    Annotated[InputText, Tag("<input_text>")]
    | Annotated[OutputText, Tag("<output_text>")]
    | Annotated[InputImage, Tag("<input_image>")]
    | Annotated[InputAudio, Tag("<input_audio>")],
    by_type(*BLOCKS),
]


ContentPart = Annotated[
    Annotated[TemplateField, Tag("<str>")] | Annotated[Block, Tag("<dict>")], by_shape(str, dict)
]
Content = Annotated[
    Annotated[TemplateField, Tag("<str>")]
    | Annotated[Block, Tag("<dict>")]
    | Annotated[list[ContentPart], Tag("<list>")],
    by_shape(str, dict, list),
]


class Message(_Part):
    """One message to the judge."""

    role: Annotated[Literal["user", "assistant", "system", "developer"], one_of(*ROLES)]
    content: Content
    type: Annotated[Literal["message"], one_of("message")] | None = None


class SamplingParams(BaseModel):
    """How the judge samples; nulls are as if left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    max_completions_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The API's own spelling; the two common ones are accepted too."
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    reasoning_effort: (
        Annotated[
            Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"], one_of(*EFFORTS)
        ]
        | None
    ) = None
    seed: int | None = None
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[float, Field(ge=0.0, le=1.0)] | None = None

    def sampling(self) -> Sampling:
        """As a request has it."""
        most = self.max_completions_tokens or self.max_completion_tokens or self.max_tokens
        return Sampling(most, self.reasoning_effort, self.seed, self.temperature, self.top_p)


class ModelGrader(GraderSpec):
    """What the two graders that ask a model share."""

    model: str
    input: Annotated[list[Message], Field(min_length=1)]
    sampling_params: SamplingParams | None = None
    sampling_parameters: SamplingParams | None = None

    def judge_models(self) -> frozenset[str]:
        """The model that it asks."""
        return frozenset({self.model})

    def cautions(self, services: Services, path: str = "") -> Iterator[Mistake]:
        """The model's output in a message that the judge obeys."""
        for position, message in enumerate(self.input):
            templates = _templates(message.content)
            names = (var.namespace for template in templates for var in template.variables)
            if message.role in ("system", "developer") and "sample" in names:
                where = f"{path}input[{position}]"
                yield Mistake(
                    f"'{where}' puts the model's output into a {message.role} message, "
                    "where the judge reads it as instructions.",
                    where,
                    hint="Move {{sample.…}} into a user message.",
                )


def renderer(messages: Sequence[Message]) -> Callable[[Scope], tuple[ModelMessage, ...]]:
    """What renders the messages for a row.

    What a variable gives is data: it is never read as a template again.
    """
    writers = [_writer(message) for message in messages]
    return lambda scope: tuple([writer(scope) for writer in writers])


def _writer(message: Message) -> Callable[[Scope], ModelMessage]:
    role, parts = message.role, _parts(message.content)
    if not any(template.variables for template in _templates(message.content)):
        always = ModelMessage(role, tuple(_part(part, NOTHING) for part in parts))
        return lambda scope: always
    return lambda scope: ModelMessage(role, tuple([_part(part, scope) for part in parts]))


def _parts(content: Any) -> Sequence[Any]:
    return content if isinstance(content, list) else [content]


def _part(part: Any, scope: Scope) -> TextPart | ImagePart | AudioPart:
    if isinstance(part, InputImage):
        return ImagePart(part.image_url.render(scope), part.detail)
    if isinstance(part, InputAudio):
        return AudioPart(part.input_audio.data.render(scope), part.input_audio.format)
    return TextPart(getattr(part, "text", part).render(scope))


def _templates(content: Any) -> Iterator[Any]:
    """All templates of a message's content."""
    if isinstance(content, list):
        for part in content:
            yield from _templates(part)
    elif isinstance(content, InputAudio):
        yield content.input_audio.data
    elif isinstance(content, InputImage):
        yield content.image_url
    else:
        yield getattr(content, "text", content)
