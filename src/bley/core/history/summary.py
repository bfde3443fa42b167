"""The summary of a search: figures of the decisions that match, in all and for each node."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bley.core.history.domain_counts import DAY_SECONDS, SIDES, DomainCounts, Side
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.statistics import DELAY, Count, Figures, delay_bound_of, figures
from bley.core.reasons import Reason

__all__ = ["DomainSummary", "Summary", "counted_domain", "first_day", "summarize", "summarize_domain"]

_LONGEST_DAYS = 366
"""The days that a summary by domain covers where the search has no start."""

_SHORTEST = timedelta(days=7)
"""The shortest time that is summarized by counts, in whole days of UTC."""


class Summary(NamedTuple):
    """The figures of decisions, the newest that match."""

    figures: Figures
    counts: Mapping[Count, int]
    """The counts of each minute, from which those of other slots are computed."""
    nodes: Mapping[str, Figures]
    """By node, if several nodes made the decisions."""
    number: int
    since: datetime | None
    """The oldest of these decisions; None if there is none."""
    is_complete: bool
    """Whether these are all that match."""


class DomainSummary(NamedTuple):
    """The figures of a domain by its counts, which outlive decisions."""

    domain: str
    since: datetime
    """The start of the first day that is covered."""
    sides: Mapping[Side, Figures]
    """Mail `to` and `from` the domain; a side without any is missing."""
    uncertain_days: Mapping[Side, int]
    """Days on which the domain may have had some mail, but less than the domains that were counted."""
    days: Mapping[int, Figures]
    """The figures of the first of these sides, by the start of the day, in seconds since 1970 UTC."""


def summarize(decisions: Sequence[StoredDecision], *, is_complete: bool) -> Summary:
    """Return the summary of these decisions, the newest first. `bley pass` is no request, and does not count."""
    requests = [each for each in decisions if each.reason != Reason.RELEASED]
    by_node: dict[str, list[StoredDecision]] = {}
    for each in requests:
        by_node.setdefault(each.node, []).append(each)
    nodes = {node: figures(_counts(by_node[node])) for node in sorted(by_node)} if len(by_node) > 1 else {}
    since, counts = requests[-1].at if requests else None, _counts(requests)
    return Summary(figures(counts), counts, nodes, len(requests), since, is_complete)


def _counts(decisions: Iterable[StoredDecision]) -> Counter[Count]:
    counts = Counter[Count]()
    for each in decisions:
        minute = int(each.at.timestamp()) // 60 * 60
        counts[Count(60, minute, each.outcome, each.reason)] += 1
        if each.reason == Reason.WAITED and (seconds := each.details.get("delay_seconds")) is not None:
            counts[Count(60, minute, DELAY, delay_bound_of(timedelta(seconds=seconds)))] += 1
    return counts


def counted_domain(query: DecisionQuery, now: datetime) -> str:
    """Return the domain whose counts of whole days answer the query; empty if only decisions can."""
    search = query.search
    if query.since and (query.until or now) - query.since < _SHORTEST:
        return ""
    if search is None or search.network or search.addresses or query.reasons or query.outcome or query.node:
        return ""
    return search.domain if "." in search.domain else ""


def first_day(query: DecisionQuery, now: datetime) -> datetime:
    """Return the start of the first day that the query covers."""
    since = query.since or now - timedelta(days=_LONGEST_DAYS)
    return datetime.fromtimestamp(since.timestamp() // DAY_SECONDS * DAY_SECONDS, UTC)


def summarize_domain(counts: DomainCounts, since: datetime) -> DomainSummary | None:
    """Return the summary of the counts from this day on; None if there are none."""
    sides = {side: found for side in SIDES if (found := counts.figures(side)).requests}
    if not sides or counts.since is None:
        return None
    uncertain = {side: days for side in sides if (days := counts.uncertain_days(side))}
    by_day = defaultdict[int, dict[Count, int]](dict)
    for count, number in counts.counts.items():
        by_day[count.start][count] = number
    side = next(iter(sides))
    figures_of = {start: counts._replace(counts=of_day).figures(side) for start, of_day in by_day.items()}
    return DomainSummary(counts.domain, max(since, counts.since), sides, uncertain, figures_of)
