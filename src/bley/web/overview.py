"""The values that the template of the overview shows, computed from OverviewData alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from bley.core.exemptions.lookup import SenderExemptions
from bley.core.findings import JUDGED, REASONS
from bley.core.history.advice import ListFiles
from bley.core.history.nodes import figures_by_node
from bley.core.history.periods import Period, Slot, slots
from bley.core.history.statistics import DELAY_BOUNDS, LONGER, CauseFigures, Count, Figures, figures
from bley.settings.file import Configuration
from bley.settings.sections import Timings
from bley.store.delayed_domains import SHOWN_DOMAINS
from bley.web.background import in_background
from bley.web.changes import ChangeRow, change_marks, change_rows, changes_by_slot
from bley.web.chart import BarData, Chart, LabelData, MarkData, stacked_bars, time_labels
from bley.web.dashboard_data import OverviewData
from bley.web.delayed_domains import DelayedDomains, delayed_domains
from bley.web.formatting import duration, iso, number
from bley.web.urls import page_url
from bley.web.waiting import WaitingRow, suspected_rows

__all__ = [
    "SERIES",
    "CauseRow",
    "CountRow",
    "DelayRow",
    "NodeRow",
    "Overview",
    "SlotRow",
    "build_overview",
    "overview_of",
]

SERIES = {
    "undelayed": "passed at once",
    "waited": "passed after the wait",
    "deferred": "deferred",
    "early": "early retries",
}
"""The series of a slot, from bottom to top, with their words; their colors and patterns are in style.css."""

OBSERVED = {
    "undelayed": "would pass at once",
    "waited": "came again after the wait",
    "deferred": "would be deferred",
    "early": "came again too early",
}
"""Their words in `mode = observe`, in which all mail passes."""

_NO_FILES, _NO_SENDERS = ListFiles("", "", ""), SenderExemptions()

_NO_CAUSE = "the record does not have the reason: an older bley stored it, or it was imported"


class SlotRow(NamedTuple):
    """A slot of time, with a number for each of SERIES."""

    start: datetime
    numbers: Mapping[str, int]
    link: str
    changes: Sequence[ChangeRow] = ()
    """The starts and reloads within it."""


class CountRow(NamedTuple):
    """A reason or a finding, with its number and its share of the total."""

    name: str
    words: str
    number: int
    share: float
    link: str


class NodeRow(NamedTuple):
    """The figures of one of several nodes."""

    node: str
    figures: Figures
    median_delay: str
    link: str


class CauseRow(NamedTuple):
    """A reason of first deferrals, with what became of the mail."""

    name: str
    words: str
    figures: CauseFigures
    share: float | None
    """Its share of the deferred mails."""
    delayed_share: float | None
    """Its share of the mails that came back."""
    median_delay: str
    link: str


class DelayRow(NamedTuple):
    """The number of mails that were delayed for at most so long; None: longer than all other rows."""

    longest_seconds: int | None
    words: str
    number: int


class Overview(NamedTuple):
    """All values of the overview that come from the store."""

    figures: Figures
    observes: bool
    """Whether bley only observes, or did in the whole period."""
    series: Mapping[str, str]
    """The words of each of SERIES."""
    median_delay: str
    slots: Sequence[SlotRow]
    slots_chart: Chart
    deferred: Sequence[CauseRow]
    passed: Sequence[CountRow]
    found: Sequence[CountRow]
    delays: Sequence[DelayRow]
    delays_chart: Chart
    waiting: Sequence[WaitingRow]
    before: Figures | None
    """The figures of the period before; None if they cannot be compared."""
    median_before: str
    changes: Sequence[ChangeRow]
    nodes: Sequence[NodeRow]
    """Empty if only one node had requests."""
    delayed: DelayedDomains


async def overview_of(data: OverviewData, configuration: Configuration) -> Overview:
    """Compute all values, with these settings, in a thread."""
    return await in_background(
        build_overview,
        data,
        configuration.timings,
        observes=configuration.settings.mode == "observe",
        files=configuration.list_files,
        senders=configuration.senders,
    )


def build_overview(
    data: OverviewData,
    timings: Timings,
    *,
    observes: bool = False,
    files: ListFiles = _NO_FILES,
    senders: SenderExemptions = _NO_SENDERS,
) -> Overview:
    """Compute all values. `observes`: whether `mode = observe` now; `senders`: those that are exempt now."""
    period, now = data.period, data.now
    total = figures(data.counts)
    observes = observes or total.defers_nothing
    series = OBSERVED if observes else SERIES
    all_slots, changes = slots(period, now, data.counts), change_rows(data.changes)
    by_slot = changes_by_slot(changes, all_slots, period)
    marks = change_marks(by_slot, all_slots, period)
    rows = [_slot_row(slot, period, by_slot.get(number, ())) for number, slot in enumerate(all_slots)]
    delays = _delay_rows(total)
    before = _comparable(data.before, observes=observes)
    return Overview(
        figures=total,
        observes=observes,
        series=series,
        median_delay=_median(total),
        slots=rows,
        slots_chart=slots_chart(rows, period, series, marks),
        deferred=_cause_rows(total, period),
        passed=_passed_rows(total, period),
        found=_finding_rows(total),
        delays=delays,
        delays_chart=_delays_chart(delays),
        waiting=suspected_rows(data.waiting.records, data.delayed, timings, now, observes=observes),
        before=before,
        median_before=_median(before) if before else "",
        changes=changes,
        nodes=_node_rows(data.counts, period),
        delayed=delayed_domains(data.delayed, files, senders, period.name, SHOWN_DOMAINS, observes=observes),
    )


def _comparable(counts: Mapping[Count, int] | None, *, observes: bool) -> Figures | None:
    """Return the figures of the period before, unless `mode = observe` was in force in one of both periods alone."""
    if counts is None:
        return None
    before = figures(counts)
    return before if before.defers_nothing == observes or not before.deferred else None


def _node_rows(counts: Mapping[Count, int], period: Period) -> list[NodeRow]:
    found = figures_by_node(counts)
    return [
        NodeRow(node, each, _median(each), page_url("/search", {"node": node, "range": period.name}))
        for node, each in found.items()
        if len(found) > 1
    ]


def _slot_row(slot: Slot, period: Period, changes: Sequence[ChangeRow]) -> SlotRow:
    until = slot.start + period.slot
    return SlotRow(
        slot.start,
        slot_numbers(slot.figures),
        page_url("/search", {"since": iso(slot.start), "until": iso(until)}),
        changes,
    )


def slot_numbers(figures: Figures) -> dict[str, int]:
    """Return the number of each of SERIES."""
    numbers = (figures.undelayed, figures.came_back, figures.first_deferrals, figures.early_retries)
    return dict(zip(SERIES, numbers, strict=True))


def slots_chart(
    rows: Sequence[SlotRow], period: Period, series: Mapping[str, str], marks: Sequence[MarkData] = ()
) -> Chart:
    """Return the chart of the slots of the period; `series`: the words of each of SERIES."""
    return stacked_bars(
        list(SERIES),
        [BarData(_tooltip(row, period, series), list(row.numbers.values()), row.link) for row in rows],
        time_labels(period, [row.start for row in rows]),
        marks=marks,
    )


def _tooltip(row: SlotRow, period: Period, series: Mapping[str, str]) -> str:
    lines = "\n".join(f"{series[name]}: {number(count)}" for name, count in row.numbers.items() if count)
    end = row.start + period.slot
    end_words = f"{end:%H:%M}" if period.slot.days < 1 else f"{end:%Y-%m-%d %H:%M}"
    return f"{row.start:%Y-%m-%d %H:%M} to {end_words} UTC\n{lines or 'nothing'}"


def _delays_chart(rows: Sequence[DelayRow]) -> Chart:
    return stacked_bars(
        ["waited"],
        [BarData(f"{row.words}: {number(row.number)}", [row.number]) for row in rows],
        [LabelData(at + 0.5, row.words.replace("up to ", "\N{LESS-THAN OR EQUAL TO} ")) for at, row in enumerate(rows)],
        major_every=3,
    )


def _cause_rows(total: Figures, period: Period) -> list[CauseRow]:
    return [
        CauseRow(
            cause,
            REASONS[cause].says if cause in REASONS else _NO_CAUSE,
            figures,
            total.first_deferred_share(cause),
            total.delayed_share(cause),
            _median(figures),
            page_url("/search", {"reason": cause, "range": period.name}) if cause in REASONS else "",
        )
        for cause, figures in total.by_cause.items()
    ]


def _passed_rows(total: Figures, period: Period) -> list[CountRow]:
    passed = sum(total.passed.values())
    return [
        CountRow(
            name,
            REASONS[name].says if name in REASONS else "",
            count,
            count / passed,
            page_url("/search", {"reason": name, "outcome": "pass", "range": period.name}),
        )
        for name, count in total.passed.items()
    ]


def _finding_rows(total: Figures) -> list[CountRow]:
    """Return the findings with their share of the strangers that were judged."""
    by_reason = [*total.passed.items(), *total.deferred.items()]
    judged = sum(number for name, number in by_reason if name in JUDGED)
    return [CountRow(name, "", number, number / max(judged, number), "") for name, number in total.found.items()]


def _delay_rows(total: Figures) -> list[DelayRow]:
    """Return a row for each bound, also for those without mail: the chart's axis must have no gaps."""
    bounds = [DelayRow(bound, f"up to {duration(bound)}", total.delays.get(str(bound), 0)) for bound in DELAY_BOUNDS]
    return [*bounds, DelayRow(None, "longer", total.delays.get(LONGER, 0))]


def _median(figures: Figures | CauseFigures) -> str:
    if figures.median_delay_seconds is not None:
        return duration(figures.median_delay_seconds)
    return f"more than {duration(DELAY_BOUNDS[-1])}" if figures.delays else ""
