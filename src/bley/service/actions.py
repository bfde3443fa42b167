"""The access(5) action that answers a decision, with the operator's texts."""

from datetime import datetime, timedelta
from email.utils import format_datetime

from bley import __version__
from bley.core.caches import ExpiringCache
from bley.core.decision import Decision
from bley.core.mail import Action, Request
from bley.settings.settings import Settings

__all__ = ["DUNNO", "Actions"]

_INSTANCE_VALID = timedelta(hours=1)
"""The longest time between the first and last recipient of one message."""

_MOST_MESSAGES = 20_000
"""Messages with a header that are cached, some 3 MB. At least the last 10,000 are, and the recipients of a message
follow within seconds. It does not depend on `cache_size`, so that no setting gives a message two headers."""

DUNNO = Action("DUNNO")


class Actions:
    """Turns decisions into actions. It caches which messages have the header already."""

    def __init__(self, settings: Settings, hostname: str, marked: ExpiringCache[int, bool] | None = None) -> None:
        self._hostname = hostname
        self._marked = ExpiringCache[int, bool](_INSTANCE_VALID, _MOST_MESSAGES) if marked is None else marked
        self._reject_msg, self._header = settings.reject_msg, settings.greylist_header
        self._observes = settings.mode == "observe"

    def with_settings(self, settings: Settings) -> "Actions":
        """Return actions with the texts of these settings, which share the cache of messages."""
        return Actions(settings, self._hostname, self._marked)

    def action(self, decision: Decision, now: datetime, steady: datetime | None = None) -> Action:
        """Return DEFER_IF_PERMIT for a deferral, PREPEND once for a message that waited, else DUNNO.

        With `mode = observe` it is always DUNNO. `steady` is the time of the monotonic clock, if `now` is of another.
        """
        if self._observes:
            return DUNNO
        if decision.defers:
            return self._defer(decision)
        if decision.delayed is not None and self._header and not self._is_marked(decision.request, steady or now):
            return self._mark(decision, now)
        return DUNNO

    def _defer(self, decision: Decision) -> Action:
        values = {"wait": decision.wait_seconds, "reason": decision.reason.value}
        return Action("DEFER_IF_PERMIT", self._reject_msg % values)

    def _is_marked(self, request: Request, now: datetime) -> bool:
        """Return whether the message has its header, and mark it. Without an instance, return False."""
        if not request.instance:
            return False
        key = hash(request.instance)
        if self._marked.get(key, now):
            return True
        self._marked.put(key, True, now)
        return False

    def _mark(self, decision: Decision, now: datetime) -> Action:
        values = {
            "delta": decision.delay_seconds,
            "version": __version__,
            "hostname": self._hostname,
            "date": format_datetime(now),
        }
        return Action("PREPEND", self._header % values)
