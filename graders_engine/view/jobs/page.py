"""The page of a fine-tuning job: its sections as trees, those that the browser does not have yet."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

from graders_engine.jobs.page.watch import JobWatch
from graders_engine.view.context import Request, View
from graders_engine.view.folders.places import unknown
from graders_engine.view.trees import trees

MAX_JOBS = 16
"""Jobs whose numbers are kept; of others, all is read again."""
FIRST_S, AGAIN_S = 0.15, 0.06
"""About so long rollouts are read for an answer: the first one, and each after that."""
_DIGEST = re.compile(r"[0-9a-f]{20}")


class JobPages:
    """The jobs that are looked at."""

    def __init__(self) -> None:
        self._watches: OrderedDict[Path, JobWatch] = OrderedDict()
        self._lock = Lock()

    def answer(self, view: View, request: Request) -> dict[str, Any]:
        """`GET api/jobs/{job}?have=DIGESTS`.

        Raises:
            Refused: there is no such job.
        """
        job_id = request.path["job"]
        place = view.source(request).job(job_id)
        watch, is_new = self._watch(view, place.folder)
        summary = watch.summary(place.read, FIRST_S if is_new else AGAIN_S)
        if summary is None:
            raise unknown(job_id)
        known = _DIGEST.findall(request.parameters.get("have", "")[:1000])
        return {
            "id": summary.id,
            "name": summary.name,
            "method": summary.method,
            "line": summary.line,
            "status": summary.status_words,
            "is_going": summary.is_going,
            "is_reading": watch.is_reading,
            "sections": [
                {
                    "id": one.id,
                    "heading": one.heading,
                    "digest": one.digest,
                    "tree": None if one.html is None else ["div", {}, trees(one.html)],
                }
                for one in watch.sections(summary, known)
            ],
        }

    def _watch(self, view: View, folder: Path) -> tuple[JobWatch, bool]:
        """What is known of a job, and whether nothing is yet."""
        with self._lock:
            found = self._watches.pop(folder, None)
            watch = found or JobWatch(folder, view.settings)
            self._watches[folder] = watch
            while len(self._watches) > MAX_JOBS:
                self._watches.popitem(last=False)
        return watch, found is None
