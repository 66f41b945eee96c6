"""Where models come from that are answered on this machine."""

from __future__ import annotations

from typing import Protocol

from graders_engine.models.base import ModelBackend

TUNED = "ft:"
_MADE_HERE = ":local:"
"""What names of models have that a store's jobs made, where those of the hosted API have a company."""


def is_made_here(name: str) -> bool:
    """Whether a name is of the form that fine-tuning jobs of a store give to their models."""
    return name.startswith(TUNED) and _MADE_HERE in name


class LocalModel(Protocol):
    """A model that can be answered.

    Attributes:
        identity: changes whenever its weights do.
    """

    @property
    def identity(self) -> str: ...  # noqa: D102 - described above


class LocalSource(Protocol):
    """The models of this machine, as one project may use them."""

    def is_local(self, name: str) -> bool:
        """Whether a model of this name is asked here or nowhere."""
        ...

    def is_base(self, name: str) -> bool:
        """Whether it is the name of a base model: an endpoint may have one of the same name."""
        ...

    def find(self, name: str) -> LocalModel | None:
        """The model of a name, as it is now; None where it is not there, or the project may not use it.

        Raises:
            UnavailableGrader: it has to be brought here first.
            GradersError: what knows it cannot be read.
        """
        ...

    def open(self) -> ModelBackend:
        """What answers, once for each attempt: requests name the model, and its identity as `weights`."""
        ...
