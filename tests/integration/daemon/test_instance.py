"""New checks and rules are built first and take effect as a whole or not at all; remote changes clear the caches."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bley.core.errors import Fault, SettingsError, StoreError
from bley.daemon import dns_checks
from bley.daemon.instance import Instance
from bley.dns import c_ares as cares
from bley.ports import utc_now
from bley.settings.file import Configuration, load
from bley.store.engine import RemoteChanges


def _load(folder: Path, **settings: object) -> Configuration:
    file = folder / "bley.conf"
    texts = {
        "dbpath": folder,
        "resolver": "127.0.0.1:1",
        "dnswls": "",
        "dnsbls": "",
        "check_timeout": "0.1s",
    } | settings
    file.write_text("[bley]\n" + "".join(f"{key} = {value}\n" for key, value in texts.items()))
    return load(file)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Instance]:
    running = Instance(_load(tmp_path, dnsbls="old.example, both.example"), utc_now, purges=False)
    await running.open()
    yield running
    await running.close()


def _state(running: Instance) -> list[object]:
    """All that a reload changes."""
    lists = [(zone, id(watched)) for zone, watched in running._watch.lists.items()]
    rules, configuration = running._service._rules, running._configuration
    return [id(rules), id(configuration), id(running._dns), lists, list(running._watch._tasks)]


async def test_nothing_changes_until_it_is_committed(running: Instance, tmp_path: Path) -> None:
    before = _state(running)
    change = running.prepare(_load(tmp_path, dnsbls="both.example, new.example", exim_workaround=1))
    assert _state(running) == before
    kept = running._watch.lists["both.example"]
    change.commit()
    assert list(running._watch.lists) == list(running._watch._tasks) == ["both.example", "new.example"]
    assert running._watch.lists["both.example"] is kept, "what is known of the list stays"
    assert running.server.closes_after_answer


async def test_what_is_discarded_has_changed_nothing_and_is_closed(running: Instance, tmp_path: Path) -> None:
    before = _state(running)
    change = running.prepare(_load(tmp_path, dnsbls="new.example"))
    others = asyncio.all_tasks()
    change.discard()
    [closing] = asyncio.all_tasks() - others
    await closing
    assert _state(running) == before


@pytest.mark.parametrize("where", ["c-ares", "later"])
async def test_what_cannot_be_built_changes_nothing(
    where: str, running: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, new = _state(running), _load(tmp_path, dnsbls="new.example")
    if where == "c-ares":
        monkeypatch.setattr(cares, "_c_ares_server", lambda _: "1.2.3.4:+53")
    else:
        monkeypatch.setattr(dns_checks, "Checks", _refuse)
    with pytest.raises(SettingsError):
        running.prepare(new)
    assert _state(running) == before


def _refuse(**_: object) -> None:
    raise SettingsError([Fault("checks", 0, "cannot be")])


class Heard:
    """An Instance whose store reports the changes that the test sets, and how often its caches were cleared."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, configuration: Configuration) -> None:
        self.instance = Instance(configuration, utc_now, purges=False)
        self.remote_changes: RemoteChanges | None = None
        self.forgot = 0
        monkeypatch.setattr(self.instance._store, "remote_changes", self._news)
        monkeypatch.setattr(self.instance._service, "clear_caches", self._forget)

    async def _news(self) -> RemoteChanges:
        if self.remote_changes is None:
            raise StoreError("away")
        return self.remote_changes

    def _forget(self) -> None:
        self.forgot += 1

    async def hear(self, forgotten: int | None) -> int:
        """How often it has forgotten after this number; None: the store is away."""
        self.remote_changes = None if forgotten is None else RemoteChanges(forgotten, has_any=False)
        await self.instance._refresh_remote_changes()
        return self.forgot


class TestForget:
    async def test_each_new_number_is_heard_once(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        heard = Heard(monkeypatch, _load(tmp_path))
        begun = await heard.hear(3)
        assert [await heard.hear(number) - begun for number in (3, 4, 4, 6, 6)] == [0, 1, 1, 2, 2]
        assert await heard.hear(0) - begun == 3, "another store stands in its place"
        await heard.instance.close()

    async def test_one_that_was_missed_while_the_store_was_away_is_heard_when_it_is_back(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """At the start too: what was found between the store's return and the first number may be forgotten by now."""
        heard = Heard(monkeypatch, _load(tmp_path))
        assert await heard.hear(None) == 0
        assert await heard.hear(1) == 1
        assert await heard.hear(None) == 1
        assert await heard.hear(2) == 2
        await heard.instance.close()


async def test_a_store_that_was_away_at_the_start_may_have_records_of_all_mail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else such a client would be delayed for the 20 s until the next poll."""
    heard = Heard(monkeypatch, _load(tmp_path))
    steps = heard.instance._service.steps
    await heard.instance.open()
    asked = [steps.has_wildcards]
    await heard.hear(1)
    assert [*asked, steps.has_wildcards] == [True, False]
    await heard.instance.close()
