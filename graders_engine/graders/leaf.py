"""All grader types except multi, which combines these. A new type is added here, in both lists."""

from __future__ import annotations

from typing import Annotated

from pydantic import Tag

from graders_engine.graders.base import GraderSpec
from graders_engine.graders.endpoint import EndpointGrader
from graders_engine.graders.fields import by_type
from graders_engine.graders.label_model import LabelModelGrader
from graders_engine.graders.python import PythonGrader
from graders_engine.graders.score_model import ScoreModelGrader
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.graders.text_similarity import TextSimilarityGrader

LEAF_SPECS: dict[str, type[GraderSpec]] = {
    "string_check": StringCheckGrader,
    "text_similarity": TextSimilarityGrader,
    "python": PythonGrader,
    "score_model": ScoreModelGrader,
    "label_model": LabelModelGrader,
    "endpoint": EndpointGrader,
}
LEAF_TYPES = tuple(LEAF_SPECS)

Leaf = (
    Annotated[StringCheckGrader, Tag("<string_check>")]
    | Annotated[TextSimilarityGrader, Tag("<text_similarity>")]
    | Annotated[PythonGrader, Tag("<python>")]
    | Annotated[ScoreModelGrader, Tag("<score_model>")]
    | Annotated[LabelModelGrader, Tag("<label_model>")]
    | Annotated[EndpointGrader, Tag("<endpoint>")]
)
LeafGrader = Annotated[Leaf, by_type(*LEAF_TYPES)]
