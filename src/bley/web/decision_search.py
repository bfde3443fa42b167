"""What somebody asks for in the address of a page."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from bley.core.findings import REASONS
from bley.core.history.periods import PERIODS, Period
from bley.core.history.search import DecisionQuery, Search
from bley.core.triplet import TripletRules
from bley.web.urls import link

__all__ = ["DecisionSearch", "read_decision_search", "read_period"]

_OUTCOMES = ("pass", "greylist", "would-defer")
_DEFAULT_PERIOD = "24h"
_NUMBER = re.compile(r"\d{1,18}(-\d{1,18})?", re.ASCII)
"""A decision's, of any engine."""
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LONGEST = 400
"""Characters of what is looked for: no address or name has more."""


@dataclass(frozen=True, slots=True)
class DecisionSearch:
    """Which decisions are asked for, as it stands in the address; what is empty excludes none."""

    q: str = ""
    reason: str = ""
    outcome: str = ""
    range: str = ""
    since: str = ""
    until: str = ""
    before: str = ""
    """The number of the decision that the last page ended with."""

    def query(self, rules: TripletRules, now: datetime) -> DecisionQuery:
        """The same for the store."""
        return DecisionQuery(
            search=self.search(rules),
            reason=self.reason,
            outcome=self.outcome,
            since=PERIODS[self.range].since(now) if self.range else _instant("since", self.since),
            until=_instant("until", self.until),
        )

    def search(self, rules: TripletRules) -> Search | None:
        """What is looked for, if anything is."""
        return Search(self.q, rules) if self.q else None

    def link(self, path: str = "/search", **changes: str) -> str:
        """The page with the same query, but for these; a change of the query begins with the newest again."""
        return link(path, asdict(replace(self, **{"before": "", **changes})))


def read_decision_search(query: Mapping[str, str]) -> DecisionSearch:
    """Read the query of an address. Raises ValueError, which says what is wrong."""
    asked = DecisionSearch(**{name: query.get(name, "").strip() for name in DecisionSearch.__slots__})
    if len(asked.q) > _LONGEST:
        raise ValueError(f"what is looked for has at most {_LONGEST} characters")
    if asked.reason and asked.reason not in REASONS:
        raise ValueError(f"there is no reason {asked.reason!r}: docs/reasons.md has all of them")
    if asked.outcome and asked.outcome not in _OUTCOMES:
        raise ValueError(f"there is no outcome {asked.outcome!r}, but {', '.join(_OUTCOMES)}")
    if asked.range:
        read_period(query)
    if asked.before and not _NUMBER.fullmatch(asked.before):
        raise ValueError(f"there is no decision {asked.before!r}")
    _instant("since", asked.since)
    _instant("until", asked.until)
    return asked


def read_period(query: Mapping[str, str]) -> Period:
    """The range that the address names. Raises ValueError, which says what is wrong."""
    name = query.get("range") or _DEFAULT_PERIOD
    if name not in PERIODS:
        raise ValueError(f"there is no range {name!r}, but {', '.join(PERIODS)}")
    return PERIODS[name]


def _instant(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is no time: {text!r}; write 2026-11-26T14:00Z") from None
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:  # in the year 1 or 9999, but in no year of UTC
        return _FIRST if instant.year == 1 else _LAST
