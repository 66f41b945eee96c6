"""All grader types, and where each is defined: only the types that are used are imported.

A new type is added here, and to the union in `multi` if a multi can contain it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from graders_engine.graders.base import GraderSpec

_CLASSES = {
    "string_check": "StringCheckGrader",
    "text_similarity": "TextSimilarityGrader",
    "python": "PythonGrader",
    "score_model": "ScoreModelGrader",
    "label_model": "LabelModelGrader",
    "endpoint": "EndpointGrader",
    "multi": "MultiGrader",
}
"""Type -> its spec, in the module of the type's name."""
TYPES = tuple(_CLASSES)
LEAF_TYPES = tuple(name for name in TYPES if name != "multi")


class _Specs(Mapping[str, type[GraderSpec]]):
    """The specs by type; one is imported when it is looked up."""

    def __getitem__(self, name: str) -> type[GraderSpec]:
        class_name = _CLASSES[name]
        spec: type[GraderSpec] = getattr(
            import_module(f"graders_engine.graders.{name}"), class_name
        )
        return spec

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


SPECS: Mapping[str, type[GraderSpec]] = _Specs()
