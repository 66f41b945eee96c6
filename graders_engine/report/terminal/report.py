"""A run's report, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.meta import SHARED_ROWS, places_of, shares_rows
from graders_engine.dataset.results.tally import Tally
from graders_engine.report.formatting import (
    BLAME_MEANINGS,
    COST_UNIT,
    MAX_REASON,
    OF_SCORED,
    STATUS_MEANINGS,
    clamped_numbers,
    flag_reason,
    format_count,
    format_interval,
    format_mean,
    format_number,
    format_percent,
    format_prompts,
    format_range,
    format_rows,
    format_share,
    much_blamed_in,
    parts_left_out,
    row_reasons,
)
from graders_engine.report.histogram import BARS, histogram
from graders_engine.report.terminal.screen import FILE, Caution, Heading, Problem, Screen
from graders_engine.report.terminal.tables import (
    correlations,
    reward_bars,
    sub_reward_means,
    sub_rewards,
)
from graders_engine.report.visible import one_line, visible
from graders_engine.report.width import columns_of, cut_middle, padded
from graders_engine.version import __version__

if TYPE_CHECKING:  # numpy and scipy take a while to import, and `score` prints without them
    from graders_engine.dataset.results.digest import Digest
    from graders_engine.report.numbers import Groups, Numbers, PassRate
    from graders_engine.report.provenance import Provenance
    from graders_engine.report.row_texts import RowTexts
    from graders_engine.statistics.estimate import Estimate
    from graders_engine.statistics.samples import Signal

_MAX_QUOTED = 240
"""Columns of a line that quotes a row's details; on a narrower terminal it is wrapped."""
_MAX_ROWS = 3
"""Rows printed from either end of the rewards, and of the slowest."""
_ID_WIDTH = 16
"""The longest id of an item, in columns."""
_TWO_TABLES = 79
"""Columns from which on pass@k and best of k are beside each other."""
_STATUS_LINES = {"scored": str, "invalid": Caution, "failed": Problem}


def tally_text(
    tally: Tally,
    settings: Mapping[str, Any],
    pass_rate: PassRate | None = None,
    screen: Screen = FILE,
    judged: Numbers | None = None,
) -> str:
    """The report of a run that has just ended: means, statuses, histogram, sub-rewards, flags, settings.

    Args:
        tally: the counts; not of grouped rows, and with their distribution: those need `numbers_text`.
        settings: what determined the rewards besides the grader (`Engine.settings`).
        pass_rate: the share that passes; None if nothing says with which reward.
        screen: what it is printed on.
        judged: the run in numbers, of which those of its judges are printed; None without judges.
    """
    bars = histogram(tally.reward_counts or {}, BARS)
    lines = [
        *_means(tally),
        *_pass_rate(pass_rate, grouped=tally.grouped),
        *_statuses(tally),
        *(reward_bars(bars, screen) if bars else ()),
        *sub_reward_means(tally, screen),
        *_flags(tally, screen),
        *(_judges(judged) if judged else ()),
        *_settings(settings, __version__, tally),
    ]
    return screen.text(lines)


def numbers_text(
    numbers: Numbers,
    settings: Mapping[str, Any],
    version: str = __version__,
    screen: Screen = FILE,
) -> str:
    """As `tally_text`, with intervals, correlations, prompts and judges."""
    return screen.text(
        [*_numbers(numbers, screen), *_settings(settings, version, numbers.digest.tally)]
    )


def report_text(
    numbers: Numbers, provenance: Provenance, texts: RowTexts, screen: Screen = FILE
) -> str:
    """The report of a results file: as `numbers_text`, with rows.

    Args:
        numbers: the run in numbers.
        provenance: what produced the numbers.
        texts: the texts of the rows that are quoted.
        screen: what it is printed on.
    """
    digest = numbers.digest
    hints = [] if digest.grouped else texts.hints
    of_scored = OF_SCORED if digest.tally.served else ""
    lines = [
        *map(Caution, (*provenance.warnings, *hints)),
        *([""] if provenance.warnings or hints else ()),
        *_numbers(numbers, screen),
        *_rows(f"lowest rewards{of_scored}", digest.worst.rows(), texts, screen),
        *_rows(f"highest rewards{of_scored}", digest.best.rows(), texts, screen),
        *(("", f"Texts are not shown. {texts.why_none}") if texts.why_none else ()),
        *_slowest(digest, texts),
        *_settings(provenance.settings, provenance.engine, digest.tally),
    ]
    return screen.text(lines)


