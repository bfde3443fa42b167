"""Starts and reloads reach the audit, whatever the store does meanwhile."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest

from bley import __version__
from bley.core.errors import StoreError
from bley.core.history.audit import AuditEntry, AuditKind
from bley.daemon import change_audit
from bley.daemon.change_audit import ChangeAudit
from bley.settings.database import parse_database
from bley.settings.file import Configuration, load
from bley.store.engine import Mark
from tests.fakes import FakeClock

pytestmark = pytest.mark.leaps


def _configured(**settings: object) -> Configuration:
    return load().overridden({"node_name": "mx1", **settings})


class World:
    """A store, whose connections are this object too, and its audit."""

    place = "redis://db.example/0"

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.marks: set[Mark] = set()
        self.failures = 0
        self.lost_answers = 0
        self.is_ready = True
        self.opened = self.closed = 0
        self.clock = FakeClock()
        self.audit = ChangeAudit(parse_database(self.place), self.clock, self._open, self._open)

    def _open(self, _place: object) -> Any:
        self.opened += 1
        return World.Connection(self)

    class Connection:
        def __init__(self, world: "World") -> None:
            self._world = world

        async def is_prepared(self) -> bool:
            return self._world.is_ready

        async def add_audit(self, entries: Sequence[AuditEntry], mark: Mark) -> None:
            world = self._world
            if world.failures:
                world.failures -= 1
                raise StoreError("away")
            if mark not in world.marks:
                world.entries += entries
                world.marks.add(mark)
            if world.lost_answers:
                world.lost_answers -= 1
                raise StoreError("late")

        async def audit(
            self,
            since: datetime,
            until: datetime | None,
            kinds: frozenset[AuditKind],
            limit: int,
            *,
            with_settings: bool,
        ) -> list[AuditEntry]:
            assert with_settings
            meant = [each for each in self._world.entries if each.kind in kinds and until and since <= each.at < until]
            return meant[::-1][:limit]

        async def close(self) -> None:
            self._world.closed += 1

    async def written(self) -> list[tuple[str, str, str]]:
        """Return node, kind and text of all entries, once all are written."""
        if self.audit._writer:
            await self.audit._writer
        return [(entry.node, entry.kind, entry.what) for entry in self.entries]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    assert world.opened == world.closed


async def test_a_start_names_what_changed_since_the_last_one_of_its_node(world: World) -> None:
    for settings in ({}, {"mode": "observe"}, {"mode": "observe"}, {"node_name": "mx2"}, {"mode": "off"}):
        world.clock.advance(seconds=1)
        world.audit.add_start(_configured(**settings))
        await world.written()
    assert await world.written() == [
        ("mx1", "start", f"bley {__version__}"),
        ("mx1", "start", "mode: from enforce to observe"),
        ("mx1", "start", f"bley {__version__}, no setting changed"),
        ("mx2", "start", f"bley {__version__}"),
        ("mx1", "start", "mode: from observe to off"),
    ]


async def test_a_reload_names_what_it_changed_and_the_next_start_starts_from_it(world: World) -> None:
    old, new = _configured(), _configured(mode="observe")
    world.audit.add_start(old)
    for configuration in (new, new):
        world.clock.advance(seconds=1)
        world.audit.add_reload(old, configuration)
        old = configuration
    world.clock.advance(seconds=1)
    world.audit.add_start(new)
    assert [what for _, _, what in (await world.written())[1:]] == [
        "mode: from enforce to observe",
        "no setting changed",
        f"bley {__version__}, no setting changed",
    ]


async def test_entries_wait_for_a_store_that_is_away_and_keep_their_instants(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.failures, started = 50, world.clock()
    world.audit.add_start(_configured())
    world.clock.advance(seconds=7)
    world.audit.add_reload(_configured(), _configured(mode="off"))
    assert [kind for _, kind, _ in await world.written()] == ["start", "reload"]
    assert [(entry.at - started).total_seconds() for entry in world.entries] == [0, 7]
    assert not caplog.records


async def test_an_entry_whose_answer_was_lost_is_there_once(world: World) -> None:
    world.lost_answers = 1
    world.audit.add_start(_configured())
    assert len(await world.written()) == 1


async def test_tables_that_are_not_ready_are_waited_for(world: World) -> None:
    world.is_ready = False
    world.audit.add_start(_configured())
    await world.audit.close()
    assert not world.entries


async def test_the_number_of_waiting_entries_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(change_audit, "MOST_WAITING", 3)
    world.failures = 1
    for _ in range(5):
        world.audit.add_reload(_configured(), _configured())
    assert len(await world.written()) == 3
    assert sum("the oldest is lost" in record.getMessage() for record in caplog.records) == 2


async def test_a_stop_tries_once_more_and_says_what_is_lost(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.failures = 1
    world.audit.add_start(_configured())
    await asyncio.sleep(1)
    await world.audit.close()
    assert (len(world.entries), caplog.records) == (1, [])
    world.failures = 99
    world.audit.add_reload(_configured(), _configured())
    await world.audit.close()
    assert [record.getMessage() for record in caplog.records] == [
        "store: 1 start or reload is not in its audit, since it was not available"
    ]


async def test_a_stop_without_entries_takes_no_time(world: World) -> None:
    await world.audit.close()
    assert world.opened == 0
