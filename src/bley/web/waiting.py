"""The rows of tables of triplets: how long each waits, and why it is suspected to wait wrongly."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from bley.core.greylist import Record, Standing, Timing
from bley.core.history.delayed_mail import DelayedMail
from bley.core.mail import Triplet
from bley.settings.sections import Timings
from bley.web.formatting import SPELLING

__all__ = ["WaitingRow", "suspected_rows", "waiting_rows"]


class WaitingRow(NamedTuple):
    """A record, with the seconds that are left of its wait. At 0 or below, the next attempt passes."""

    triplet: Triplet
    record: Record
    left: float
    standing: Standing
    passed: int = 0
    """The mail of the sender's domain that passed lately, if that was read."""
    why: str = ""
    """Why the triplet is suspected to wait wrongly."""


def waiting_rows(records: Sequence[tuple[Triplet, Record]], timings: Timings, now: datetime) -> list[WaitingRow]:
    """Return the records with what is left of their waits, those that still wait first."""
    rows = [_row(triplet, record, timings.of(triplet.recipient), now) for triplet, record in records]
    return sorted(rows, key=lambda row: row.standing is not Standing.EARLY)


def suspected_rows(
    records: Sequence[tuple[Triplet, Record]], delayed: DelayedMail, timings: Timings, now: datetime, *, observes: bool
) -> list[WaitingRow]:
    """Return the suspected records with the reasons, most early retries first."""
    ranked = sorted(records, key=delayed.rank, reverse=True)
    return [
        _row(triplet, record, timings.of(triplet.recipient), now)._replace(
            passed=delayed.passed(triplet), why=delayed.why((triplet, record), observes=observes, spelling=SPELLING)
        )
        for triplet, record in ranked
    ]


def _row(triplet: Triplet, record: Record, timing: Timing, now: datetime) -> WaitingRow:
    return WaitingRow(triplet, record, timing.remaining(record, now).total_seconds(), timing.standing(record, now))
