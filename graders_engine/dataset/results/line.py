"""The result of a row, as a line of a results file."""

from __future__ import annotations

import errno
import json
import re
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import NO_ROW, DataSetError, InvalidRequest
from graders_engine.files import beside, kind_of
from graders_engine.nothing import NOTHING
from graders_engine.outcome import (
    BLAMES,
    SERVED,
    Blame,
    Flag,
    Outcome,
    RowOutcome,
    Status,
    Usage,
)

MAX_SUB_REWARDS = 1000
"""Different keys of sub-rewards in a file; each takes memory for all rows, however few have it."""
_BEGINNING = b'{"line":'
"""Of every line of a results file."""
_NO_VERDICT = (Flag.MODEL_PARSE, Flag.MODEL_EXCEEDED_MAX_TOKENS, Flag.ENDPOINT_INTERNAL)
"""An answer that cannot be read; another one may be. A refusal is kept, and would be the same again."""
MAX_LINE_BYTES = 64 << 20
"""A longer line is not a result."""


class ResultLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One line of a results file.

    Attributes:
        line: number of the row's line in the data set, from 1.
        reward: null if there is none; an invalid multi may have one, in which failed parts count 0.
        status: "scored", "invalid" or "failed" (infrastructure).
        sub_rewards: of a multi, by key.
        flags: the flags that are set, by wire name, with details.
        seconds: wall time of the grading.
        blame: of rows that are not scored, whose fault it is (`outcome.Blame`).
        served: of invalid rows, the reward as the hosted API serves it; equal to `reward` where that is
            scored, and omitted then; a failed row has none.
        sample: number of the sample among those of its line, from 1; omitted for a line with one sample.
        group: shared by the samples of one prompt; omitted for prompts with a single sample.
        usage: the tokens that judges took for this row, by model; omitted where they took none.
        repeats: of judges that are asked several times, each answer's reward, by the grader's key.
        labels: of label_model graders, the label of each answer, by the grader's key.
        saved: the tokens that were not spent, by model: the reply was kept from an earlier request, or the
            row equals an earlier one.
        clamped: the numbers of judges that were outside the grader's range, by the grader's key; the end of
            the range counts.
        left_out: the parts of requests to judges that were not sent, since the model refuses them, by the
            model's name in the grader.
        blames: of a multi whose parts failed by different faults, whose fault each is, by key; where it is
            omitted, `blame` is that of all that failed.
    """

    line: int
    reward: float | None
    status: Status
    sub_rewards: dict[str, float | None]
    flags: dict[str, str]
    seconds: float
    blame: Blame | None = None
    served: float | None = None
    sample: int = 0
    group: str | None = None
    usage: dict[str, Usage] = NOTHING
    repeats: dict[str, list[float]] = NOTHING
    labels: dict[str, list[str]] = NOTHING
    saved: dict[str, Usage] = NOTHING
    clamped: dict[str, float] = NOTHING
    left_out: dict[str, list[str]] = NOTHING
    blames: dict[str, Blame] = NOTHING

    @property
    def name(self) -> str:
        """Its line and, if the line has a list of samples, which one it is, from 1: "12", "12#3"."""
        return row_name(self.line, self.sample)

    @property
    def counted(self) -> float | None:
        """The reward that training would see of the model; None if the row is in no mean.

        It is that of a scored row, and what is served of a row that is invalid by its sample or its grader.

        Raises:
            DataSetError: the line does not say whose fault it is that the row is not scored.
        """
        if self.status == "scored":
            return self.reward
        if self.status == "failed":
            return None
        if self.blame is None:
            raise DataSetError(
                f"The result of line {self.line} does not say who is to blame: an older version of "
                "graders-engine wrote it. Score the data again."
            )
        return self.served if self.blame in SERVED else None

    @property
    def without_verdict(self) -> bool:
        """Whether it has no reward since the answer of a judge had no verdict."""
        return self.blame == "judge" and any(flag in self.flags for flag in _NO_VERDICT)

    @property
    def counted_parts(self) -> dict[str, float | None]:
        """Of a multi, by key what training would see of the model in each part; None if it sees nothing.

        It is the part's reward, and 0.0, which is served, of one that failed by the sample or the grader.
        """
        if self.status == "scored":
            return self.sub_rewards
        return {
            key: 0.0 if value is None and self.blames.get(key, self.blame) in SERVED else value
            for key, value in self.sub_rewards.items()
        }

    @property
    def hosted(self) -> float | None:
        """The reward that the hosted API would serve; None for a failed row, and for what is no row."""
        if self.status == "invalid":
            is_row = not self.flags.get(Flag.OTHER, "").startswith(NO_ROW)
            return (self.served or 0.0) if is_row else None
        return self.reward if self.status == "scored" else None

    @property
    def prompt(self) -> str | int:
        """What the row shares with the other samples of its prompt: its group, or else its line."""
        return self.line if self.group is None else self.group


def row_name(line: int, sample: int) -> str:
    """A line and, if it has a list of samples, which one it is, from 1: "12", "12#3"."""
    return f"{line}#{sample}" if sample else f"{line}"


def result_line(ref: RowRef, graded: RowOutcome) -> ResultLine:
    """The line for one graded row."""
    outcome = graded.outcome
    # Most rows have no flags; `status` and `flags` are computed only for those that may have some.
    flagged = outcome.failures or graded.sample_flags
    if flagged or outcome.usage or outcome.saved or outcome.repeats or outcome.left_out:
        return _full_line(ref, graded)
    if outcome.scores or outcome.score is not None or outcome.labels:
        return _full_line(ref, graded)
    return ResultLine(
        ref.line,
        outcome.reward,
        "scored",
        outcome.sub_rewards,
        NOTHING,
        graded.seconds,
        None,
        None,
        ref.sample,
        ref.group,
    )


def _full_line(ref: RowRef, graded: RowOutcome) -> ResultLine:
    """As `result_line`, for an outcome that may have any of the fields."""
    outcome = graded.outcome
    flagged = outcome.failures or graded.sample_flags
    return ResultLine(
        ref.line,
        outcome.reward,
        outcome.status if flagged else "scored",
        outcome.sub_rewards,
        graded.flags if flagged else {},
        graded.seconds,
        graded.blame if flagged else None,
        graded.served if outcome.failures else None,
        ref.sample,
        ref.group,
        # What is empty has to be the default itself to be omitted.
        (outcome.spent if outcome.saved else outcome.usage) or NOTHING,
        outcome.repeats or NOTHING,
        outcome.labels or NOTHING,
        outcome.saved or NOTHING,
        (outcome.clamped or NOTHING) if outcome.scores or outcome.score is not None else NOTHING,
        outcome.left_out or NOTHING,
        _blames(outcome) if len(outcome.failures) > 1 else NOTHING,
    )


def _blames(outcome: Outcome) -> dict[str, Blame]:
    """Whose fault each part's failure is; empty where all are the same one's."""
    found: dict[str, Blame] = {}
    for failure in outcome.failures:
        if failure.grader:
            known = found.get(failure.grader, failure.blame)
            found[failure.grader] = max(known, failure.blame, key=BLAMES.index)
    return found if len({*found.values(), outcome.blame}) > 1 else NOTHING


_encoder = msgspec.json.Encoder()
decode_result = msgspec.json.Decoder(ResultLine).decode
"""A result from its line; raises a `msgspec.MsgspecError` that says what is wrong with it."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def encode_results(results: Sequence[ResultLine]) -> bytes:
    """Results as the lines of a results file."""
    try:
        return _encoder.encode_lines(results)
    except UnicodeEncodeError:  # a lone surrogate from a row, quoted in a flag's details
        return b"".join(_encode_escaped(result) + b"\n" for result in results)


