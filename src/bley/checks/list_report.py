"""How the lists do, for people and for metrics: `bley lists` and `/metrics` show the same figures."""

import statistics
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict

from bley.checks.list_watch import WatchedList
from bley.core.dnslists import DnsList, Meaning
from bley.core.list_health import ListState

__all__ = ["ListReport", "report_lists"]


class ListReport(TypedDict):
    """One list of one setting; instants are in ISO 8601, a customer's key is not in it."""

    name: str
    setting: str
    """`dnsbls` or `dnswls`."""
    entries: str
    """As it is configured."""
    state: str
    """For IPv4 clients, a ListState."""
    state_ipv6: str
    since: str
    what: str
    """What is wrong, and what to do; empty when nothing is."""
    last_error: str
    last_error_at: str | None
    answers: dict[str, int]
    """How many answers about clients meant what, by Meaning."""
    median_seconds: float | None
    p95_seconds: float | None
    """Of the last answers that told something; None: there was none."""


def report_lists(settings: Mapping[str, Iterable[DnsList]], watched: Mapping[str, WatchedList]) -> list[ListReport]:
    """The lists of each setting, in its order, as they stand now."""
    return [
        _report(setting, dns_list, watched[dns_list.zone]) for setting, lists in settings.items() for dns_list in lists
    ]


def _report(setting: str, dns_list: DnsList, watched: WatchedList) -> ListReport:
    at, error = watched.last_error or (None, "")
    quantiles = statistics.quantiles(watched.seconds, n=20, method="inclusive") if len(watched.seconds) > 1 else None
    first, second = watched.healths[4], watched.healths[6]
    is_about_ipv6 = first.state is ListState.NOT_SERVED or (
        first.state is ListState.WELL and second.state is ListState.ILL
    )
    telling = second if is_about_ipv6 else first
    return ListReport(
        name=dns_list.name,
        setting=setting,
        entries=str(dns_list),
        state=first.state.value,
        state_ipv6=second.state.value,
        since=_iso(telling.since),
        what="; ".join(filter(None, (telling.diagnosis.what, telling.diagnosis.remedy))),
        last_error=error,
        last_error_at=_iso(at) if at else None,
        answers={meaning.value: watched.answers[meaning] for meaning in Meaning if watched.answers[meaning]},
        median_seconds=quantiles[9] if quantiles else next(iter(watched.seconds), None),
        p95_seconds=quantiles[18] if quantiles else next(iter(watched.seconds), None),
    )


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
