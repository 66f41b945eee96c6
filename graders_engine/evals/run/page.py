"""`python -m graders_engine.evals.run.page DIR RUN_ID`: prints the page of a run, for a browser.

A process of its own: numbers of many results take a while, and their libraries much memory.
"""

from __future__ import annotations

import dataclasses
import gc
import sys
from pathlib import Path

from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.evals.run.place import RESULTS
from graders_engine.evals.run.summary import REFRESH_S, summary_of
from graders_engine.report.html.eval_run import RunSummary, run_page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

_GONE = 66
"""Exit code where there is no such run."""


def page_of(store: Store, run: StoredRun) -> str:
    """The page of a run: what it says of itself, then the report of its rewards, if it has results."""
    results = store.run_folder(run.id) / RESULTS
    if not results.exists() or not results.stat().st_size:
        return run_page(summary_of(store, run, has_report=False))
    summary = summary_of(store, run, has_report=True)
    try:
        return _with_report(results, summary)
    except (DataSetError, InvalidRequest) as error:
        reason = str(error).replace(f"{results.parent}/", "")
        note = f"The report of the rewards cannot be made: {reason}"
        refresh_s = 0 if run.status != "in_progress" else REFRESH_S
        return run_page(
            dataclasses.replace(summary, notes=(*summary.notes, note), refresh_s=refresh_s)
        )


def _with_report(results: Path, summary: RunSummary) -> str:
    # A page without a report needs none of these, which take seconds to import.
    from graders_engine.dataset.results.digest import digest
    from graders_engine.dataset.results.meta import read_meta
    from graders_engine.report.html.page import report_page
    from graders_engine.report.numbers import numbers_of
    from graders_engine.report.provenance import Provenance
    from graders_engine.report.row_texts import texts_of

    meta = read_meta(results)
    numbers = numbers_of(digest(results), meta)
    rows = numbers.digest
    texts = texts_of(rows.extremes(), meta, file=results, others=rows.drawn.rows())
    return report_page(numbers, Provenance(results, meta), texts, summary)


def main(folder: Path, run_id: str) -> int:
    """Print the page of a run; gives the exit code."""
    gc.disable()  # results have no cycles
    with Store(folder) as store:
        run = store.runs.find(run_id)
        if run is None:
            return _GONE
        sys.stdout.buffer.write(page_of(store, run).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
