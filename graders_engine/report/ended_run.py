"""The numbers of a run that has just ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graders_engine.dataset.results.meta import COMPLETE, METRICS_CORE, read_meta
from graders_engine.dataset.results.tally import Tally
from graders_engine.report.provenance import Provenance, passing_of
from graders_engine.report.run_json import numbers_json, tally_json
from graders_engine.report.terminal.report import numbers_text, tally_text
from graders_engine.report.terminal.screen import Screen
from graders_engine.urls import Location
from graders_engine.version import __version__


class EndedRun:
    """The numbers of a run that has just ended.

    Those of groups, and of very many different rewards, are read again from the results.

    Args:
        tally: the numbers that the run counted.
        place: its results.
        settings: what gave them.
    """

    def __init__(self, tally: Tally, place: Path, settings: Mapping[str, Any]) -> None:
        self._tally, self._settings, self._place = tally, settings, place
        self._numbers = self._pass_rate = self._judged = None
        meta = read_meta(place)
        self._core = meta.get(METRICS_CORE)
        self._origin = Provenance(place, {**meta, "settings": settings}).settings
        passing = passing_of(meta)
        needs_numbers = tally.grouped or tally.reward_counts is None
        if needs_numbers or settings.get("judges"):  # what judges took is in the results alone
            from graders_engine.dataset.results.digest import digest
            from graders_engine.report.numbers import numbers_of  # imports numpy

            self._judged = numbers_of(digest(place), meta)
        if needs_numbers:
            self._numbers = self._judged
        elif passing is not None:
            from graders_engine.report.numbers import pass_rate_of

            self._pass_rate = pass_rate_of(tally, passing)

    def text(self, screen: Screen) -> str:
        """The report, for a terminal."""
        if self._numbers:
            return numbers_text(self._numbers, self._origin, screen=screen)
        return tally_text(self._tally, self._origin, self._pass_rate, screen, self._judged)

    def json(self, out: Location) -> dict[str, Any]:
        """The report as JSON values.

        Args:
            out: where the results are, as the user named it.
        """
        if self._numbers:
            meta = {
                "settings": self._settings,
                "engine": __version__,
                METRICS_CORE: self._core,
                COMPLETE: True,
            }
            found = numbers_json(self._numbers, Provenance(self._place, meta))
            return {**found, "results": str(out)}
        found = tally_json(self._tally, self._place, self._settings, self._pass_rate, self._core)
        return {**found, "results": str(out)}
