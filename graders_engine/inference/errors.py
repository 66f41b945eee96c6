"""Why a model gave no answer."""

from __future__ import annotations

from graders_engine.body_fields import InvalidBody
from graders_engine.errors import GradersError


class InvalidChat(InvalidBody):
    """Raised when a request cannot be answered as it stands; its `mistakes` have the `param` of each."""


class ModelBusy(GradersError):
    """Raised when a model cannot answer now: too many wait, or a job trains on its GPU."""


class ModelUnavailable(GradersError):
    """Raised when a model cannot be loaded, or was lost before its answer was whole."""


class ModelLost(ModelUnavailable):
    """Raised when the process that answers died before the answer was whole: another attempt may succeed."""
