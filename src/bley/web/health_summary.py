"""The health of bley: one sentence, and the state of store, resolver and DNS lists."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from bley.checks.lists.descriptions import is_ill, listed_share, shown_state
from bley.checks.lists.report import ListReport
from bley.core.dnslists.health import ListState
from bley.core.dnslists.resolver_fault import RESOLVER_REMEDY
from bley.core.history.outcome import format_duration
from bley.core.history.silence import Silence
from bley.core.history.steps import format_instant
from bley.status import StateReport

__all__ = ["ComponentHealth", "HealthSummary", "Level", "ListSummary", "summarize_health"]


class Level(StrEnum):
    """Severity, shown in green, amber or red; each is worse than the one before."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


_SHOWN_GATEWAYS = 3
_FIRST_STEP = "The lines below connect it; bley doctor examines Postfix and Exim"


class ComponentHealth(NamedTuple):
    """A component's state, and what the operator should do; `place` is its address, if it has one."""

    name: str
    level: Level
    state: str
    advice: str = ""
    place: str = ""


class ListSummary(NamedTuple):
    """The health of a DNS list."""

    report: ListReport
    level: Level
    state: str
    answers: int
    listed: float | None


class HealthSummary(NamedTuple):
    """The health of the whole daemon."""

    level: Level
    sentence: str
    parts: Sequence[ComponentHealth]
    lists: Sequence[ListSummary]


def summarize_health(
    report: StateReport | None, place: str, store_fault: str, silences: Sequence[Silence] = ()
) -> HealthSummary:
    """Return the health. `report`: None if no worker answers. `store_fault`: the error of the last query, or empty.

    `silences`: those of the mail servers that are remarkable.
    """
    if report is None:
        advice = "The log says why its workers ended; bley starts others by itself"
        workers = ComponentHealth("workers", Level.BAD, "none answers", advice)
        return HealthSummary(Level.BAD, "No worker of bley answers.", [workers, _store(place, store_fault)], [])
    lists = [_list_summary(each) for each in report.lists]
    if report.store_is_down and not store_fault:
        store_fault = "it was unavailable a moment ago"
    parts = [_store(place, store_fault), _resolver(report), *map(_silence, silences), *_gateways(report)]
    levels = [*(part.level for part in parts), *(each.level for each in lists)]
    return HealthSummary(max(levels, key=list(Level).index), _sentence(parts, lists), parts, lists)


def _sentence(parts: Sequence[ComponentHealth], lists: Sequence[ListSummary]) -> str:
    faults = [f"the {part.name} {part.state}" for part in parts if part.level is not Level.GOOD]
    if ill := sum(each.report["state"] != ListState.UNTESTED and each.level is not Level.GOOD for each in lists):
        faults.append(f"{ill} of {len(lists)} DNS lists {'is' if ill == 1 else 'are'} set aside")
    elif any(each.level is not Level.GOOD for each in lists):
        faults.append("its DNS lists are being tested")
    if faults:
        return f"bley answers, but {' and '.join(faults)}."
    all_lists = f", all {len(lists)} DNS lists are well" if len(lists) > 1 else ""
    return f"bley is well: store and resolver answer{all_lists}."


def _store(place: str, fault: str) -> ComponentHealth:
    if fault:
        advice = f"{fault}. Until the store is back, on_store_error decides, and writes are queued"
        return ComponentHealth("store", Level.BAD, "is unavailable", advice, place)
    return ComponentHealth("store", Level.GOOD, "answers", place=place)


def _resolver(report: StateReport) -> ComponentHealth:
    if report.dns_is_silent:
        advice = "DNS checks count 0 meanwhile, and mail passes that they would defer; see the setting resolver"
        return ComponentHealth("resolver", Level.DOUBTFUL, "gives no usable answer", advice)
    if report.resolver_fault:
        advice = f"It is not the lists: {report.resolver_fault}. Until that ends, the lists count 0; {RESOLVER_REMEDY}"
        return ComponentHealth("resolver", Level.DOUBTFUL, "alters the answers of DNS lists", advice)
    return ComponentHealth("resolver", Level.GOOD, "answers")


def _silence(silence: Silence) -> ComponentHealth:
    if silence.since is None or silence.length is None:
        return ComponentHealth("mail server", Level.DOUBTFUL, "has never asked it", _FIRST_STEP)
    when = f"before {format_instant(silence.since)}" if silence.node else f"at {format_instant(silence.since)}"
    usual = f"its pauses are at most {format_duration(silence.usual)} long" if silence.usual else "it asks every hour"
    where = f" on {silence.node}" if silence.node else ""
    advice = (
        f"The last request came {when}; usually {usual}. Look whether Postfix or Exim runs{where}, and run bley doctor"
    )
    name = f"mail server of {silence.node}" if silence.node else "mail server"
    return ComponentHealth(name, Level.DOUBTFUL, f"has not asked for {format_duration(silence.length)}", advice)


def _gateways(report: StateReport) -> Iterator[ComponentHealth]:
    for address in report.hidden_clients[:_SHOWN_GATEWAYS]:
        advice = (
            "Strangers with many HELO names come from it, and greylisting and DNS lists cannot distinguish them. "
            "See docs/install.md, Hidden clients"
        )
        yield ComponentHealth("gateway", Level.DOUBTFUL, f"{address} hides the real clients", advice)


def _list_summary(report: ListReport) -> ListSummary:
    level = Level.DOUBTFUL if is_ill(report) else Level.GOOD
    if ListState.DEAD in (report["state"], report["state_ipv6"]):
        level = Level.BAD
    return ListSummary(report, level, shown_state(report), sum(report["answers"].values()), listed_share(report))
