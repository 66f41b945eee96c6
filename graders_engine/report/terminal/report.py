"""A run's report, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.tally import Tally
from graders_engine.report.formatting import (
    BLAME_MEANINGS,
    STATUS_MEANINGS,
    format_correlation,
    format_count,
    format_interval,
    format_number,
    format_percent,
    format_range,
    format_rows,
    format_share,
    much_blamed,
)
from graders_engine.report.histogram import BARS, Histogram, histogram
from graders_engine.report.visible import one_line, visible
from graders_engine.statistics.rounding import ROUNDING
from graders_engine.version import __version__

if TYPE_CHECKING:  # numpy and scipy take a while to import, and `score` prints without them
    from graders_engine.dataset.results.digest import Digest
    from graders_engine.report.numbers import Groups, Numbers, PassRate
    from graders_engine.report.provenance import Provenance
    from graders_engine.report.row_texts import RowTexts
    from graders_engine.statistics.estimate import Estimate
    from graders_engine.statistics.samples import Signal

_BAR_WIDTH = 40
"""The longest bar of a histogram, in columns."""
_WIDTH = 130
"""Columns of a line that quotes a row's details."""
_EXCERPT_CHARS = 56
"""Characters of a row's text: with its line and reward they fit into 80 columns."""
_MAX_ROWS = 3
"""Rows printed from either end of the rewards, and of the slowest."""
_KEY_WIDTH = 24
"""The longest key of a sub-reward, in columns."""
_CORRELATION_WIDTH = 10
"""Columns of one correlation."""


def tally_text(tally: Tally, settings: Mapping[str, Any], pass_rate: PassRate | None = None) -> str:
    """The report of a run that has just ended: means, statuses, histogram, sub-rewards, flags, settings.

    Args:
        tally: the counts; not of grouped rows, and with their distribution: those need `numbers_text`.
        settings: what determined the rewards besides the grader (`Engine.settings`).
        pass_rate: the share that passes; None if nothing says with which reward.
    """
    bars = histogram(tally.reward_counts or {}, BARS)
    lines = [
        *_means(tally),
        *_pass_rate(pass_rate),
        *_statuses(tally),
        *(_rewards(bars) if bars else ()),
        *_sub_reward_means(tally),
        *_flags(tally),
        *_settings(settings, __version__),
    ]
    return visible("\n".join(lines))


def numbers_text(numbers: Numbers, settings: Mapping[str, Any], version: str = __version__) -> str:
    """As `tally_text`, with intervals, correlations, prompts and judges."""
    lines = [*_numbers(numbers), *_settings(settings, version)]
    return visible("\n".join(lines))


def report_text(numbers: Numbers, provenance: Provenance, texts: RowTexts) -> str:
    """The report of a results file: as `numbers_text`, with rows.

    Args:
        numbers: the run in numbers.
        provenance: what produced the numbers.
        texts: the texts of the rows that are quoted.
    """
    digest = numbers.digest
    lines = [
        *([provenance.data_changed, ""] if provenance.data_changed else ()),
        *_numbers(numbers),
        *_rows("lowest rewards", digest.worst.rows(), texts),
        *_rows("highest rewards", digest.best.rows(), texts),
        *(("", f"Texts are not shown. {texts.why_none}") if texts.why_none else ()),
        *_slowest(digest),
        *_settings(provenance.meta.get("settings", {}), provenance.engine),
    ]
    return visible("\n".join(lines))


def _numbers(numbers: Numbers) -> Iterator[str]:
    tally = numbers.digest.tally
    yield from _means(tally, numbers.mean)
    yield from _pass_rate(numbers.pass_rate)
    yield from _quantiles(numbers.quantiles)
    yield from _statuses(tally)
    yield from _rewards(numbers.bars) if numbers.bars else ()
    yield from _sub_rewards(numbers)
    yield from _correlations(numbers)
    yield from _flags(tally)
    yield from _prompts(numbers.groups) if numbers.groups else ()
    yield from _judges(numbers)


def _settings(settings: Mapping[str, Any], version: str) -> Iterator[str]:
    yield ""
    yield f"graders-engine {version}"
    for name, signature in settings.get("metrics", {}).items():
        yield f"  {name} as {signature.removeprefix(f'{name}: ')}"
    if sandbox := settings.get("sandbox"):
        no_sandbox = "WITHOUT a sandbox: nothing confined the graded code"
        yield f"  python graders ran {no_sandbox if sandbox == 'none' else f'in the sandbox {sandbox}'}"
    for model, signature in settings.get("judges", {}).items():
        yield f"  {model} answered by {signature}"


