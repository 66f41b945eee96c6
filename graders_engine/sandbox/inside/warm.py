"""Warming up: a few trusted lines per heavy library, run in the template when the source imports it.

First calls into such libraries are slow (they build tables, import submodules, compile patterns),
and a fork per grade would repeat them each time. No user code and no data are involved.
"""

from __future__ import annotations

import contextlib

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Modules = Mapping[str, Any]


def _numpy(m: Modules) -> None:
    numpy = m["numpy"]
    a = numpy.array([1.0, 2.0, 3.0])
    numpy.allclose(a, a)
    a.mean(), a.std(), float(a @ a), numpy.linalg.norm(a), numpy.asarray(["a"]), str(a)


def _pandas(m: Modules) -> None:
    import io

    frame = m["pandas"].read_csv(io.StringIO("a,b\n1,x\n2,y\n"))
    frame.groupby("b")["a"].sum(), str(frame), frame.to_dict("records")


def _sympy(m: Modules) -> None:
    sympy = m["sympy"]
    x = sympy.Symbol("x")
    one = sympy.simplify(sympy.sympify("(x**2 - 1)/(x - 1) - x"))
    sympy.simplify(one - 1).equals(0), sympy.expand((x + 1) ** 2), sympy.solve(x**2 - 1, x)
    sympy.N(sympy.sqrt(2)), str(sympy.Rational(1, 3))


def _sklearn(m: Modules) -> None:
    from sklearn import metrics  # type: ignore[import-not-found,unused-ignore]  # the image's

    metrics.f1_score([0, 1, 1], [0, 1, 0], average="macro")
    metrics.accuracy_score([0, 1], [0, 1])


def _scipy(m: Modules) -> None:
    if "scipy.stats" in m:
        m["scipy.stats"].spearmanr([1, 2, 3], [1, 2, 4])
        m["scipy.stats"].pearsonr([1, 2, 3], [1, 2, 4])


def _rapidfuzz(m: Modules) -> None:
    from rapidfuzz import fuzz, utils

    fuzz.WRatio("a b", "b c", processor=utils.default_process)


def _nltk(m: Modules) -> None:
    from nltk.translate import bleu_score

    with contextlib.suppress(Exception):
        bleu_score.sentence_bleu([["a", "b", "c", "d"]], ["a", "b", "c", "d"])


def _rouge_score(m: Modules) -> None:
    from rouge_score import rouge_scorer

    rouge_scorer.RougeScorer(["rouge1", "rougeL"], use_stemmer=True).score("a b", "a c")


def _jsonschema(m: Modules) -> None:
    m["jsonschema"].validate({"a": 1}, {"type": "object", "properties": {"a": {"type": "integer"}}})


def _pydantic(m: Modules) -> None:
    m["pydantic"].create_model("Warm", a=(int, ...))(a="1")


def _deepdiff(m: Modules) -> None:
    m["deepdiff"].DeepDiff({"a": [1]}, {"a": [2]}, ignore_order=True)


def _sqlparse(m: Modules) -> None:
    str(m["sqlparse"].parse("select a from b where c = 1")[0])


def _re(m: Modules) -> None:
    m["re"].search(r"(\w+)\s*=\s*(-?\d+)", "a = 1")


#: the lines for each package
TABLE: dict[str, Callable[[Modules], None]] = {
    "re": _re,
    "numpy": _numpy,
    "scipy": _scipy,
    "pandas": _pandas,
    "sympy": _sympy,
    "sklearn": _sklearn,
    "rapidfuzz": _rapidfuzz,
    "nltk": _nltk,
    "rouge_score": _rouge_score,
    "jsonschema": _jsonschema,
    "pydantic": _pydantic,
    "deepdiff": _deepdiff,
    "sqlparse": _sqlparse,
}


def warm(modules: Modules) -> None:
    """Warm up the libraries that are imported. One that fails here is only slower later."""
    for name, lines in TABLE.items():
        if name in modules:
            with contextlib.suppress(Exception):
                lines(modules)
