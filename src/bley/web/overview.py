"""The values of the overview, as its template wants them: made from what was looked up, and from nothing else."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from bley.core.findings import JUDGED, REASONS
from bley.core.greylist import Record, Status, Timing
from bley.core.history.periods import Period, Slot, slots
from bley.core.history.statistics import DELAY_BOUNDS, LONGER, Figures, figures
from bley.core.mail import Triplet
from bley.web.chart import BarData, Chart, chart, time_labels
from bley.web.dashboard_data import OverviewData
from bley.web.formatting import duration, iso, number
from bley.web.urls import link

__all__ = ["SERIES", "Delay", "Overview", "ReasonRow", "SlotRow", "WaitingRow", "overview", "waiting_rows"]

SERIES = {
    "undelayed": "passed at once",
    "waited": "passed after the wait",
    "deferred": "deferred",
    "early": "early retries",
}
"""What a slot is made of, from the ground up: the same colours and words everywhere."""


class SlotRow(NamedTuple):
    """A slot of time, and how many of each of SERIES it has."""

    start: datetime
    numbers: Mapping[str, int]
    link: str


class ReasonRow(NamedTuple):
    """A reason, or a finding: how often, and of all how much."""

    name: str
    words: str
    number: int
    share: float
    link: str


class Delay(NamedTuple):
    """How many came back within a time; None: they took longer than all others."""

    longest_seconds: int | None
    words: str
    number: int


class WaitingRow(NamedTuple):
    """A greylisted triplet; `left` is in seconds, and not above 0 where the next attempt passes."""

    triplet: Triplet
    record: Record
    left: float


class Overview(NamedTuple):
    """All that the store tells on the overview."""

    figures: Figures
    median_delay: str
    slots: Sequence[SlotRow]
    slots_chart: Chart
    deferred: Sequence[ReasonRow]
    passed: Sequence[ReasonRow]
    found: Sequence[ReasonRow]
    delays: Sequence[Delay]
    delays_chart: Chart
    waiting: Sequence[WaitingRow]


def overview(looked: OverviewData, timing: Timing) -> Overview:
    """The values of all that was looked up."""
    period, now = looked.period, looked.now
    total = figures(looked.counts)
    rows = [_slot_row(slot, period) for slot in slots(period, now, looked.counts)]
    delays = _delays(total)
    return Overview(
        figures=total,
        median_delay=_median(total),
        slots=rows,
        slots_chart=_slots_chart(rows, period),
        deferred=_reasons(total.deferred, period, ""),
        passed=_reasons(total.passed, period, "pass"),
        found=_findings(total),
        delays=delays,
        delays_chart=chart(
            ["waited"],
            [BarData(f"{each.words}: {number(each.number)}", [each.number]) for each in delays],
            [(at + 0.5, each.words.replace("up to ", "\N{LESS-THAN OR EQUAL TO} ")) for at, each in enumerate(delays)],
            major_every=3,
        ),
        waiting=waiting_rows(looked.waiting.records, timing, now),
    )


def _slot_row(slot: Slot, period: Period) -> SlotRow:
    figures = slot.figures
    numbers = (figures.undelayed, figures.came_back, figures.first_deferrals, figures.early_retries)
    until = slot.start + period.slot
    return SlotRow(
        slot.start,
        dict(zip(SERIES, numbers, strict=True)),
        link("/search", {"since": iso(slot.start), "until": iso(until)}),
    )


def _slots_chart(rows: Sequence[SlotRow], period: Period) -> Chart:
    return chart(
        list(SERIES),
        [BarData(_told(row, period), list(row.numbers.values()), row.link) for row in rows],
        time_labels(period, [row.start for row in rows]),
    )


def _told(row: SlotRow, period: Period) -> str:
    what = "\n".join(f"{SERIES[name]}: {number(count)}" for name, count in row.numbers.items() if count)
    end = row.start + period.slot
    end_words = f"{end:%H:%M}" if period.slot.days < 1 else f"{end:%Y-%m-%d %H:%M}"
    return f"{row.start:%Y-%m-%d %H:%M} to {end_words} UTC\n{what or 'nothing'}"


def _reasons(counts: Mapping[str, int], period: Period, outcome: str) -> list[ReasonRow]:
    total = sum(counts.values())
    return [
        ReasonRow(
            name,
            REASONS[name].says if name in REASONS else "",
            count,
            count / total,
            link("/search", {"reason": name, "outcome": outcome, "range": period.name}),
        )
        for name, count in counts.items()
    ]


def _findings(total: Figures) -> list[ReasonRow]:
    """What was found, and about what share of the strangers that were judged."""
    by_reason = [*total.passed.items(), *total.deferred.items()]
    judged = sum(number for name, number in by_reason if name in JUDGED)
    return [ReasonRow(name, "", number, number / max(judged, number), "") for name, number in total.found.items()]


def _delays(total: Figures) -> list[Delay]:
    """Of all bounds, those too that nobody needed: an axis has no holes."""
    bounds = [Delay(bound, f"up to {duration(bound)}", total.delays.get(str(bound), 0)) for bound in DELAY_BOUNDS]
    return [*bounds, Delay(None, "longer", total.delays.get(LONGER, 0))]


def _median(total: Figures) -> str:
    if total.median_delay_seconds is not None:
        return duration(total.median_delay_seconds)
    return f"more than {duration(DELAY_BOUNDS[-1])}" if total.delays else ""


def waiting_rows(records: Sequence[tuple[Triplet, Record]], timing: Timing, now: datetime) -> list[WaitingRow]:
    """Records with what is left of the wait of those that are greylisted, those that wait first."""
    rows = [WaitingRow(triplet, record, timing.remaining(record, now).total_seconds()) for triplet, record in records]
    return sorted(rows, key=lambda row: row.record.status is not Status.GREYLISTED or row.left <= 0)
