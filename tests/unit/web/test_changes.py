"""Starts and reloads on the chart and in its table."""

from datetime import timedelta

from bley.core.greylist import Timing
from bley.core.history.advice import ListFiles
from bley.core.history.audit import AuditEntry
from bley.core.history.periods import PERIODS
from bley.settings.sections import Timings
from bley.store.history import WaitingTriplets
from bley.web.changes import change_rows, comparing_command
from bley.web.dashboard_data import OverviewData
from bley.web.overview import Overview, build_overview
from bley.web.tables import OVERVIEW_TABLES
from tests.fakes import NOON


def _entry(minutes_ago: float, what: str = "mode: from observe to enforce", node: str = "mx1") -> AuditEntry:
    return AuditEntry(NOON - timedelta(minutes=minutes_ago), node, "reload", "", what)


def _overview(*changes: AuditEntry, period: str = "24h") -> Overview:
    data = OverviewData(PERIODS[period], NOON, {}, WaitingTriplets(0, []), [], changes=changes)
    return build_overview(data, Timings(Timing(), []))


def test_a_change_is_a_mark_a_row_and_a_note_at_its_slot() -> None:
    found = _overview(_entry(90))
    (mark,) = found.slots_chart.marks
    (row,) = found.changes
    assert mark.title == "2026-11-23 10:30 UTC, reload on mx1: mode: from observe to enforce"
    assert mark.link == f"#{row.id}"
    noted = [slot for slot in found.slots if slot.changes]
    assert [(slot.start, list(slot.changes)) for slot in noted] == [(NOON - timedelta(minutes=100), [row])]
    (bar,) = (bar for bar, slot in zip(found.slots_chart.bars, found.slots, strict=True) if slot.changes)
    assert bar.x - 1 < mark.x < bar.x + bar.width + 1


def test_changes_of_one_slot_share_a_mark_which_names_the_latest_first() -> None:
    found = _overview(*(_entry(ago / 10, f"change {ago}") for ago in range(6)))
    (mark,) = _overview(_entry(1, "b"), _entry(2, "a" * 500), period="7d").slots_chart.marks
    assert mark.title.startswith("2026-11-23 11:59 UTC, reload on mx1: b\n2026-11-23 11:58 UTC, reload on mx1: aaa")
    assert mark.title.endswith("...")
    assert len(found.slots_chart.marks) == 2  # the present slot starts at noon
    assert found.slots_chart.marks[0].title.endswith("change 4\nand 1 earlier")
    assert len({row.id for row in found.changes}) == 6


def test_changes_outside_of_all_slots_are_no_marks() -> None:
    """A clock that was ahead, or a period that has just begun a slot."""
    found = _overview(_entry(-60), _entry(60 * 24 + 30))
    assert found.slots_chart.marks == []
    assert not any(slot.changes for slot in found.slots)


def test_the_latest_change_has_the_command_that_compares_the_time_since_then() -> None:
    rows, files = change_rows([_entry(90), _entry(180)]), ListFiles("", "", "")
    assert comparing_command(rows, files) == "bley stats --since 2026-11-23T10:30Z --compare"
    assert comparing_command([], files) == ""


def test_changes_can_be_downloaded() -> None:
    table = OVERVIEW_TABLES["changes"](_overview(_entry(90)))
    assert table.columns == ("at", "node", "kind", "what")
    assert table.rows == [("2026-11-23T10:30:00Z", "mx1", "reload", "mode: from observe to enforce")]
