"""Searches for records: by one text, by the parts of their triplets, by status and age."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from bley.core.greylist import OF_TRIPLETS, Record, Status
from bley.core.history.conditions import Clause, Condition, fits_all
from bley.core.history.record_filter import RecordFilter
from bley.core.history.search import Search
from bley.core.mail import Triplet

__all__ = ["RecordOrder", "RecordQuery"]

RecordOrder = Literal["last_seen", "first_seen", "attempts"]
"""The field of a record by which records are sorted, the greatest first."""


@dataclass(frozen=True)
class RecordQuery:
    """Filters of records; an empty one, or None, excludes nothing. `since` and `until` limit the last attempt.

    Relations are found only by their `statuses`.

    `filters`: forms of one filter, as given and normalised, of which a record must match one.
    """

    search: Search | None = None
    filters: Sequence[RecordFilter] = ()
    statuses: frozenset[Status] = OF_TRIPLETS
    since: datetime | None = None
    until: datetime | None = None
    order: RecordOrder = "last_seen"

    @cached_property
    def clauses(self) -> list[Clause]:
        """Return clauses that each matching record meets, and few others."""
        by_column = zip(*(each.clauses for each in self.filters), strict=True)
        any_form = [[condition for form in forms for condition in form] for forms in by_column]
        return [*([self.search.record_clause] if self.search else []), *any_form, *self._record_clauses]

    @cached_property
    def _record_clauses(self) -> list[Clause]:
        times = [Condition("last_seen", operator.ge, self.since), Condition("last_seen", operator.lt, self.until)]
        clauses: list[Clause] = [[condition] for condition in times if condition.operand]
        clauses.append([Condition("status", operator.eq, int(status)) for status in sorted(self.statuses)])
        return clauses

    def fits_triplet(self, triplet: Triplet) -> bool:
        """Return whether a record of the triplet may match."""
        if self.filters and not any(each.fits(triplet) for each in self.filters):
            return False
        return self.search is None or self.search.fits_triplet(triplet)

    def fits(self, triplet: Triplet, record: Record) -> bool:
        """Return whether the record matches."""
        return fits_all(record, self._record_clauses) and self.fits_triplet(triplet)

    def rank(self, record: Record) -> Any:
        """Return the value by which the record is sorted."""
        return getattr(record, self.order)
