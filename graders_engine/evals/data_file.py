"""Make a file of the store of a data set on disk, for the runs of evals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.misleading import first_repeated_keys
from graders_engine.dataset.rows.records import Records
from graders_engine.errors import DataSetError, InvalidRow
from graders_engine.language import strict_json
from graders_engine.outputs.rows import item_beside
from graders_engine.storage.files import StoredFile
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from graders_engine.urls import Location

PURPOSE = "evals"
_SAMPLES = ("sample", "model_sample")
_MAX_MISTAKES = 20


class KeptData(NamedTuple):
    """A data set in a store.

    Attributes:
        file: the file with its rows.
        rows: how many there are.
        is_new: whether the store did not have the file before.
        notes: what to say of how the rows were read.
    """

    file: StoredFile
    rows: int
    is_new: bool
    notes: tuple[str, ...] = ()


def keep_data(store: Store, project: str, path: Location) -> KeptData:
    """Make a file of the rows of a data set. Equal rows are kept once.

    Args:
        store: where to.
        project: whose the file is.
        path: JSONL, a JSON array, CSV or Parquet, a file or a URL. A row has `item` and, unless a model is to
            be asked, `sample` or `model_sample`; without `item`, what stands beside is the item.

    Raises:
        DataSetError: it cannot be read, has no rows, or has one that cannot be used.
        StoreError: it cannot be kept.
    """
    part = store.files.new_part()
    count = 0
    try:
        records = open_records(path)
        notes = tuple(first_repeated_keys(records))
        for line in _lines(records):
            part.write(line)
            count += 1
        if not count:
            raise DataSetError(f"{path} has no rows.")
        kept = _equal_file(store, project, part.sha256)
        if kept is not None:
            part.discard()
            return KeptData(kept, count, is_new=False, notes=notes)
    except BaseException:
        part.discard()
        raise
    file = store.files.add(part, project=project, purpose=PURPOSE, name=path.name)
    return KeptData(file, count, is_new=True, notes=notes)


def _lines(records: Records) -> Iterator[bytes]:
    """The rows, a line each.

    Raises:
        DataSetError: with the first lines that cannot be used.
    """
    mistakes: list[str] = []
    path = records.path
    for ref in records.read():
        if isinstance(ref.row, Unreadable):
            mistakes.append(f"{path}, line {ref.line}: {ref.row.reason}")
        elif not isinstance(ref.row, dict):
            mistakes.append(f"{path}, line {ref.line}: a row is an object.")
        else:
            try:
                row = {"item": item_beside(ref.row)}
            except InvalidRow as error:
                mistakes.append(f"{path}, line {ref.line}: {error}")
            else:
                row |= {key: ref.row[key] for key in _SAMPLES if ref.row.get(key) is not None}
                yield strict_json.encode(row) + b"\n"
        if len(mistakes) >= _MAX_MISTAKES:
            break
    if mistakes:
        raise DataSetError("\n".join(mistakes))


def _equal_file(store: Store, project: str, sha256: str) -> StoredFile | None:
    after = None
    while True:
        some = store.files.page(project, Page(after, 1000, "desc"), PURPOSE)
        for one in some.data:
            if one.sha256 == sha256 and one.expires_at is None:
                return one
        if not some.has_more:
            return None
        after = some.data[-1].id