def _means(tally: Tally, mean: Estimate | None = None) -> Iterator[str]:
    yield from much_blamed(tally.blames, tally.rows)
    if tally.mean is None:
        yield f"no reward: none of {format_rows(tally.rows)} was scored"
        return
    value, interval = tally.mean, ""
    if mean:
        value, interval = mean.value, f", 95 % interval {format_interval(mean)}"
    yield f"mean reward  {value:.4f}  over {format_rows(tally.counted)}{interval}"
    if tally.served and tally.scored_mean is not None:
        yield f"  scored      {tally.scored_mean:.4f}  over {format_rows(tally.scored)}"
    if tally.hosted > tally.counted and tally.hosted_mean is not None:
        yield f"  as hosted   {tally.hosted_mean:.4f}  over {format_rows(tally.hosted)}: all but the failed"


def _pass_rate(found: PassRate | None) -> Iterator[str]:
    if not found:
        return
    rate = found.rate
    yield (
        f"pass rate    {rate.value:.4f}  of {format_rows(rate.rows)} with at least "
        f"{format_number(found.passing)}, 95 % interval {format_interval(rate)}"
    )
    if found.highest < found.passing - ROUNDING:
        yield f"  no row passes: the highest reward is {format_number(found.highest)}"


def _quantiles(quantiles: tuple[float, ...]) -> Iterator[str]:
    if quantiles:
        low, first, median, third, high = map(format_number, quantiles)
        yield (
            f"median       {median:<6}  half of the rewards from {first} to {third}, "
            f"all from {low} to {high}"
        )


def _statuses(tally: Tally) -> Iterator[str]:
    yield ""
    for status, meaning in STATUS_MEANINGS.items():
        yield _count_line(status, getattr(tally, status), tally.rows, meaning)
        if status == "invalid":
            for blame, count in tally.blames.items():
                if count and blame != "infrastructure":
                    yield _count_line(f"  {blame}", count, tally.rows, BLAME_MEANINGS[blame])


def _count_line(name: str, count: int, rows: int, meaning: str) -> str:
    share = 100 * count / rows if rows else 0.0
    return f"{name:<8}{count:>9,}{share:>7.1f} %  {meaning}"


def _rewards(bars: Histogram) -> Iterator[str]:
    return _bars(bars.labels, bars.counts)


