"""A run's numbers for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.tally import BINS, Tally
from graders_engine.report.formatting import (
    correlation,
    interval,
    percent,
    place,
    share_of,
    written,
)
from graders_engine.report.histogram import Histogram, histogram
from graders_engine.report.visible import one_line, visible
from graders_engine.version import __version__

if TYPE_CHECKING:  # what they stand on takes a while to import, and `score` prints without it
    from graders_engine.report.numbers import Groups, Numbers
    from graders_engine.report.provenance import Provenance
    from graders_engine.report.row_texts import RowTexts
    from graders_engine.statistics.estimate import Estimate

_BAR = 40
"""Columns of the longest bar of the histogram."""
_WIDTH = 130
"""Columns of a line that quotes a row's details."""
_ENDS = 3
"""Rows shown from either end of the rewards, and of the slowest."""
_KEY = 24
"""Columns of a sub-reward's key, at most."""
_COLUMN = 10
"""Columns of one correlation."""
_MEANING = {
    "scored": "",
    "invalid": "the row's or the grader's fault",
    "failed": "infrastructure; no reward, not a zero",
}


def render(tally: Tally, settings: Mapping[str, Any]) -> str:
    """The report: means, what the rows came to, histogram, sub-rewards, flags, and what gave the numbers.

    Args:
        tally: the numbers.
        settings: what decided the rewards besides the grader (`Engine.settings`).
    """
    lines = [
        *_means(tally),
        *_statuses(tally),
        *(_histogram(tally.histogram) if tally.scored else ()),
        *_sub_rewards(tally),
        *_flags(tally),
        *_settings(settings, __version__),
    ]
    return visible("\n".join(lines))


def render_numbers(numbers: Numbers, made_by: Provenance, texts: RowTexts) -> str:
    """The report on a results file: what `render` has, and intervals, correlations, prompts, judges, rows.

    Args:
        numbers: what the run came to.
        made_by: what gave the numbers.
        texts: the texts of the rows that are shown.
    """
    digest = numbers.digest
    shown = histogram(digest.rewards, BINS)
    lines = [
        *_means(digest.tally, numbers.mean),
        *_quantiles(numbers.quantiles),
        *_statuses(digest.tally),
        *(_bars(shown) if shown else ()),
        *_parts(numbers),
        *_correlations(numbers),
        *_flags(digest.tally),
        *(_prompts(numbers.groups) if numbers.groups else ()),
        *_judges(numbers),
        *_ends("lowest rewards", digest.worst.rows(), texts),
        *_ends("highest rewards", digest.best.rows(), texts),
        *(("", f"Texts are not shown. {texts.why_none}") if texts.why_none else ()),
        *_slowest(digest.slowest.rows(), digest.seconds),
        *_settings(made_by.meta.get("settings", {}), made_by.engine),
    ]
    return visible("\n".join(lines))


def _settings(settings: Mapping[str, Any], version: str) -> Iterator[str]:
    yield ""
    yield f"graders-engine {version}"
    for name, signature in settings.get("metrics", {}).items():
        yield f"  {name} as {signature.removeprefix(f'{name}: ')}"
    if sandbox := settings.get("sandbox"):
        none = "WITHOUT a sandbox: nothing kept the graded code in"
        yield f"  python graders {none if sandbox == 'none' else f'in the sandbox {sandbox}'}"
    for model, signature in settings.get("judges", {}).items():
        yield f"  {model} answered by {signature}"


def _means(tally: Tally, mean: Estimate | None = None) -> Iterator[str]:
    if tally.mean is None or tally.served_mean is None:
        yield f"no reward: none of {_rows(tally.rows)} was scored"
        return
    within = f", 95 % interval {interval(mean)}" if mean else ""
    yield f"mean reward  {tally.mean:.4f}  over {_rows(tally.scored)} scored{within}"
    if tally.invalid:
        yield (
            f"as served    {tally.served_mean:.4f}  "
            f"with the {tally.invalid} invalid at what the hosted API gives for them"
        )


def _quantiles(quantiles: tuple[float, ...]) -> Iterator[str]:
    if quantiles:
        low, quarter, median, three_quarters, high = map(written, quantiles)
        yield (
            f"median       {median:<6}  half of the rewards from {quarter} to {three_quarters}, "
            f"all from {low} to {high}"
        )


def _statuses(tally: Tally) -> Iterator[str]:
    yield ""
    for status, meaning in _MEANING.items():
        count = getattr(tally, status)
        share = 100 * count / tally.rows if tally.rows else 0.0
        yield f"{status:<8}{count:>9,}{share:>7.1f} %  {meaning}".rstrip()


def _histogram(counts: list[int]) -> Iterator[str]:
    yield ""
    yield "rewards"
    for position, count in enumerate(counts):
        if count:
            low, high = position / BINS, (position + 1) / BINS
            yield f"  {low:.1f}-{high:.1f}  {_bar(count, max(counts)):<{_BAR}}  {count:,}"


def _bars(shown: Histogram) -> Iterator[str]:
    yield ""
    yield "rewards"
    labels = [shown.label(place) for place in range(len(shown.counts))]
    width = max(map(len, labels))
    for label, count in zip(labels, shown.counts, strict=True):
        if count:
            yield f"  {label:<{width}}  {_bar(count, max(shown.counts)):<{_BAR}}  {count:,}"


