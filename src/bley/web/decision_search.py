"""The query string of a page's URL."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from bley.core.findings import REASONS
from bley.core.history.periods import PERIODS, Period
from bley.core.history.search import DecisionQuery, Search
from bley.core.triplet import TripletRules
from bley.settings.values import LONGEST_NODE_NAME
from bley.web.urls import page_url

__all__ = ["DecisionSearch", "read_decision_search", "read_period"]

_OUTCOMES = ("pass", "greylist", "would-defer")
_DEFAULT_PERIOD = "24h"
_NUMBER = re.compile(r"\d{1,18}(-\d{1,18})?", re.ASCII)
"""The number of a decision in any store: Redis numbers its stream's entries with two integers."""
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MAX_CHARACTERS = 400
"""Length of a search text; no address or name is longer."""


@dataclass(frozen=True, slots=True)
class DecisionSearch:
    """The parameters of a search, as they appear in the URL. An empty one matches all decisions."""

    q: str = ""
    reason: str = ""
    outcome: str = ""
    range: str = ""
    since: str = ""
    until: str = ""
    node: str = ""
    records: str = ""
    """Not empty: the page shows records too."""
    before: str = ""
    """The number of the last decision on the previous page."""

    def query(self, rules: TripletRules, now: datetime) -> DecisionQuery:
        """Return the search as a query to the store."""
        return DecisionQuery(
            search=self.text_search(rules),
            reasons=frozenset([self.reason] if self.reason else []),
            outcome=self.outcome,
            since=PERIODS[self.range].since(now) if self.range else self.since_instant,
            until=self.until_instant,
            node=self.node,
        )

    @property
    def since_instant(self) -> datetime | None:
        """The parameter `since`, if there is one."""
        return _instant("since", self.since)

    @property
    def until_instant(self) -> datetime | None:
        """The parameter `until`, if there is one."""
        return _instant("until", self.until)

    def text_search(self, rules: TripletRules) -> Search | None:
        """Return the search for the text alone, if there is one."""
        return Search(self.q, rules) if self.q else None

    def url(self, path: str = "/search", **changes: str) -> str:
        """Return the URL of this search with some parameters changed. It starts at the first page."""
        return page_url(path, asdict(replace(self, **{"before": "", **changes})))


def read_decision_search(query: Mapping[str, str]) -> DecisionSearch:
    """Parse and validate a query string. Raises ValueError with a message for the user."""
    search = DecisionSearch(**{name: query.get(name, "").strip() for name in DecisionSearch.__slots__})
    if len(search.q) > _MAX_CHARACTERS:
        raise ValueError(f"the search text may have at most {_MAX_CHARACTERS} characters")
    if search.reason and search.reason not in REASONS:
        raise ValueError(f"there is no reason {search.reason!r}: see docs/reasons.md")
    if search.outcome and search.outcome not in _OUTCOMES:
        raise ValueError(f"there is no outcome {search.outcome!r}: use one of {', '.join(_OUTCOMES)}")
    if search.range:
        read_period(query)
    if len(search.node) > LONGEST_NODE_NAME or not search.node.isprintable():
        raise ValueError(f"there is no node {search.node[:LONGEST_NODE_NAME]!r}")
    if search.before and not _NUMBER.fullmatch(search.before):
        raise ValueError(f"there is no decision {search.before!r}")
    _instant("since", search.since)
    _instant("until", search.until)
    return search


def read_period(query: Mapping[str, str]) -> Period:
    """Return the period of the parameter `range`, by default a day. Raises ValueError with a message for the user."""
    name = query.get("range") or _DEFAULT_PERIOD
    if name not in PERIODS:
        raise ValueError(f"there is no range {name!r}: use one of {', '.join(PERIODS)}")
    return PERIODS[name]


def _instant(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is not a time: {text!r}; write 2026-11-26T14:00Z") from None
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:  # in year 1 or 9999 of its time zone, but out of range in UTC
        return _FIRST if instant.year == 1 else _LAST
