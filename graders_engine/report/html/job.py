"""The page of a fine-tuning job: its sections, for a page that refreshes them, and all of it as one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from jinja2 import Environment

from graders_engine.report import formatting
from graders_engine.report.explain import Explanation
from graders_engine.report.html import charts, curves
from graders_engine.report.html.curves import Curves
from graders_engine.report.html.job_filters import FILTERS
from graders_engine.report.html.rendering import environment, policy_hash, style_of
from graders_engine.report.visible import visible
from graders_engine.version import __version__

STYLE = "job.css"
"""The page's own style, after that of all pages; a page in a browser has it, too."""
_CARD_CHARS = 14_000
"""Characters of the HTML of an explanation; longer texts are cut to stay below."""
_TEXT_CHARS = (1_000, 300, 80)
"""Characters of each text of an explanation: the first that keeps it short enough."""
_TEMPLATES = (20, 10, 4)
"""Templates of an explanation, likewise."""


class Line(NamedTuple):
    """A name, its value, and what is said besides."""

    name: str
    value: str
    more: str = ""


class PlanLine(NamedTuple):
    """What a job is to do of something, and what it has done; None where that is not known."""

    name: str
    planned: int | None
    done: int | None
    more: str = ""


class BlameLine(NamedTuple):
    """How many rollouts have no reward of their own because of something."""

    blame: str
    meaning: str
    train: int
    valid: int


class FlagLine(NamedTuple):
    """How often a grader raised a flag."""

    flag: str
    grader: str
    train: int
    valid: int


class TimeLine(NamedTuple):
    """How long a part of the steps took: in all, and of each step."""

    part: str
    seconds: float
    per_step: float


class PartLine(NamedTuple):
    """The last mean rewards of a part of the grader; None where there is none."""

    name: str
    train: float | None
    valid: float | None


class CheckpointLine(NamedTuple):
    """A checkpoint: its step, the name of its model, its values, and why it is kept."""

    step: int
    name: str
    values: Sequence[Line]
    kept: str


class EventLine(NamedTuple):
    """An event: when it was, how grave it is, and its sentence."""

    at: str
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class RolloutCard:
    """A rollout, and how its reward comes about.

    Attributes:
        line: its line in the file of rollouts.
        step: in which it was sampled.
        split: train or valid.
        row: whose answer it is: a line of that file.
        reward: None if it has none.
        item: the start of the row, as text.
        sample: the start of the answer.
        explanation: as of `graders explain`; None if there is none.
        problem: why there is none, or what must be known of it; may be empty.
    """

    line: int
    step: int
    split: str
    row: int
    reward: float | None
    item: str = ""
    sample: str = ""
    explanation: Explanation | None = None
    problem: str = ""

    @property
    def id(self) -> str:
        """Its id on the page."""
        return f"rollout-{self.line}"


@dataclass(frozen=True, slots=True)
class JobSummary:
    """What the page of a job says.

    Attributes:
        id: of the job.
        name: by which its user knows it.
        method: supervised, dpo or reinforcement.
        line: what else names it.
        status: as of a job.
        meaning: a sentence on the status.
        is_going: whether it will change by itself.
        error: (code, message) of a job that failed; empty without one.
        notes: sentences to be read before the numbers.
        headline: the number that says most, what it is, and how it began; None before there is one.
        step: the last step.
        total: all steps; None if that is not known yet.
        left: how long the rest will take, in words; may be empty.
        key_numbers: other numbers.
        curve: of the rewards, or of the losses.
        charts: of other metrics.
        parts: of the grader, with their rewards.
        plan: what is to be done, and what was.
        rollouts: how many there are in its file; None for a job without any.
        unscored: how many of them have no reward.
        blames: whose fault that, or what is served in place of one, is; None if the steps do not say it.
        flags: what graders raised; None if the steps do not say it.
        times: of the parts of the steps.
        checkpoints: that are kept, the newest first.
        cards: (heading, what they are, rollouts).
        cards_read: while the rollouts are still being read, the share that was.
        warnings: the newest events that are more than information.
        warnings_left_out: how many more there are.
        events: the newest ones.
        events_left_out: how many more there are.
        settings: what was asked for.
        grader: its JSON; empty without one.
        judge_tokens: of the judges, by model.
        as_of: what is said of the moment; for a file.
    """

    id: str
    name: str
    method: str
    line: str
    status: str
    meaning: str
    is_going: bool
    error: tuple[str, str] | tuple[()] = ()
    notes: Sequence[str] = ()
    headline: Line | None = None
    step: int = 0
    total: int | None = None
    left: str = ""
    key_numbers: Sequence[Line] = ()
    curve: Curves | None = None
    charts: Sequence[Curves] = ()
    parts: Sequence[PartLine] = ()
    plan: Sequence[PlanLine] = ()
    rollouts: int | None = None
    unscored: int = 0
    blames: Sequence[BlameLine] | None = None
    flags: Sequence[FlagLine] | None = None
    times: Sequence[TimeLine] = ()
    checkpoints: Sequence[CheckpointLine] = ()
    cards: Sequence[tuple[str, str, Sequence[RolloutCard]]] = ()
    cards_read: float | None = None
    warnings: Sequence[EventLine] = ()
    warnings_left_out: int = 0
    events: Sequence[EventLine] = ()
    events_left_out: int = 0
    settings: Sequence[Line] = ()
    grader: str = ""
    judge_tokens: Sequence[Line] = ()
    as_of: str = ""

    @property
    def status_words(self) -> str:
        """The status as a person writes it."""
        return self.status.replace("_", " ")


