"""The paths of a grader in the rows of a data set, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graders_engine.dataset.rows.paths import MAX_PLACES, CheckedPath, CheckedPaths, FailingRows
from graders_engine.report.terminal.screen import FILE, Screen


def paths_text(checked: CheckedPaths, screen: Screen = FILE) -> str:
    """Which paths fail, in how many rows and why, and what was not checked."""
    return screen.text([*_failing(checked), *_summary(checked)])


def _failing(checked: CheckedPaths) -> Iterator[str]:
    if checked.unreadable:
        places = _places(checked.unreadable_places, checked.unreadable)
        yield f"{_count(checked.unreadable, 'row')} cannot be read: {places}"
        yield from _reasons(checked.unreadable_reasons, checked.unreadable)
        yield ""
    by_reason: dict[tuple[str, ...], list[CheckedPath]] = {}
    for path in checked.paths:
        if path.failed:
            by_reason.setdefault(tuple(_reasons(path.reasons, path.failed)), []).append(path)
    for reasons, paths in by_reason.items():
        yield from (f"{path.path}  {_share(path, checked)}" for path in paths)
        yield from reasons
        fields = dict.fromkeys(field for path in paths for field in path.used_in)
        yield f"  in {', '.join(fields)}"
        yield ""


def _reasons(found: Sequence[FailingRows], failed: int) -> Iterator[str]:
    """Why rows fail: one reason for all of them, or each after its rows."""
    others = failed - sum(one.rows for one in found)
    if len(found) == 1 and not others:
        yield f"  {found[0].reason}"
        return
    yield from (f"  {_places(one.places, one.rows)}: {one.reason}" for one in found)
    if others:
        yield f"  in {others:,} more: other reasons"


def _share(path: CheckedPath, checked: CheckedPaths) -> str:
    if path.failed == checked.readable:
        count = (
            f"all {path.failed:,} {_unit(checked)}s"
            if path.failed > 1
            else f"the only {_unit(checked)}"
        )
        return f"fails in {count}{' that can be read' if checked.unreadable else ''}"
    return f"fails in {path.failed:,} of {_seen(checked)}: {_places(path.places, path.failed)}"


def _places(places: Sequence[str], count: int) -> str:
    more = ", …" if count > MAX_PLACES else ""
    return f"line{'s' if len(places) > 1 else ''} {', '.join(places)}{more}"


def _summary(checked: CheckedPaths) -> Iterator[str]:
    failing = sum(bool(path.failed) for path in checked.paths)
    count = len(checked.paths)
    if not checked.readable:
        yield f"{checked.data} has no rows that can be read: no path was followed."
    elif not count:
        yield f"{checked.data}: {_seen(checked)}; the grader's templates have no path to follow."
    elif failing:
        which = f"{failing} of {count} paths" if count > 1 else "the only path"
        yield f"{checked.data}, {_seen(checked)}: {which} can fail."
    else:
        all_paths = "the only path leads" if count == 1 else f"all {count} paths lead"
        which = f"{_count(checked.readable, _unit(checked))} that can be read, of"
        yield (
            f"{checked.data}: {all_paths} to a value in all "
            f"{f'{which} {checked.rows:,}' if checked.unreadable else _seen(checked)}."
        )
    if not checked.samples:
        yield "The rows have no model outputs: paths of `sample` were not followed."
    if checked.code:
        yield f"Not checked: what the code or server of {', '.join(checked.code)} reads of a row."
    yield from (f"note: {note}" for note in checked.notes)


def _seen(checked: CheckedPaths) -> str:
    return _count(checked.rows, _unit(checked))


def _unit(checked: CheckedPaths) -> str:
    return "sample" if checked.grouped else "row"


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
