"""The summary of a search, as its page shows it: rows of figures, the reasons, and a chart of the times."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from bley.core.history.periods import PERIODS, Period, Slot, slots
from bley.core.history.statistics import Count, Figures
from bley.core.history.summary import DomainSummary, Summary
from bley.web.chart import Chart
from bley.web.decision_search import DecisionSearch
from bley.web.formatting import iso, number
from bley.web.overview import OBSERVED, SERIES, SlotRow, slot_numbers, slots_chart

__all__ = ["SearchSummary", "SummaryPart", "SummaryRow", "summarize_search"]

_SIDES = {"to": "Mail to", "from": "Mail from"}


class SummaryRow(NamedTuple):
    """The figures of a part of what was found."""

    title: str
    figures: Figures
    link: str = ""


class SummaryPart(NamedTuple):
    """A table of figures that concern the same requests."""

    title: str
    words: Sequence[str]
    """Sentences that say which requests these are."""
    since: datetime
    rows: Sequence[SummaryRow]


class SearchSummary(NamedTuple):
    """The summary of a search."""

    parts: Sequence[SummaryPart]
    chart: Chart
    series: Mapping[str, str]
    observes: bool


def summarize_search(
    search: DecisionSearch, found: Summary, by_domain: DomainSummary | None, now: datetime, *, observes: bool
) -> SearchSummary | None:
    """Return the summary: by the counts of the domain if there are some, else by the decisions that were found."""
    if by_domain:
        return _of_domain(search, by_domain, found, now, observes=observes)
    if not found.since:
        return None
    observes = observes or found.figures.defers_nothing
    period = _period(found.since, now)
    rows = [SummaryRow("All", found.figures), *_node_rows(search, found)]
    part = SummaryPart("", [_requests(found)], found.since, rows)
    return _summary([part], slots(period, now, _by_slot(found.counts, period)), period, search, observes)


def _requests(found: Summary) -> str:
    if not found.is_complete:
        return f"The newest {number(found.number)} requests that match"
    return f"All {number(found.number)} requests that match" if found.number > 1 else "The only request that matches"


def _of_domain(
    search: DecisionSearch, by_domain: DomainSummary, found: Summary, now: datetime, *, observes: bool
) -> SearchSummary:
    words = [f"Counted by day (UTC) for {by_domain.domain}, also where decisions are removed already"]
    words += [
        f"on {number(days)} of these days it may have had some {_SIDES[side].lower()} it that is not counted, "
        "since the domains with the most mail are stored"
        for side, days in by_domain.uncertain_days.items()
    ]
    rows = [SummaryRow(f"{_SIDES[side]} {by_domain.domain}", figures) for side, figures in by_domain.sides.items()]
    observes = observes or all(row.figures.defers_nothing for row in rows)
    parts = [SummaryPart("", words, by_domain.since, rows)]
    if found.nodes and found.since:  # the days are not counted by node
        parts.append(SummaryPart("By node", [_requests(found)], found.since, _node_rows(search, found)))
    last = min(search.until_instant or now, now) - timedelta(microseconds=1)
    days = _days(by_domain.since, last)
    starts = [slot.start for slot in slots(days, last, {})]
    each = [Slot(start, by_domain.days.get(int(start.timestamp()), Figures())) for start in starts]
    return _summary(parts, each, days, search, observes)


def _node_rows(search: DecisionSearch, found: Summary) -> list[SummaryRow]:
    return [SummaryRow(node or "unknown node", each, search.url(node=node)) for node, each in found.nodes.items()]


def _summary(
    parts: Sequence[SummaryPart],
    each: Sequence[Slot],
    period: Period,
    search: DecisionSearch,
    observes: bool,
) -> SearchSummary:
    series = OBSERVED if observes else SERIES
    slot_rows = [
        SlotRow(
            slot.start,
            slot_numbers(slot.figures),
            search.url(range="", since=iso(slot.start), until=iso(slot.start + period.slot)),
        )
        for slot in each
    ]
    return SearchSummary(parts, slots_chart(slot_rows, period, series), series, observes)


def _period(since: datetime, now: datetime) -> Period:
    """Return the shortest period that includes this instant, in days if it is longer than four weeks."""
    year = PERIODS["365d"]
    found = next((each for each in PERIODS.values() if each.since(now) <= since), year)
    return _days(since, now) if found is year else found


def _days(since: datetime, until: datetime) -> Period:
    """Return the whole days (UTC) from this instant on."""
    return Period("", timedelta(days=(until.date() - since.date()).days + 1), timedelta(days=1))


def _by_slot(minutes: Mapping[Count, int], period: Period) -> Mapping[Count, int]:
    """Return the counts of each slot of the period."""
    step, found = period.slot // timedelta(seconds=1), Counter[Count]()
    for count, events in minutes.items():
        found[count._replace(seconds=step, start=count.start // step * step)] += events
    return found