class Section(NamedTuple):
    """A section of the page; its template is `job/ID.html.jinja`."""

    id: str
    heading: str


def sections_of(job: JobSummary) -> Iterator[Section]:
    """The sections that are not empty, in the order of the page."""
    has_rollouts = job.rollouts is not None
    errors = has_rollouts or job.flags is not None
    for id_, heading, is_there in (
        ("status", "Status", True),
        ("curve", "Rewards" if has_rollouts else "Losses", job.curve),
        ("plan", "Plan", job.plan),
        ("rollouts", "Best and worst rollouts", job.cards or job.cards_read is not None),
        ("metrics", "More by step", job.charts or job.parts),
        ("errors", "Errors", errors and (job.rollouts or job.flags or job.blames)),
        ("time", "Time", job.times),
        ("checkpoints", "Checkpoints", job.checkpoints),
        ("events", "Events", job.events),
        ("settings", "Settings", True),
    ):
        if is_there:
            yield Section(id_, heading)


@cache
def _environment() -> Environment:
    made = environment(FILTERS)
    made.globals |= {
        "charts": charts,
        "curves": curves,
        "blame_meanings": formatting.BLAME_MEANINGS,
    }
    return made


@cache
def _style() -> str:
    return style_of(_environment(), STYLE)


def section_html(job: JobSummary, section: Section, cards: CardTexts) -> str:
    """A section as HTML, without its heading.

    Args:
        job: what it says.
        section: which one.
        cards: the explanations.
    """
    template = _environment().get_template(f"job/{section.id}.html.jinja")
    return visible(template.render(job=job, explained=cards.html))


def job_page(job: JobSummary) -> str:
    """The whole page as one file, as text to be encoded as UTF-8; it loads nothing and runs nothing.

    Args:
        job: what it says.
    """
    cards = CardTexts()
    sections = [(section, section_html(job, section, cards)) for section in sections_of(job)]
    page = (
        _environment()
        .get_template("job.html.jinja")
        .render(
            job=job,
            sections=[section for section, _ in sections],
            contents=sections,
            engine=__version__,
            row_data=None,
            style=_style(),
            style_hash=policy_hash(_style()),
            script="",
            script_hash="",
        )
    )
    return visible(page)


class CardTexts:
    """The explanations of rollouts as HTML, each made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, str, str], str] = {}

    def html(self, card: RolloutCard) -> str:
        """The explanation of a rollout, cut to what a page has room for."""
        key = card.line, card.sample, card.problem
        if key not in self._made:
            self._made[key] = _card_html(card)
        return self._made[key]

    def keep(self, cards: Sequence[RolloutCard]) -> None:
        """Forget all others."""
        keys = {(card.line, card.sample, card.problem) for card in cards}
        self._made = {key: html for key, html in self._made.items() if key in keys}


def _card_html(card: RolloutCard) -> str:
    template = _environment().get_template("job/explanation.html.jinja")
    html = ""
    for chars, templates in zip(_TEXT_CHARS, _TEMPLATES, strict=True):
        html = visible(template.render(card=card, chars=chars, most=templates))
        if len(html) <= _CARD_CHARS:
            return html
    too_long = RolloutCard(
        card.line, card.step, card.split, card.row, card.reward,
        problem="The explanation is too long for this page: `graders explain` prints it.",
    )  # fmt: skip
    return visible(template.render(card=too_long, chars=80, most=0))
