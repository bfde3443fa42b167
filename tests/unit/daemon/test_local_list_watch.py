"""bley reloads once for each change of the lists of `bley allow`."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bley.daemon.local_list_watch import LocalListWatch
from bley.settings.file import load
from bley.settings.lists import LocalLists

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Watched:
    """A settings folder, its watch, and the number of reloads; `works`: the reload succeeds."""

    def __init__(self, folder: Path) -> None:
        self.conf = folder / "bley.conf"
        self.conf.write_text("[bley]\n")
        self.now, self.works, self.reloads = NOW, True, 0
        self.current = load(self.conf).local_lists
        self.watch = LocalListWatch(lambda: self.current, self._reload, lambda: self.now)

    def _reload(self) -> None:
        self.reloads += 1
        if self.works:
            self.current = load(self.conf).local_lists


def test_each_change_is_one_reload(tmp_path: Path) -> None:
    """A file that appears, changes or vanishes."""
    watched, file = Watched(tmp_path), tmp_path / "whitelist_senders.local"

    def polled() -> int:
        watched.watch.poll()
        watched.watch.poll()
        return watched.reloads

    assert polled() == 0
    file.write_text("a.example\n")
    assert polled() == 1
    file.write_text("a.example\nb.example\n")
    assert polled() == 2
    file.unlink()
    assert polled() == 3


def test_a_reload_that_failed_is_not_repeated_until_the_next_change(tmp_path: Path) -> None:
    watched, file = Watched(tmp_path), tmp_path / "whitelist_clients.local"
    watched.works = False
    file.write_text("a.example\n")
    for _ in range(3):
        watched.watch.poll()
    assert watched.reloads == 1
    file.write_text("longer.example\n")
    watched.watch.poll()
    assert watched.reloads == 2


def test_the_end_of_an_entry_is_a_reload(tmp_path: Path) -> None:
    """On the day after its last one."""
    watched = Watched(tmp_path)
    watched.current = LocalLists({tmp_path / "whitelist_clients.local": ()}, NOW.date())
    watched.watch.poll()
    assert watched.reloads == 0
    watched.now += timedelta(days=1)
    watched.watch.poll()
    watched.watch.poll()
    assert watched.reloads == 1


@pytest.mark.leaps
async def test_it_polls_every_20_seconds(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    (tmp_path / "whitelist_clients.local").write_text("a.example\n")
    running = asyncio.create_task(watched.watch.run())
    await asyncio.sleep(19)
    assert watched.reloads == 0
    await asyncio.sleep(2)
    assert watched.reloads == 1
    running.cancel()
