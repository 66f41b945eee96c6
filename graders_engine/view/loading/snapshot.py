"""A run as it was at one time, with what was computed of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from functools import cached_property
from threading import RLock
from typing import Any

import numpy as np

from graders_engine.view.lengths.reading import RunLengths
from graders_engine.view.prompts import Prompts
from graders_engine.view.query import Mask, Order, Query, Sort, mask_of, order_of
from graders_engine.view.reading import Read
from graders_engine.view.searching.search import Searches
from graders_engine.view.summary import Summary, summarise
from graders_engine.view.texts import RunTexts

KEPT = 8
"""Selections that a run keeps."""
KEPT_ORDERS = 4
"""Orders that it keeps: each has 4 bytes a row."""


class _LastUsed(OrderedDict[Hashable, Any]):
    """The values that were used last.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def put(self, key: Hashable, value: Any) -> None:
        self[key] = value
        self.move_to_end(key)
        while len(self) > self._count:
            self.popitem(last=False)


class Snapshot:
    """A run as it was at one time, with what was computed of it.

    Args:
        found: the results.
        texts: of their rows.
    """

    def __init__(self, found: Read, texts: RunTexts) -> None:
        self.texts = texts
        self.stamp, self.columns, self.summary = found
        self.lock = RLock()
        self.masks, self.summaries, self.orders = (
            _LastUsed(KEPT),
            _LastUsed(KEPT),
            _LastUsed(KEPT_ORDERS),
        )
        self.searches = Searches(self.columns, texts)
        self._lengths = RunLengths(self.columns, texts)

    @cached_property
    def prompts(self) -> Prompts | None:
        """The prompts; None if rows are no samples of prompts."""
        codes = self.columns.codes
        return None if codes is None else Prompts(self.columns, codes)

    def mask(self, query: Query) -> Mask | None:
        """The rows that pass all filters but the search; None for all rows.

        Raises:
            StillReading: the lengths of the samples are asked for, which are being read.
            DataSetError: they are not known.
        """
        key = query.filters
        if key.length is not None:
            self.columns.lengths = self._lengths.column()
        with self.lock:
            if key not in self.masks:
                self.masks.put(key, mask_of(key, self.columns))
            found: Mask | None = self.masks[key]
            return found

    def order(self, sort: Sort, key: Hashable, mask: Mask | None) -> Order | None:
        """The rows of a mask in order; None for all rows as they are in the file.

        Args:
            sort: the order.
            key: stands for the mask; None for one that will be another soon.
            mask: the rows; None for all.

        Raises:
            StillReading, DataSetError: as for `mask`.
        """
        if sort.by == "length":
            self.columns.lengths = self._lengths.column()
        with self.lock:
            if (sort, None) not in self.orders:
                self.orders.put((sort, None), order_of(sort, self.columns))
            whole: Order | None = self.orders[sort, None]
            self.orders.move_to_end((sort, None))
            if mask is None:
                return whole
            ordered: Order | None = None if key is None else self.orders.get((sort, key))
            if ordered is None:
                found = np.flatnonzero(mask) if whole is None else whole[mask[whole]]
                ordered = found.astype(np.int32)
                if key is not None:
                    self.orders.put((sort, key), ordered)
            return ordered

    def summary_of(self, key: Hashable, mask: Mask | None) -> Summary:
        """The numbers of the rows of a mask; arguments as for `order`."""
        if mask is None:
            return self.summary
        with self.lock:
            found: Summary | None = None if key is None else self.summaries.get(key)
            if found is None:
                found = summarise(self.columns, mask)
                if key is not None:
                    self.summaries.put(key, found)
            return found
