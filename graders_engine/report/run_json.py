"""A run's numbers as JSON: what `score --json` and `report --json` print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from graders_engine.dataset.results.tally import Tally
from graders_engine.report.histogram import BARS, Histogram, histogram
from graders_engine.version import __version__

if TYPE_CHECKING:  # numpy and scipy take a while to import
    from graders_engine.report.numbers import Groups, Numbers, PassRate
    from graders_engine.report.provenance import Provenance
    from graders_engine.statistics.estimate import Estimate


def tally_json(
    tally: Tally,
    results: Path,
    settings: Mapping[str, Any],
    pass_rate: PassRate | None = None,
    metrics_core: str | None = None,
) -> dict[str, Any]:
    """What `graders score --json` prints.

    `complete`: whether all rows of the data set have a result; null if that is not recorded.
    `rows`, and `scored`, `invalid`, `failed`: counts of rows; `blames`: the rows that are not scored, by who
    is to blame. `mean`: the headline, over the scored rows and those that are invalid by the sample or the
    grader, at what is served; `scored_mean`: over the scored rows alone; `hosted_mean`: over all but the
    failed rows, as the hosted service would print it. Each is an object with `value` and `rows`, or null
    without rows. `pass_rate`: as `mean`, with an interval and `passing`, or null. `sub_rewards`: by key, the
    mean over the rows that count in it, as in `mean`: a part that fails by the sample or the grader counts
    as 0. `histogram`: a list of bars with `low`, `high` and
    `rows`, over the rows of `mean`; a bar with `low` equal to `high` stands for one value; each other has
    its upper end only if it is the last. `flags`: by flag, the number of `rows`, the name of the `first`
    (LINE, or LINE#SAMPLE), and its `details`. `clamped`: by the grader's key ("" for a single grader), the
    rows in which a judge's number was outside its range. `left_out`: by model, the parts of requests that
    it was not sent, and for how many rows. `groups`: null, as for runs without groups. `metrics_core`:
    which core computed the text metrics, `compiled` or `pure`, whose values are equal.
    """
    return {
        "results": str(results),
        "complete": True,
        **_counts(tally),
        "mean": _mean(tally.mean, tally.counted),
        "scored_mean": _mean(tally.scored_mean, tally.scored),
        "hosted_mean": _mean(tally.hosted_mean, tally.hosted),
        "pass_rate": _pass_rate(pass_rate),
        "sub_rewards": {
            key: _mean(total / tally.sub_reward_rows[key], tally.sub_reward_rows[key])
            for key, total in tally.sub_reward_sums.items()
        },
        "histogram": _histogram(histogram(tally.reward_counts or {}, BARS)),
        "groups": None,
        **_rest(tally, settings, __version__, metrics_core),
    }


def numbers_json(numbers: Numbers, provenance: Provenance) -> dict[str, Any]:
    """What `graders report --json` prints, and `graders score --json` for runs with groups.

    As `tally_json`, and: each mean but the second and the third has its 95 % interval (`low` and `high`, null
    where the rows do not determine it) and the number of `groups` that are independent. `quantiles`: lowest
    reward, quartiles, and highest. `correlations`: by key, each with each. `groups`: the `prompts`, their
    fewest and most samples (`sizes`), the share of groups of `group_size` samples whose rewards differ
    (`signal`), the prompts among those with `fewer_samples`, the path of `--group-by` (`group_by`), the
    prompts that are one line without a value there (`alone`), and for each `k` the mean over prompts of
    `pass_at_k` and `best_of_k`. `judges`: by model, tokens and `cost` (null if its price is not known).
    `saved_tokens`: those of kept replies, and of rows that equal an earlier one, which were not spent.
    `seconds`: the sum of the rows' grading times.
    """
    tally = numbers.digest.tally
    return {
        "results": str(provenance.results),
        "complete": provenance.complete,
        **_counts(tally),
        "mean": estimate_json(numbers.mean),
        "scored_mean": _mean(tally.scored_mean, tally.scored),
        "hosted_mean": _mean(tally.hosted_mean, tally.hosted),
        "pass_rate": _pass_rate(numbers.pass_rate),
        "quantiles": list(numbers.quantiles),
        "sub_rewards": {part.key: estimate_json(part.mean) for part in numbers.sub_rewards},
        "correlations": {
            key: dict(zip((name for name, _ in numbers.correlations), values, strict=True))
            for key, values in numbers.correlations
        },
        "histogram": _histogram(numbers.bars),
        "groups": _groups(numbers.groups) if numbers.groups else None,
        "judges": {
            spent.model: {**msgspec.structs.asdict(spent.usage), "cost": spent.cost}
            for spent in numbers.spending
        },
        "saved_tokens": numbers.digest.saved_tokens,
        "seconds": numbers.digest.seconds,
        **_rest(
            tally,
            provenance.meta.get("settings", {}),
            provenance.engine,
            provenance.metrics_core,
        ),
    }


def _counts(tally: Tally) -> dict[str, Any]:
    return {
        "rows": tally.rows,
        "scored": tally.scored,
        "invalid": tally.invalid,
        "failed": tally.failed,
        "blames": dict(tally.blames),
    }


def _rest(
    tally: Tally, settings: Mapping[str, Any], version: str, metrics_core: str | None
) -> dict[str, Any]:
    flags = {
        flag: dict(zip(("rows", "first", "details"), (count, *tally.examples[flag]), strict=True))
        for flag, count in tally.flags.items()
    }
    return {
        **tally.judged(),
        "flags": flags,
        "settings": dict(settings),
        "engine": version,
        "metrics_core": metrics_core,
    }


def _mean(value: float | None, rows: int) -> dict[str, Any] | None:
    return None if value is None else {"value": value, "rows": rows}


def estimate_json(estimate: Estimate | None) -> dict[str, Any] | None:
    """A mean with its interval; null without rows."""
    if estimate is None:
        return None
    return {
        "value": estimate.value,
        "rows": estimate.rows,
        "low": estimate.low,
        "high": estimate.high,
        "groups": estimate.groups,
    }


def _pass_rate(found: PassRate | None) -> dict[str, Any] | None:
    return {**(estimate_json(found.rate) or {}), "passing": found.passing} if found else None


def _histogram(bars: Histogram | None) -> list[dict[str, Any]]:
    if bars is None:
        return []
    ends = zip(bars.edges, bars.edges if bars.single else bars.edges[1:], strict=False)
    return [
        {"low": low, "high": high, "rows": rows}
        for (low, high), rows in zip(ends, bars.counts, strict=True)
    ]


def _groups(groups: Groups) -> dict[str, Any]:
    signal = groups.signal
    return {
        "prompts": groups.count,
        "sizes": list(groups.sizes),
        "group_size": signal.size if signal else None,
        "signal": estimate_json(signal.share) if signal else None,
        "fewer_samples": signal.smaller if signal else None,
        "group_by": groups.group_by,
        "alone": groups.alone,
        "passing": groups.passing,
        "at": [
            {"k": at.k, "pass_at_k": estimate_json(at.passing), "best_of_k": estimate_json(at.best)}
            for at in groups.at
        ],
    }
