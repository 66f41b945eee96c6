"""The messages that a model grader sends to its judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Tag

from graders_engine.errors import Mistake
from graders_engine.graders.base import GraderSpec, KnownKeys, Services
from graders_engine.graders.fields import TemplateField, by_shape, by_type, one_of
from graders_engine.language.scope import Scope, scope_of
from graders_engine.models.base import AudioPart, ImagePart, ModelMessage, Sampling, TextPart

Role = Literal["user", "assistant", "system", "developer"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Detail = Literal["low", "high", "auto"]
AudioFormat = Literal["mp3", "wav"]
MessageType = Literal["message"]
BLOCKS = ("input_text", "output_text", "input_image", "input_audio")
EMPTY_SCOPE = scope_of(None, model_sample="")
"""For templates without variables."""


class _Part(BaseModel):
    # Requests in the API's documentation have keys such as `file_id: null`: unknown keys are ignored.
    model_config = ConfigDict(
        extra="ignore", strict=True, frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )


class InputText(_Part):
    """Text for the judge."""

    type: Literal["input_text"]
    text: TemplateField


class OutputText(_Part):
    """Text from a model."""

    type: Literal["output_text"]
    text: TemplateField


class InputImage(_Part):
    """An image: its address or a data URL."""

    type: Literal["input_image"]
    image_url: TemplateField
    detail: Annotated[Detail, one_of(Detail)] | None = None


class AudioData(_Part):
    """Base64-encoded audio."""

    data: TemplateField
    format: Annotated[AudioFormat, one_of(AudioFormat)]


class InputAudio(_Part):
    """Audio for the judge."""

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

    role: Annotated[Role, one_of(Role)]
    content: Content
    type: Annotated[MessageType, one_of(MessageType)] | None = None


class SamplingParams(KnownKeys):
    """How the judge samples; a null means the same as a missing key."""

    max_completions_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The API's spelling; the two common spellings are also accepted."
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    reasoning_effort: Annotated[Effort, one_of(Effort)] | None = None
    seed: int | None = None
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[float, Field(ge=0.0, le=1.0)] | None = None

    def sampling(self) -> Sampling:
        """The parameters in the form that a request has."""
        max_tokens = self.max_completions_tokens or self.max_completion_tokens or self.max_tokens
        return Sampling(max_tokens, self.reasoning_effort, self.seed, self.temperature, self.top_p)


class ModelGrader(GraderSpec):
    """The keys that both graders with a judge have."""

    model: str
    input: Annotated[list[Message], Field(min_length=1)]
    sampling_params: SamplingParams | None = None
    sampling_parameters: SamplingParams | None = None

    def judge_models(self) -> frozenset[str]:
        """The model that it names."""
        return frozenset({self.model})

    def needs(self) -> frozenset[str]:
        """What its requests have that not every model takes."""
        sampling = (self.sampling_params or self.sampling_parameters or SamplingParams()).sampling()
        parts = [part for message in self.input for part in _parts_of(message.content)]
        found = {
            "reasoning_effort": sampling.reasoning_effort is not None,
            "image": any(isinstance(part, InputImage) for part in parts),
            "audio": any(isinstance(part, InputAudio) for part in parts),
        }
        return frozenset(name for name, is_there in found.items() if is_there)

    def cautions(self, services: Services, path: str = "") -> Iterator[Mistake]:
        """Messages that put the model's output where a judge reads instructions."""
        for position, message in enumerate(self.input):
            templates = _content_templates(message.content)
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
    """A function that renders the messages for a row.

    The value of a variable is data: it is never expanded as a template.
    """
    renderers = [_message_renderer(message) for message in messages]
    return lambda scope: tuple([render(scope) for render in renderers])


def _message_renderer(message: Message) -> Callable[[Scope], ModelMessage]:
    role, content = message.role, message.content
    parts = _parts_of(content)
    if not any(template.variables for template in _content_templates(content)):
        constant = ModelMessage(role, tuple(_render_part(part, EMPTY_SCOPE) for part in parts))
        return lambda scope: constant
    return lambda scope: ModelMessage(role, tuple([_render_part(part, scope) for part in parts]))


def _parts_of(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _render_part(part: Any, scope: Scope) -> TextPart | ImagePart | AudioPart:
    if isinstance(part, InputImage):
        return ImagePart(part.image_url.render(scope), part.detail)
    if isinstance(part, InputAudio):
        return AudioPart(part.input_audio.data.render(scope), part.input_audio.format)
    return TextPart(getattr(part, "text", part).render(scope))


def _content_templates(content: Any) -> Iterator[Any]:
    """All templates in the content of a message."""
    if isinstance(content, list):
        for part in content:
            yield from _content_templates(part)
    elif isinstance(content, InputAudio):
        yield content.input_audio.data
    elif isinstance(content, InputImage):
        yield content.image_url
    else:
        yield getattr(content, "text", content)
