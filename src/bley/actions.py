"""What Postfix is told of a decision: access(5) actions, in the operator's words."""

from datetime import datetime, timedelta
from email.utils import format_datetime

from bley import __version__
from bley.config import Settings
from bley.core.decision import Decision
from bley.core.mail import Action
from bley.core.recent import Recent

__all__ = ["DUNNO", "Actions"]

_INSTANCE_VALID = timedelta(hours=1)
"""How long one message's recipients can follow each other."""

DUNNO = Action("DUNNO")


class Actions:
    """Puts decisions into actions; knows which messages bear the header already."""

    def __init__(self, settings: Settings, hostname: str) -> None:
        self._hostname = hostname
        self._marked = Recent[str, bool](_INSTANCE_VALID, settings.cache_size)
        self.reconfigure(settings)

    def reconfigure(self, settings: Settings) -> None:
        """Use these texts from now on."""
        self._reject_msg, self._header = settings.reject_msg, settings.greylist_header
        self._observes = settings.mode == "observe"

    def action(self, decision: Decision, now: datetime) -> Action:
        """DEFER_IF_PERMIT for a deferral, PREPEND once for a message that waited, else DUNNO."""
        if decision.defers:
            return DUNNO if self._observes else self._defer(decision)
        if decision.delayed is not None and self._header:
            return self._mark(decision.request.instance, decision.delayed, now)
        return DUNNO

    def _defer(self, decision: Decision) -> Action:
        values = {"wait": decision.wait_seconds, "reason": decision.reason.value}
        return Action("DEFER_IF_PERMIT", self._reject_msg % values)

    def _mark(self, instance: str, delayed: timedelta, now: datetime) -> Action:
        if instance and self._marked.get(instance, now):
            return DUNNO
        self._marked.put(instance, True, now)
        values = {
            "delta": int(delayed.total_seconds()),
            "version": __version__,
            "hostname": self._hostname,
            "date": format_datetime(now),
        }
        return Action("PREPEND", self._header % values)