def _bars(labels: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    yield ""
    yield "rewards"
    width = max(map(len, labels))
    for label, count in zip(labels, counts, strict=True):
        if count:
            yield f"  {label:<{width}}  {_bar(count, max(counts)):<{_BAR_WIDTH}}  {count:,}"


def _sub_reward_means(tally: Tally) -> Iterator[str]:
    if not tally.sub_reward_sums:
        return
    yield ""
    yield "sub-rewards, mean over the rows in which each has a value"
    width = max(map(len, tally.sub_reward_sums))
    for key, total in tally.sub_reward_sums.items():
        rows = tally.sub_reward_rows[key]
        yield f"  {key:<{width}}  {total / rows:.4f}  over {format_rows(rows)}"


def _sub_rewards(numbers: Numbers) -> Iterator[str]:
    if not numbers.sub_rewards:
        return
    yield ""
    yield "sub-rewards, mean over the rows in which each has a value, 95 % interval"
    width = min(max(len(part.key) for part in numbers.sub_rewards), _KEY_WIDTH)
    for part in numbers.sub_rewards:
        key, mean = one_line(part.key, width), part.mean
        interval = format_interval(mean)
        yield f"  {key:<{width}}  {mean.value:.4f}  {interval:<16}  over {format_rows(mean.rows)}"
    if (left_out := len(numbers.digest.sub_rewards) - len(numbers.sub_rewards)) > 0:
        yield f"  and {left_out:,} more"


def _correlations(numbers: Numbers) -> Iterator[str]:
    if (
        len(numbers.correlations) < 3
    ):  # a single part correlates with the reward as the formula says
        return
    yield ""
    yield "correlations"
    keys = [one_line(key, _CORRELATION_WIDTH - 1) for key, _ in numbers.correlations]
    width = max(map(len, keys))
    yield f"  {'':<{width}}{''.join(f'{key:>{_CORRELATION_WIDTH}}' for key in keys[:-1])}"
    # The matrix is symmetric, so its lower left half is enough.
    for row, (key, (_, values)) in enumerate(zip(keys, numbers.correlations, strict=True)):
        if row:
            cells = (f"{format_correlation(value):>{_CORRELATION_WIDTH}}" for value in values[:row])
            yield f"  {key:<{width}}{''.join(cells)}"


def _flags(tally: Tally) -> Iterator[str]:
    if not tally.flags:
        return
    yield ""
    yield "flags"
    for flag, count in sorted(tally.flags.items(), key=lambda pair: -pair[1]):
        name, details = tally.examples[flag]
        first = f"first on line {name}" + (f": {details}" if details else "")
        yield _first_line(f"  {flag}  {count:,}, {first}")


def _prompts(groups: Groups) -> Iterator[str]:
    yield ""
    yield f"{groups.count:,} prompts with {format_range(*groups.sizes)} counted samples each"
    if groups.group_by is not None:
        alone = (
            f"; {format_count(groups.alone)} have no value there, each is one line"
            if groups.alone
            else ""
        )
        yield f"  rows are grouped by {one_line(groups.group_by, 60)}{alone}"
    if groups.signal:
        yield from _signal(groups.signal)
    passing = f"pass@k (reward of at least {format_number(groups.passing)})"
    yield f"      {passing:<34}  {'best of k':<26}  prompts"
    for at in groups.at:
        pass_at, best = (f"{e.value:.4f}, {format_interval(e)}" for e in (at.passing, at.best))
        yield f"  {at.k:>2}  {pass_at:<34}  {best:<26}  {at.passing.groups:>7,}"
    if groups.highest < groups.passing - ROUNDING:
        yield f"  no sample passes: the highest reward is {format_number(groups.highest)} (see --passing)"


def _signal(signal: Signal) -> Iterator[str]:
    share = signal.share
    yield (
        f"  groups of {signal.size} whose rewards differ: {format_percent(share.value)}, "
        f"95 % interval {format_interval(share)}, over {share.groups:,} prompts"
    )
    if signal.smaller:
        yield (
            f"  {signal.smaller:,} of these prompts have fewer samples and count as groups of those; "
            "larger groups differ more often"
        )


def _judges(numbers: Numbers) -> Iterator[str]:
    saved = numbers.digest.saved_tokens
    if numbers.spending or numbers.repeated or saved:
        yield ""
        yield "judges"
    for spent in numbers.spending:
        usage = spent.usage
        cost = "" if spent.cost is None else f", cost {spent.cost:,.4g}"
        yield f"  {spent.model}  {usage.prompt_tokens:,} prompt tokens ({usage.cached_tokens:,} cached)"
        yield f"  {'':<{len(spent.model)}}  {usage.completion_tokens:,} completion tokens{cost}"
    if saved:
        yield f"  {saved:,} tokens were not spent again: kept replies, and rows that equal an earlier one"
    for key, repeats in numbers.repeated.items():
        name, answers = key or "the grader", repeats.answers / repeats.rows
        differing = format_share(repeats.differing, repeats.rows)
        deviation = repeats.deviation_sum / repeats.rows
        yield f"  {name}  {answers:.1f} answers per row, which differ on {differing} of the rows"
        yield f"  {'':<{len(name)}}  mean standard deviation {deviation:.4f}"


def _rows(title: str, results: Sequence[ResultLine], texts: RowTexts) -> Iterator[str]:
    if not results:
        return
    yield ""
    yield title
    for name, result in _named(results):
        text = one_line(texts.of(result)[1], _EXCERPT_CHARS)
        yield f"  {name}  {format_number(result.reward or 0.0):<6}  {text}".rstrip()


def _slowest(digest: Digest) -> Iterator[str]:
    if digest.is_slow:
        yield ""
        yield f"{digest.seconds:,.1f} s in all rows, waiting for their turn included; the slowest"
        for name, result in _named(digest.slowest.rows()):
            yield f"  {name}  {1000 * result.seconds:,.1f} ms"


def _named(results: Sequence[ResultLine]) -> Iterator[tuple[str, ResultLine]]:
    """The first rows, each with its name; the names have the same width."""
    names = [f"line {result.name}" for result in results[:_MAX_ROWS]]
    width = max(map(len, names))
    for name, result in zip(names, results, strict=False):
        yield f"{name:<{width}}", result


def _bar(value: float, largest: float) -> str:
    eighths = round(8 * _BAR_WIDTH * max(value, 0.0) / largest) if largest else 0
    whole, part = divmod(min(eighths, 8 * _BAR_WIDTH), 8)
    return "█" * whole + ("▏▎▍▌▋▊▉"[part - 1] if part else "")


def _first_line(text: str) -> str:
    line = text.splitlines()[0]
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
