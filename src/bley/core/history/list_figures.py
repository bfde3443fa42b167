"""The figures that show which DNS list earns its place: computed from the counts of some time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from bley.core.dnslists.lists import DnsList
from bley.core.findings import Check
from bley.core.history.list_counts import (
    LATENCY_BOUNDS,
    LIST_CHECKS,
    LIST_KINDS,
    SLOWER,
    ListEvent,
    latency_kind,
    list_kind,
)
from bley.core.history.statistics import Count
from bley.core.history.worth import PLAIN, Spelling

__all__ = ["ENOUGH_QUERIES", "ListFigures", "list_figures", "list_remarks"]

ENOUGH_QUERIES = 1000
"""Queries from which a list that decided nothing is remarked on: it then decides at most 0.3 % of the strangers, by the
rule of three, with a confidence of 95 %."""

_MANY_BACK, _LARGE_BACK_SHARE = 5, 0.2
"""Mails that came back, and their share, from which a list is said to delay good mail. Most deferred mail is spam."""

_MANY_ERRORS, _LARGE_ERROR_SHARE = 20, 0.05
"""Errors, and their share, that are remarked on: each mail of such a stranger may have waited for check_timeout."""


class ListFigures(NamedTuple):
    """The figures of one list of one setting. All are numbers of strangers, or of their mails."""

    name: str
    setting: str
    """`dnsbls`, `domain_lists` or `dnswls`."""
    is_configured: bool
    """Whether the list is in that setting now."""
    counts: bool
    """Whether an entry of the setting has a weight other than 0."""
    since: datetime | None
    """The start of its first count; None if there is none."""
    queries: int = 0
    listed: int = 0
    alone: int = 0
    came_back: int = 0
    errors: int = 0
    network_answers: int = 0
    """Conclusive answers that did not come from the cache, whatever the setting."""
    median_ms: int | None = None
    """The smallest of LATENCY_BOUNDS that covers half of them; None if it is none of these, or there are no answers."""

    @property
    def defers(self) -> bool:
        """Whether the list defers mail. Mail that an allowlist lets through does not come back."""
        return self.setting != LIST_CHECKS[Check.DNSWL]

    @property
    def listed_share(self) -> float | None:
        """The share of listings in the conclusive answers; None if there are none."""
        answers = self.queries - self.errors
        return self.listed / answers if answers > 0 else None

    @property
    def came_back_share(self) -> float | None:
        """The share of the mails that this list alone deferred that came back.

        None if it deferred none, or more came back than were deferred in the time.
        """
        return self.came_back / self.alone if self.defers and 0 < self.alone >= self.came_back else None

    @property
    def error_share(self) -> float | None:
        """The share of queries without a conclusive answer; None if there are no queries."""
        return self.errors / self.queries if self.queries else None

    @property
    def median_seconds(self) -> float | None:
        """The median latency in seconds; None as for `median_ms`."""
        return None if self.median_ms is None else self.median_ms / 1000

    @property
    def is_superfluous(self) -> bool:
        """Whether bley would have decided the same without the list, as far as enough queries show it."""
        answers = self.queries - self.errors
        return self.is_configured and self.counts and not self.alone and answers >= ENOUGH_QUERIES


def list_remarks(each: ListFigures, *, observes: bool, spelling: Spelling = PLAIN) -> list[str]:
    """Return what the figures of a configured list suggest to the operator.

    `observes`: in `mode = observe` all mail passes, so most of it does not come back, be it good or not.
    """
    remarks = []
    if each.is_superfluous and not each.listed:
        remarks.append("it listed no stranger, so bley decides the same without it")
    elif each.is_superfluous:
        would = "would have " if observes else ""
        none = f"{would}deferred no stranger" if each.defers else f"{would}let no stranger pass"
        remarks.append(f"alone it {none}, so bley decides the same without it; remove such lists one at a time")
    share = each.came_back_share or 0
    if each.is_configured and not observes and each.came_back >= _MANY_BACK and share >= _LARGE_BACK_SHARE:
        back, alone = map(spelling.number, (each.came_back, each.alone))
        remarks.append(
            f"{back} of {alone} mails that it alone deferred came back: it likely delays good mail; "
            "with a smaller weight it defers only together with others"
        )
    share = each.error_share or 0
    if each.is_configured and each.errors >= _MANY_ERRORS and share >= _LARGE_ERROR_SHARE:
        remarks.append(f"{spelling.share(share)} of its queries had no usable answer")
    return remarks


def list_figures(counts: Mapping[Count, int], configured: Mapping[str, Sequence[DnsList]]) -> list[ListFigures]:
    """Return the figures of all lists that were counted, and of those that are `configured`, by setting.

    They are in the order of LIST_CHECKS; in a setting, those that are configured come first, and of them those that
    decided most.
    """
    numbers = Counter[tuple[str, str]]()
    starts: dict[tuple[str, str], int] = {}
    for count, number in counts.items():
        if count.kind in LIST_KINDS:
            key = count.kind, count.name
            numbers[key] += number
            starts[key] = min(count.start, starts.get(key, count.start))
    now = {(setting, each.name): each for setting, lists in configured.items() for each in lists}
    found = [
        _figures(check, name, numbers, starts, now.get((setting, name)))
        for check, setting in LIST_CHECKS.items()
        for name in dict.fromkeys([*(name for of, name in now if of == setting), *_names(check, numbers)])
    ]
    order = list(LIST_CHECKS.values())
    return sorted(
        found, key=lambda each: (order.index(each.setting), not each.is_configured, -each.alone, -each.listed)
    )


def _names(check: Check, numbers: Mapping[tuple[str, str], int]) -> list[str]:
    kinds = {list_kind(check, event) for event in ListEvent}
    return sorted(name for kind, name in numbers if kind in kinds)


def _figures(
    check: Check,
    name: str,
    numbers: Counter[tuple[str, str]],
    starts: Mapping[tuple[str, str], int],
    configured: DnsList | None,
) -> ListFigures:
    keys = {event: (list_kind(check, event), name) for event in ListEvent}
    first = min((starts[key] for key in keys.values() if key in starts), default=None)
    latencies = [numbers[latency_kind(bound / 1000), name] for bound in LATENCY_BOUNDS]
    answers = sum(latencies) + numbers[SLOWER, name]
    return ListFigures(
        name,
        LIST_CHECKS[check],
        configured is not None,
        configured is not None and (configured.least, configured.most) != (0, 0),
        None if first is None else datetime.fromtimestamp(first, UTC),
        queries=numbers[keys[ListEvent.QUERIES]],
        listed=numbers[keys[ListEvent.LISTED]],
        alone=numbers[keys[ListEvent.ALONE]],
        came_back=numbers[keys[ListEvent.BACK]],
        errors=numbers[keys[ListEvent.ERRORS]],
        network_answers=answers,
        median_ms=_median(latencies, answers),
    )


def _median(latencies: Iterable[int], answers: int) -> int | None:
    so_far = 0
    for bound, number in zip(LATENCY_BOUNDS, latencies, strict=True):
        so_far += number
        if so_far and so_far >= answers / 2:
            return bound
    return None
