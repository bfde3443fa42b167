"""Reports on the lists. `bley lists`, the dashboard and `/metrics` show the same figures."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypedDict

from bley.checks.lists.queried_list import QueriedList
from bley.core.dnslists.health import ListState
from bley.core.dnslists.lists import DnsList, Meaning

__all__ = ["DOMAIN_SETTING", "ListReport", "merged_lists", "report_lists"]

DOMAIN_SETTING = "domain_lists"

_WORST_FIRST = (ListState.DEAD, ListState.ILL, ListState.UNTESTED, ListState.WELL, ListState.NOT_SERVED)


class ListReport(TypedDict):
    """The report on one list of one setting. Instants are in ISO 8601; it never has a customer's key."""

    name: str
    setting: str
    """`dnsbls`, `dnswls` or `domain_lists`."""
    entries: str
    """The entries of the setting."""
    state: str
    """The ListState for IPv4 clients; of a domain list, the only one."""
    state_ipv6: str
    """That for IPv6 clients; of a domain list, "not served"."""
    since: str
    what: str
    """The problem and its remedy; empty if there is none."""
    last_error: str
    last_error_at: str | None
    answers: dict[str, int]
    """The number of answers about clients by Meaning."""
    median_seconds: float | None
    p95_seconds: float | None
    """The latency of the last conclusive answers; None if there are none."""


def report_lists(settings: Mapping[str, Iterable[DnsList]], queried: Mapping[str, QueriedList]) -> list[ListReport]:
    """Report on the lists of each setting, in its order."""
    return [
        _report(setting, dns_list, queried[dns_list.key]) for setting, lists in settings.items() for dns_list in lists
    ]


def _report(setting: str, dns_list: DnsList, queried: QueriedList) -> ListReport:
    health = queried.tester.health
    at, error = health.last_error or (None, "")
    quantiles = statistics.quantiles(queried.seconds, n=20, method="inclusive") if len(queried.seconds) > 1 else None
    states = {version: each.state for version, each in health.versions.items()}
    first, second = states[min(states)], states.get(6, ListState.NOT_SERVED)
    is_about_ipv6 = 6 in states and (
        first is ListState.NOT_SERVED or (first is ListState.WELL and second is ListState.ILL)
    )
    shown = 6 if is_about_ipv6 else min(states)
    return ListReport(
        name=dns_list.name,
        setting=setting,
        entries=str(dns_list),
        state=first.value,
        state_ipv6=second.value,
        since=_iso(health.versions[shown].since),
        what=str(health.diagnosis(shown)) or health.without_ipv6,
        last_error=error,
        last_error_at=_iso(at) if at else None,
        answers={meaning.value: queried.answers[meaning] for meaning in Meaning if queried.answers[meaning]},
        median_seconds=quantiles[9] if quantiles else next(iter(queried.seconds), None),
        p95_seconds=quantiles[18] if quantiles else next(iter(queried.seconds), None),
    )


def merged_lists(reports: Iterable[Sequence[ListReport]]) -> list[ListReport]:
    """Merge the reports of several processes with the same lists.

    Answers are summed. State and latency are the worst of all processes.
    """
    same: dict[tuple[str, str], list[ListReport]] = {}
    for report in reports:
        for each in report:
            same.setdefault((each["setting"], each["name"]), []).append(each)
    return [_merged(each) for each in same.values()]


def _merged(reports: Sequence[ListReport]) -> ListReport:
    worst = min(reports, key=lambda report: min(_rank(report["state"]), _rank(report["state_ipv6"])))
    last = max(reports, key=lambda report: report["last_error_at"] or "")
    answers: Counter[str] = Counter()
    for report in reports:
        answers.update(report["answers"])
    return ListReport(
        **worst
        | {
            "state": min((report["state"] for report in reports), key=_rank),
            "state_ipv6": min((report["state_ipv6"] for report in reports), key=_rank),
            "last_error": last["last_error"],
            "last_error_at": last["last_error_at"],
            "answers": dict(answers),
            "median_seconds": _slowest(report["median_seconds"] for report in reports),
            "p95_seconds": _slowest(report["p95_seconds"] for report in reports),
        }
    )


def _rank(state: str) -> int:
    return _WORST_FIRST.index(ListState(state))


def _slowest(seconds: Iterable[float | None]) -> float | None:
    return max((each for each in seconds if each is not None), default=None)


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
