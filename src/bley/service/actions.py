"""What Postfix is told of a decision: access(5) actions, in the operator's words."""

from copy import copy
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Self

from bley import __version__
from bley.core.caches import ExpiringCache
from bley.core.decision import Decision
from bley.core.mail import Action, Request
from bley.settings.settings import Settings

__all__ = ["DUNNO", "Actions"]

_INSTANCE_VALID = timedelta(hours=1)
"""How long one message's recipients can follow each other."""

_MOST_MESSAGES = 20_000
"""Messages of which a header is remembered, some 3 MB: of the last 10,000 in any case, whose recipients come within
seconds. `cache_size` is not asked: a message never gets two headers."""

DUNNO = Action("DUNNO")


class Actions:
    """Puts decisions into actions; knows which messages bear the header already."""

    def __init__(self, settings: Settings, hostname: str) -> None:
        self._hostname = hostname
        self._marked = ExpiringCache[int, bool](_INSTANCE_VALID, _MOST_MESSAGES)
        self.reconfigure(settings)

    def reconfigured(self, settings: Settings) -> Self:
        """These actions with other texts; the messages that bear the header are the same."""
        new = copy(self)
        new.reconfigure(settings)
        return new

    def reconfigure(self, settings: Settings) -> None:
        """Use these texts from now on."""
        self._reject_msg, self._header = settings.reject_msg, settings.greylist_header
        self._observes = settings.mode == "observe"

    def action(self, decision: Decision, now: datetime, steady: datetime | None = None) -> Action:
        """DEFER_IF_PERMIT for a deferral, PREPEND once for a message that waited, else DUNNO; when observing, DUNNO.

        `steady` is the instant by the clock that nobody sets, if that is another than `now`'s.
        """
        if self._observes:
            return DUNNO
        if decision.defers:
            return self._defer(decision)
        if decision.delayed is not None and self._header and not self._is_marked(decision.request, steady or now):
            return self._mark(decision.delayed, now)
        return DUNNO

    def _defer(self, decision: Decision) -> Action:
        values = {"wait": decision.wait_seconds, "reason": decision.reason.value}
        return Action("DEFER_IF_PERMIT", self._reject_msg % values)

    def _is_marked(self, request: Request, now: datetime) -> bool:
        """Whether the message has its header; if not, it gets it now. Without an instance nobody can know."""
        if not request.instance:
            return False
        key = hash(request.instance)
        if self._marked.get(key, now):
            return True
        self._marked.put(key, True, now)
        return False

    def _mark(self, delayed: timedelta, now: datetime) -> Action:
        values = {
            "delta": int(delayed.total_seconds()),
            "version": __version__,
            "hostname": self._hostname,
            "date": format_datetime(now),
        }
        return Action("PREPEND", self._header % values)
