"""The sender domains whose good mail bley delays most, and the lines that would end that."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bley.commands.terminal import hanging_lines, table_lines
from bley.core.quantity import percent
from bley.web.delayed_domains import DelayedDomains, DelayedRow

__all__ = ["Senders"]

_MOST_LINES = 5


@dataclass(frozen=True, slots=True)
class Senders:
    """The domains whose mail came back, or in `mode = observe` came again after the wait."""

    delayed: DelayedDomains
    observes: bool

    @property
    def _came(self) -> str:
        return "came again" if self.observes else "came back"

    def lines(self, width: int) -> Iterator[str]:
        """Yield the table, and the lines that exempt; nothing if no mail came back."""
        rows = self.delayed.rows
        if not rows:
            return
        titles = (
            f"mail that {self._came}, by sender",
            self._came,
            "of all",
            "median time" if self.observes else "median delay",
        )
        yield from table_lines(titles, list(map(_cells, rows)), titles[1:], width)
        remedies = [row for row in rows if row.command][:_MOST_LINES]
        if not remedies:
            return
        yield ""
        yield "To exempt first, if these senders are wanted:"
        for row in remedies:
            yield f"  {row.command}"
            yield from hanging_lines("    ", _plain(row.note), width)

    @property
    def document(self) -> list[dict[str, Any]]:
        """The domains as JSON (docs/json.md)."""
        return [
            {
                "domain": row.domain.name,
                "came_back": row.domain.came_back,
                "came_back_share": row.share,
                "median_delay_seconds": row.domain.median_delay_seconds,
                "deferred": row.mail.deferred,
                "command": row.command,
                "note": _plain(row.note),
            }
            for row in self.delayed.rows
        ]


def _cells(row: DelayedRow) -> Sequence[str]:
    return row.domain.name, str(row.domain.came_back), percent(row.share), _plain(row.median_delay)


def _plain(text: str) -> str:
    """Return a text of the dashboard with the numbers of plain text: `1,234`, `15 min`."""
    return re.sub(r"(?<=\d)\N{NARROW NO-BREAK SPACE}(?=\d)", ",", text).replace("\N{NO-BREAK SPACE}", " ")
