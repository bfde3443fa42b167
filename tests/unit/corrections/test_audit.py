"""The audit names the user of an act, and an act that the store does not take is reported."""

from datetime import UTC, datetime

import pytest

from bley.core.errors import StoreError
from bley.core.history.audit import AuditEntry
from bley.corrections.audit import Auditor, unix_user
from bley.corrections.errors import NotAuditedError
from bley.settings.file import load
from bley.store.engine import Engine

NOW = datetime(2026, 11, 30, 4, tzinfo=UTC)


class _Engine:
    def __init__(self, error: StoreError | None = None) -> None:
        self.entries: list[AuditEntry] = []
        self._error = error

    async def add_audit(self, entries: list[AuditEntry]) -> None:
        if self._error:
            raise self._error
        self.entries += entries


def _engine(error: StoreError | None = None) -> tuple[_Engine, Engine]:
    engine = _Engine(error)
    return engine, engine  # type: ignore[return-value] # the audit needs nothing else


@pytest.mark.parametrize(
    ("uid", "sudo_user", "who"),
    [(0, "", "root"), (0, "jane", "root (sudo: jane)"), (65534, "jane", "nobody"), (0, "a\nb", r"root (sudo: a\x0ab)")],
)
def test_a_command_is_by_its_unix_user(uid: int, sudo_user: str, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root's variable SUDO_USER is believed: any other user could claim to be somebody else by it."""
    monkeypatch.setattr("os.getuid", lambda: uid)
    monkeypatch.setenv("SUDO_USER", sudo_user)
    assert unix_user() == who


async def test_an_act_is_logged_and_stored_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stored, engine = _engine()
    await Auditor(load(), "jane from 192.0.2.1", lambda: NOW).record(engine, "allow", "a\nb")
    [entry] = stored.entries
    assert (entry.at, entry.kind, entry.who) == (NOW, "allow", "jane from 192.0.2.1")
    assert entry.node == load().settings.node_name
    assert "\n" not in entry.what
    assert caplog.messages == [f"audit: allow by jane from 192.0.2.1: {entry.what}"]


async def test_an_act_that_the_store_refuses_is_logged_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    _, engine = _engine(StoreError("bley.db: away"))
    with pytest.raises(
        NotAuditedError, match=r"^the change is made, but the audit has no entry of it: bley\.db: away$"
    ):
        await Auditor(load(), "root").record(engine, "pass", "1 record")
    assert caplog.messages == ["audit: pass by root: 1 record"]