def _sub_rewards(tally: Tally) -> Iterator[str]:
    if not tally.sub_reward_sums or not tally.scored:
        return
    yield ""
    yield "sub-rewards, mean over scored"
    width = max(map(len, tally.sub_reward_sums))
    for key, total in tally.sub_reward_sums.items():
        mean = total / tally.scored
        yield f"  {key:<{width}}  {mean:.4f}  {_bar(mean, 1.0)}".rstrip()


def _parts(numbers: Numbers) -> Iterator[str]:
    if not numbers.sub_rewards:
        return
    yield ""
    yield "sub-rewards, mean over scored, 95 % interval"
    width = _width(part.key for part in numbers.sub_rewards)
    for part in numbers.sub_rewards:
        bar = _bar(part.mean.value, 1.0)
        yield f"  {_key(part.key, width)}  {part.mean.value:.4f}  {interval(part.mean):<16}  {bar}".rstrip()
    if (left_out := len(numbers.digest.sub_rewards) - len(numbers.sub_rewards)) > 0:
        yield f"  and {left_out:,} more"


def _correlations(numbers: Numbers) -> Iterator[str]:
    if len(numbers.correlations) < 3:  # one part alone goes with the reward as the formula says
        return
    yield ""
    yield "correlations"
    keys = [one_line(key, _COLUMN - 1) for key, _ in numbers.correlations]
    width = max(map(len, keys))
    yield f"  {'':<{width}}{''.join(f'{key:>{_COLUMN}}' for key in keys[:-1])}"
    # The matrix is the same on both sides of its diagonal: the lower left half says all.
    for row, (key, (_, values)) in enumerate(zip(keys, numbers.correlations, strict=True)):
        if row:
            cells = (f"{correlation(value):>{_COLUMN}}" for value in values[:row])
            yield f"  {key:<{width}}{''.join(cells)}"


def _flags(tally: Tally) -> Iterator[str]:
    if not tally.flags:
        return
    yield ""
    yield "flags"
    for flag, count in sorted(tally.flags.items(), key=lambda pair: -pair[1]):
        line, details = tally.examples[flag]
        first = f"first on line {line}" + (f": {details}" if details else "")
        yield _short(f"  {flag}  {count:,}, {first}")


def _prompts(groups: Groups) -> Iterator[str]:
    fewest, most = groups.sizes
    each = f"{most}" if fewest == most else f"{fewest} to {most}"
    same = groups.unvarying
    alike = f", {percent(same.value)} of them without variance" if same else ""
    yield ""
    yield f"{groups.count:,} prompts with {each} scored samples each{alike}"
    yield f"      {f'pass@k (reward of at least {written(groups.passing)})':<34}  best of k"
    for at in groups.at:
        passing, best = (f"{e.value:.4f}, {interval(e)}" for e in (at.passing, at.best))
        yield f"  {at.k:>2}  {passing:<34}  {best}"


def _judges(numbers: Numbers) -> Iterator[str]:
    if numbers.spending or numbers.digest.repeats:
        yield ""
        yield "judges"
    for spent in numbers.spending:
        usage = spent.usage
        cost = "" if spent.cost is None else f", cost {spent.cost:,.4g}"
        yield (
            f"  {spent.model}  {usage.prompt_tokens:,} tokens read ({usage.cached_tokens:,} of them cached), "
            f"{usage.completion_tokens:,} written{cost}"
        )
    for key, repeats in numbers.digest.repeats.items():
        if repeats.rows:
            yield (
                f"  {key or 'the grader'}  asked {repeats.answers / repeats.rows:.1f} times a row: "
                f"{share_of(repeats.differing, repeats.rows)} of the rows got different answers, "
                f"mean deviation {repeats.deviation_sum / repeats.rows:.4f}"
            )


def _ends(name: str, results: Sequence[ResultLine], texts: RowTexts) -> Iterator[str]:
    if not results:
        return
    yield ""
    yield name
    places = [place(result) for result in results[:_ENDS]]
    width = max(map(len, places))
    for where, result in zip(places, results, strict=False):
        text = one_line(texts.of(result)[1], 80)
        yield f"  line {where:<{width}}  {written(result.reward or 0.0):<6}  {text}".rstrip()


def _slowest(results: Sequence[ResultLine], total: float) -> Iterator[str]:
    if results:
        named = (
            f"line {place(result)} {1000 * result.seconds:,.1f} ms" for result in results[:_ENDS]
        )
        yield ""
        yield f"{total:,.1f} s of grading; the slowest rows: {', '.join(named)}"


def _width(keys: Iterator[str]) -> int:
    return min(max(map(len, keys)), _KEY)


def _key(key: str, width: int) -> str:
    return f"{one_line(key, width):<{width}}"


def _bar(value: float, largest: float) -> str:
    eighths = round(8 * _BAR * max(value, 0.0) / largest) if largest else 0
    whole, part = divmod(min(eighths, 8 * _BAR), 8)
    return "█" * whole + ("▏▎▍▌▋▊▉"[part - 1] if part else "")


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _short(line: str) -> str:
    first = line.splitlines()[0]
    return first if len(first) <= _WIDTH else first[: _WIDTH - 1] + "…"