def _encode_escaped(result: ResultLine) -> bytes:
    try:
        return _encoder.encode(result)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(result), ensure_ascii=False, separators=(",", ":"))
        return _LONE_SURROGATE.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text).encode()


TABLES = (".csv", ".parquet")
"""Endings of results that are one table, which is made at the end from a file with one result a line."""


def lines_of(results: Path) -> Path:
    """The file with one result a line; for a table, the JSONL file that it was made from."""
    return beside(results, ".jsonl") if results.suffix.lower() in TABLES else results


def column_of(columns: dict[str, array[float]], key: str) -> array[float]:
    """The column of a sub-reward among those of a file; it is added if there is none.

    Raises:
        DataSetError: there are too many.
    """
    if key not in columns:
        if len(columns) >= MAX_SUB_REWARDS:
            raise DataSetError(
                f"The results have more than {MAX_SUB_REWARDS} different sub-rewards."
            )
        columns[key] = array("d")
    return columns[key]


def require_columns(parts: int) -> None:
    """Check that reports can read the results of a multi with so many graders.

    Raises:
        InvalidRequest: they cannot.
    """
    if parts > MAX_SUB_REWARDS:
        raise InvalidRequest(
            f"The multi has {parts:,} graders, but results can have {MAX_SUB_REWARDS:,} sub-rewards at most: "
            "join some of them, or score the data with several multis."
        )


def results_in(path: Path) -> Iterator[tuple[int, ResultLine]]:
    """The results in a file, each with the offset of its end; an incomplete last line is left out.

    Raises:
        DataSetError: the file cannot be read, or a line is not a result.
    """
    end = 0
    try:
        if kind := kind_of(path):
            raise OSError(errno.EINVAL, f"it is a {kind}")
        with path.open("rb", buffering=1 << 20) as file:
            lines = iter(partial(file.readline, MAX_LINE_BYTES), b"")
            for number, line in enumerate(lines, 1):
                if len(line) == MAX_LINE_BYTES:
                    raise DataSetError(f"{path}, line {number}, is not a result: it is too long.")
                if not line.endswith(b"\n"):
                    if number == 1 and not _BEGINNING.startswith(line[: len(_BEGINNING)]):
                        raise DataSetError(f"{path} is not a results file.{_hint(path, line)}")
                    return
                end += len(line)
                try:
                    yield end, decode_result(line)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    hint = _hint(path, line) if number == 1 else ""
                    raise DataSetError(
                        f"{path}, line {number}, is not a result: {error}.{hint}"
                    ) from None
    except OSError as error:
        table = Path(str(path).removesuffix(".jsonl"))
        lost = isinstance(error, FileNotFoundError)
        made = f" ({table} is made from it)" if table.suffix.lower() in TABLES else ""
        way_on = f"{made}. Results come from `graders score`." if lost else "."
        raise DataSetError(
            f"The results cannot be read: {path}: {error.strerror}{way_on}"
        ) from None


def _hint(path: Path, line: bytes) -> str:
    """What a file seems to be whose first line is no result."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if isinstance(value, dict) and not {"line", "status"} & value.keys():
        return f" It seems to be a data set; `graders score --data {path}` makes results of it."
    return " Results are files that `graders score` has written."
