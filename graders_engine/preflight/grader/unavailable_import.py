"""A python source imports a module that is not where it runs.

Why: the source then fails for every row, and each reward is 0.0.

Example: `import torch`. The documented image `2025-05-08` has numpy, scipy, sympy, pandas,
rapidfuzz, scikit-learn, rouge-score, deepdiff, jsonschema, pydantic, pyyaml, nltk, sqlparse, rdkit,
scikit-bio and ast-grep-py. A grader without `image_tag` runs in the engine's own environment here,
and in that image at the hosted services.

To mend it: use the standard library or a module of the image, and name the image in `image_tag`.

Ignore it when: the source runs somewhere else, where the module is installed.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence

from graders_engine.graders.python import PythonGrader
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader import outside_access
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.inputs import Inputs
from graders_engine.sandbox import images
from graders_engine.sandbox.interpreter import missing

_MODULES: Mapping[str, tuple[str, ...]] = {
    "ast-grep-py": ("ast_grep_py",),
    "deepdiff": ("deepdiff", "orderly_set"),
    "jsonschema": (
        "jsonschema",
        "jsonschema_specifications",
        "attr",
        "attrs",
        "referencing",
        "rpds",
    ),
    "nltk": ("nltk", "click", "joblib", "regex", "tqdm"),
    "pandas": ("pandas", "dateutil", "pytz", "six", "tzdata"),
    "pydantic": ("pydantic", "pydantic_core", "annotated_types", "typing_extensions"),
    "pyyaml": ("yaml",),
    "rdkit": ("rdkit", "PIL"),
    "rouge-score": ("rouge_score", "absl", "nltk", "six"),
    "scikit-bio": ("skbio", "biom", "decorator", "h5py", "natsort", "patsy", "statsmodels"),
    "scikit-learn": ("sklearn", "joblib", "threadpoolctl"),
    "sympy": ("sympy", "mpmath"),
}
"""The modules of a package, and of the packages that it needs, where its name is not the only one."""
_DOCUMENTED = "2025-05-08"
_ALIKE = 0.8
"""How alike the names of two modules are if one is meant by the other."""


def _modules_of(tag: str) -> frozenset[str] | None:
    """The modules of an image that is documented; None for another."""
    found = images.DOCUMENTED.get(images.ALIASES.get(tag, tag))
    if found is None:
        return None
    packages = [package.partition("==")[0] for package in found.packages]
    return frozenset(m for package in packages for m in _MODULES.get(package, (package,)))


def _ask(inputs: Inputs) -> Answer:
    facts = inputs.grader
    if facts is None or not facts.python:
        return NotChecked("the grader runs no python")
    return _findings(inputs)


def _findings(inputs: Inputs) -> Iterator[Finding]:
    facts = inputs.grader
    specs = dict(facts.leaves) if facts else {}
    for path, reads in facts.python if facts else ():
        spec = specs[path]
        lines = {
            found.module.partition(".")[0]: found.line
            for found in reversed(reads.imports)
            if not found.optional and not outside_access.needs_network(found.module)
        }
        tag = spec.image_tag if isinstance(spec, PythonGrader) else None
        lacking, where = _lacking(list(lines), tag, hosted=inputs.options.service != "none")
        if lacking:
            yield _finding(inputs, path, [(name, lines[name]) for name in lacking], where)


def _lacking(names: Sequence[str], tag: str | None, *, hosted: bool) -> tuple[list[str], str]:
    """The modules that the chosen image lacks, and what that image is."""
    relative = [name for name in names if not name]
    names = [name for name in names if name]
    tag = tag or (_DOCUMENTED if hosted else None)
    image = images.find(tag) if tag else None
    known = _modules_of(tag) if tag else None
    if known is not None and image is None:
        others = [n for n in names if n not in sys.stdlib_module_names and n not in known]
        return relative + others, f"the image {tag}"
    where = f"the image {tag}" if image else "the engine's own environment"
    return relative + missing(image.interpreter if image else None, list(names)), where


def _finding(inputs: Inputs, path: str, lacking: Sequence[tuple[str, int]], where: str) -> Finding:
    documented = _modules_of(_DOCUMENTED) or frozenset()
    names = [f"`{name}` (line {line})" if name else f"`.` (line {line})" for name, line in lacking]
    place = f"{path}.source".lstrip(".")
    return Finding(
        "unavailable-import",
        "warning",
        f"The source imports {and_joined(names)}, which {where} does not have: it fails for every row.",
        _fix([name for name, _ in lacking], documented),
        where=[Location(inputs.grader_file, 0, place)],
        numbers={"modules": [name for name, _ in lacking]},
        silences=True,
    )


def _fix(names: Sequence[str], documented: frozenset[str]) -> str:
    if all(name in documented for name in names):
        return (
            f'Set `"image_tag": "{_DOCUMENTED}"`, which has it; `graders image build {_DOCUMENTED}` '
            "makes that environment here."
        )
    public = [name for name in sys.stdlib_module_names if not name.startswith("_")]
    near = [
        found
        for known in (documented, public)
        for name in names
        for found in difflib.get_close_matches(name, known, 1, _ALIKE)
    ]
    meant = f"Did you mean `{near[0]}`? Else use" if near else "Use"
    return f"{meant} the standard library, or a package of the image {_DOCUMENTED}."


CHECK = Check(
    "unavailable-import", "grader", _ask, frozenset({"grader"}), silenced_by=("invalid-grader",)
)
