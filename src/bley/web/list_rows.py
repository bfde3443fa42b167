"""The rows of the table that shows which DNS list earns its place, from the counts of the overview's range."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from bley.core.history.list_counts import LATENCY_BOUNDS
from bley.core.history.list_figures import ListFigures, list_figures, list_remarks
from bley.settings.settings import Settings
from bley.web.dashboard_data import OverviewData
from bley.web.formatting import SPELLING, capitalized
from bley.web.health_summary import ListSummary

__all__ = ["ListRow", "list_rows"]

_LATE = timedelta(days=1)
"""The part of the range without counts from which the table says since when a list is counted."""


class ListRow(NamedTuple):
    """A list of one setting, with its figures and its present health."""

    figures: ListFigures
    health: ListSummary | None
    """None if the list was removed from the settings, or bley does not answer."""
    counted_since: datetime | None
    """The start of its first count, if the range starts long before."""
    median: str
    remarks: Sequence[str]

    @property
    def state(self) -> str:
        """The state of the list now; empty if it is not known."""
        if not self.figures.is_configured:
            return "removed"
        return self.health.state if self.health else ""


def list_rows(
    data: OverviewData, settings: Settings, health: Sequence[ListSummary], *, observes: bool
) -> list[ListRow]:
    """Return the rows of all lists that are configured now, or were in the range."""
    by_name = {(each.report["setting"], each.report["name"]): each for each in health}
    start = data.period.since(data.now)
    return [
        ListRow(
            figures,
            by_name.get((figures.setting, figures.name)),
            figures.since if figures.since and figures.since - start > _LATE else None,
            _median(figures),
            [f"{capitalized(each)}." for each in list_remarks(figures, observes=observes, spelling=SPELLING)],
        )
        for figures in list_figures(data.of_lists, settings.dns_lists)
    ]


def _median(figures: ListFigures) -> str:
    if figures.median_ms is not None:
        return f"up to {figures.median_ms}\N{NO-BREAK SPACE}ms"
    return f"more than {LATENCY_BOUNDS[-1] // 1000}\N{NO-BREAK SPACE}s" if figures.network_answers else "\N{EN DASH}"