def _numbers(numbers: Numbers, screen: Screen) -> Iterator[str]:
    tally = numbers.digest.tally
    yield from _means(tally, numbers.mean)
    yield from _pass_rate(numbers.pass_rate, grouped=tally.grouped)
    yield from _quantiles(numbers.quantiles)
    yield from _statuses(tally)
    yield from reward_bars(numbers.bars, screen) if numbers.bars else ()
    yield from sub_rewards(numbers, screen)
    yield from correlations(numbers, screen)
    yield from _flags(tally, screen)
    yield from _prompts(numbers.groups, screen) if numbers.groups else ()
    yield from _judges(numbers)


def _settings(settings: Mapping[str, Any], version: str, tally: Tally) -> Iterator[str]:
    yield ""
    yield f"graders-engine {version}"
    for name, signature in settings.get("metrics", {}).items():
        yield f"  {name} as {signature.removeprefix(f'{name}: ')}"
    if sandbox := settings.get("sandbox"):
        no_sandbox = "WITHOUT a sandbox: nothing confined the graded code"
        shared = f": {SHARED_ROWS}" if shares_rows(settings) else ""
        where = no_sandbox if sandbox == "none" else f"in the sandbox {sandbox}"
        yield f"  python graders ran {where}{shared}"
    if places := places_of(settings):
        yield f"  graded on {places}"
    for model, signature in settings.get("judges", {}).items():
        yield f"  judge {model}: {signature}"
    yield from (f"  {one_line(sentence, MAX_REASON)}" for sentence in parts_left_out(tally))


def _means(tally: Tally, mean: Estimate | None = None) -> Iterator[str]:
    rows = partial(format_rows, grouped=tally.grouped)
    yield from map(Caution, much_blamed_in(tally))
    yield from (Caution(one_line(sentence, MAX_REASON)) for sentence in clamped_numbers(tally))
    if tally.mean is None:
        yield Problem(f"no reward: none of {rows(tally.rows)} was scored")
        return
    value, interval = tally.mean, ""
    if mean:
        value, interval = mean.value, f", 95 % interval {format_interval(mean)}"
    yield Heading(f"mean reward  {format_mean(value)}  over {rows(tally.counted)}{interval}")
    if tally.served and tally.scored_mean is not None:
        yield f"  scored      {format_mean(tally.scored_mean)}  over {rows(tally.scored)}"
    if tally.hosted > tally.counted and tally.hosted_mean is not None:
        hosted = rows(tally.hosted)
        yield f"  as hosted   {format_mean(tally.hosted_mean)}  over {hosted}: all but the failed"


def _pass_rate(found: PassRate | None, *, grouped: bool) -> Iterator[str]:
    if not found:
        return
    rate = found.rate
    yield (
        f"pass rate    {format_mean(rate.value)}  of {format_rows(rate.rows, grouped=grouped)} with at least "
        f"{format_number(found.passing)}, 95 % interval {format_interval(rate)}"
    )
    if found.none_passes:
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
        count = getattr(tally, status)
        line = _count_line(status, count, tally.rows, meaning)
        yield _STATUS_LINES[status](line) if count else line
        if status == "invalid":
            for blame, count in tally.blames.items():
                if count and blame != "infrastructure":
                    yield _count_line(f"  {blame}", count, tally.rows, BLAME_MEANINGS[blame])
                if blame == "row":
                    yield from (f"    {reason}" for reason in row_reasons(tally))
        if status == "failed" and tally.without_output:
            yield f"  {tally.without_output:,} of these have an error in place of an output"


def _count_line(name: str, count: int, rows: int, meaning: str) -> str:
    share = 100 * count / rows if rows else 0.0
    return f"{name:<8}{count:>9,}{share:>7.1f} %  {meaning}"


def _flags(tally: Tally, screen: Screen) -> Iterator[str]:
    if not tally.flags:
        return
    yield ""
    yield Heading("flags")
    for flag, count in sorted(tally.flags.items(), key=lambda pair: -pair[1]):
        name, details = tally.examples[flag]
        reason = flag_reason(flag, details)
        first = f"first on line {name}" + (f": {reason}" if reason else "")
        kinds = len(tally.kinds.get(flag, ()))
        number = f"{count:,} ({kinds} reasons)" if kinds > 1 else f"{count:,}"
        most = _MAX_QUOTED if screen.wraps else screen.columns - 2
        line = one_line(f"{flag}  {number}, {first}", most)
        yield "  " + line.replace(" ", "  ", 1)


