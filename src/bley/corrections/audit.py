"""The audit of corrections: user, time and act, in the log of the process and in the store (`bley list --audit`)."""

import logging
import os
from collections.abc import Awaitable, Callable

from bley.core.errors import StoreError
from bley.core.history.audit import AuditEntry, AuditKind
from bley.core.history.record_filter import RecordFilter
from bley.corrections.errors import NotAuditedError
from bley.log.decision_line import printable
from bley.operator_files import user_name
from bley.ports import Clock, utc_now
from bley.settings.file import Configuration
from bley.store.engine import Engine

__all__ = ["Auditor", "unix_user"]

_log = logging.getLogger(__name__)


class Auditor:
    """Records the acts of the user `who` on this node."""

    def __init__(self, configuration: Configuration, who: str, clock: Clock = utc_now) -> None:
        self._node, self._who, self._clock = configuration.settings.node_name, who, clock

    async def record(self, engine: Engine, kind: AuditKind, what: str) -> None:
        """Log an act that was done, and store it. Raises NotAuditedError if the store refuses it."""
        self.log(kind, what)
        entry = AuditEntry(self._clock(), self._node, kind, self._who, printable(what))
        try:
            await engine.add_audit([entry])
        except StoreError as error:
            raise NotAuditedError(error) from error

    def of_records(self, engine: Engine, kind: AuditKind, wanted: RecordFilter) -> Callable[[str], Awaitable[None]]:
        """Return a function that records what was done, in words, with the records of this normalised filter."""
        return lambda done: self.record(engine, kind, f"{done}: {_filter_in_words(wanted)}")

    def log(self, kind: AuditKind, what: str) -> None:
        """Log an act that was done."""
        _log.info("audit: %s by %s: %s", kind, self._who, printable(what))


def unix_user() -> str:
    """Return the user of this process; for root also the user that ran sudo, as sudo names it."""
    user, caller = user_name(os.getuid()), os.environ.get("SUDO_USER", "")
    return f"{user} (sudo: {printable(caller)})" if os.getuid() == 0 and caller else user


def _filter_in_words(wanted: RecordFilter) -> str:
    """Return a filter in words. A normalised one has hashed local parts if `privacy` is set."""
    texts = {"client": wanted.client, "sender": wanted.sender, "recipient": wanted.recipient}
    return ", ".join(f"{name} {text}" for name, text in texts.items() if text is not None) or "all"
