"""The starts and reloads within a period: marks on its chart, and rows of a table."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from bley.core.history.advice import ListFiles
from bley.core.history.audit import AuditEntry
from bley.core.history.periods import Period, Slot
from bley.web.chart import MarkData

__all__ = ["ChangeRow", "change_marks", "change_rows", "changes_by_slot", "comparing_command"]

_MOST_IN_TITLE = 4
_LONGEST_IN_TITLE = 160


class ChangeRow(NamedTuple):
    """A start or reload; `id` is that of its row on the page."""

    id: str
    entry: AuditEntry

    @property
    def words(self) -> str:
        """The act, and the node."""
        return f"{self.entry.kind} on {self.entry.node}"


def change_rows(entries: Sequence[AuditEntry]) -> list[ChangeRow]:
    """Return the rows, the latest first."""
    return [ChangeRow(f"change-{entry.at.timestamp():.6f}".replace(".", "-"), entry) for entry in entries]


def changes_by_slot(rows: Sequence[ChangeRow], slots: Sequence[Slot], period: Period) -> Mapping[int, list[ChangeRow]]:
    """Return the rows by the number of their slot, those of a slot in the order of time."""
    first = slots[0].start
    numbered = [((row.entry.at - first) // period.slot, row) for row in reversed(rows)]
    inside = [(number, row) for number, row in numbered if 0 <= number < len(slots)]
    inside.sort(key=lambda each: each[0])
    return {number: [row for _, row in group] for number, group in groupby(inside, key=lambda each: each[0])}


def change_marks(by_slot: Mapping[int, Sequence[ChangeRow]], slots: Sequence[Slot], period: Period) -> list[MarkData]:
    """Return one mark for each slot with a start or reload, at the instant of the last one, which it links to."""
    return [
        MarkData((rows[-1].entry.at - slots[0].start) / period.slot, _title(rows), f"#{rows[-1].id}")
        for rows in by_slot.values()
    ]


def comparing_command(rows: Sequence[ChangeRow], files: ListFiles) -> str:
    """Return the command that compares the time since the latest row with the same time before; empty without rows."""
    if not rows:
        return ""
    return files.command("stats", "--since", f"{rows[0].entry.at:%Y-%m-%dT%H:%MZ}", "--compare")


def _title(rows: Sequence[ChangeRow]) -> str:
    lines = [f"{row.entry.at:%Y-%m-%d %H:%M} UTC, {row.words}: {_cut(row.entry.what)}" for row in rows]
    earlier = [f"and {len(lines) - _MOST_IN_TITLE} earlier"] if len(lines) > _MOST_IN_TITLE else []
    return "\n".join([*lines[::-1][:_MOST_IN_TITLE], *earlier])


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_IN_TITLE else f"{text[:_LONGEST_IN_TITLE]}..."