def _prompts(groups: Groups, screen: Screen) -> Iterator[str]:
    yield ""
    yield Heading(
        f"{format_prompts(groups.count)} with {format_range(*groups.sizes)} counted samples each"
    )
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
    yield from _at_k(groups, passing, beside=screen.columns >= _TWO_TABLES)
    if groups.none_passes:
        yield f"  no sample passes: the highest reward is {format_number(groups.highest)} (see --passing)"


def _at_k(groups: Groups, passing: str, *, beside: bool) -> Iterator[str]:
    """The tables of pass@k and best of k, beside each other or one below the other."""
    rows = [
        (
            at.k,
            *(f"{format_mean(e.value)}, {format_interval(e)}" for e in (at.passing, at.best)),
            at.passing.groups,
        )
        for at in groups.at
    ]
    if beside:
        yield f"      {passing:<34}  {'best of k':<26}  prompts"
        for k, pass_at, best, prompts in rows:
            yield f"  {k:>2}  {pass_at:<34}  {best:<26}  {prompts:>7,}"
        return
    yield f"  {passing}"
    for k, pass_at, _, prompts in rows:
        yield f"  {k:>2}  {pass_at:<24}  over {prompts:,}"
    yield "  best of k"
    for k, _, best, prompts in rows:
        yield f"  {k:>2}  {best:<24}  over {prompts:,}"


def _signal(signal: Signal) -> Iterator[str]:
    share = signal.share
    yield (
        f"  groups of {signal.size} whose rewards differ: {format_percent(share.value)}, "
        f"95 % interval {format_interval(share)}, over {format_prompts(share.groups)}"
    )
    if signal.smaller:
        yield (
            f"  with fewer samples, and counted as groups of those: {format_prompts(signal.smaller)}; "
            "larger groups differ more often"
        )


def _judges(numbers: Numbers) -> Iterator[str]:
    saved = numbers.digest.saved_tokens
    if numbers.spending or numbers.repeated or saved:
        yield ""
        yield Heading("judges")
    for spent in numbers.spending:
        usage = spent.usage
        cost = "" if spent.cost is None else f", cost {spent.cost:,.4g}{COST_UNIT}"
        yield f"  {spent.model}  {usage.prompt_tokens:,} prompt tokens ({usage.cached_tokens:,} cached)"
        yield f"  {'':<{len(spent.model)}}  {usage.completion_tokens:,} completion tokens{cost}"
    if saved:
        yield f"  {saved:,} tokens were not spent again: kept replies, and rows that equal an earlier one"
    for key, repeats in numbers.repeated.items():
        name, answers = key or "the grader", repeats.answers / repeats.rows
        differing = format_share(repeats.differing, repeats.rows)
        deviation = repeats.deviation_sum / repeats.rows
        yield f"  {name}  {answers:.1f} answers per row, which differ on {differing} of the rows"
        yield f"  {'':<{len(name)}}  mean standard deviation {format_mean(deviation)}"


def _rows(
    title: str, results: Sequence[ResultLine], texts: RowTexts, screen: Screen
) -> Iterator[str]:
    if not results:
        return
    yield ""
    yield Heading(title)
    for name, result in _named(results, texts):
        start = f"  {name}  {format_number(result.reward or 0.0):<6}  "
        room = max(screen.columns - columns_of(start), 8)
        yield f"{start}{one_line(texts.of(result).sample, room)}".rstrip()


def _slowest(digest: Digest, texts: RowTexts) -> Iterator[str]:
    if digest.is_slow:
        yield ""
        yield Heading(
            f"{digest.seconds:,.1f} s in all rows, waiting for their turn included; the slowest"
        )
        for name, result in _named(digest.slowest.rows(), texts):
            yield f"  {name}  {1000 * result.seconds:,.1f} ms"


def _named(results: Sequence[ResultLine], texts: RowTexts) -> Iterator[tuple[str, ResultLine]]:
    """The first rows, each with its name and its item's id; the names have the same width."""
    names = []
    for result in results[:_MAX_ROWS]:
        item = cut_middle(visible(texts.id_of(result)), _ID_WIDTH)
        names.append(f"line {result.name}" + (f" ({item})" if item else ""))
    width = max(map(columns_of, names))
    for name, result in zip(names, results, strict=False):
        yield padded(name, width), result
