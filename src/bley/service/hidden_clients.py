"""Strangers behind one address: a proxy or gateway that hides the real clients from the mail server.

Examples are Postfix behind Docker's userland proxy, and haproxy without `smtpd_upstream_proxy_protocol`. All strangers
then have one address, without a name and with a HELO name each; greylisting by client and DNS lists have no effect.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bley.checks.helo import is_public_helo
from bley.core.address_scope import GATEWAY_HELO_NAMES, describe_local, local_scope
from bley.core.mail import Address
from bley.core.names.domains import a_labels

__all__ = ["HiddenClients"]

_HOUR = timedelta(hours=1)

_WARN_AGAIN = timedelta(days=1)
"""The interval of warnings about one address, and the time for which it is reported after it last was a gateway."""

_MOST_ADDRESSES = 64
"""Local addresses whose HELO names are counted, 5 of 512 characters each: at most 190 KB."""

_PUBLIC_NAMES = 20
_PUBLIC_STRANGERS = 50
"""HELO names and strangers of a public address, without any other stranger for a day, from which it is a gateway.

A mail server has one HELO name. A spammer may have many, but is never alone for a day.
"""

_ADVICE = (
    "a proxy or gateway hides the real clients; show them to the mail server (haproxy: smtpd_upstream_proxy_protocol, "
    "postscreen_upstream_proxy_protocol; Docker: no userland proxy), or add a gateway of your own hosts to "
    "trusted_networks: see docs/install.md, Hidden clients"
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    """The strangers of one address: their last HELO names, each with the instant at which it was last seen."""

    since: datetime
    helo_names: dict[str, datetime] = field(default_factory=dict)
    strangers: int = 0
    hidden_at: datetime | None = None
    warned_at: datetime | None = None

    def add(self, helo_name: str, now: datetime, most: int) -> bool:
        """Count a stranger. Of its HELO names, the last `most` are kept. Return whether its name is a new one."""
        self.strangers += 1
        helo_name = a_labels(helo_name)
        if not is_public_helo(helo_name):
            return False
        is_new = self.helo_names.pop(helo_name, None) is None
        self.helo_names[helo_name] = now
        if len(self.helo_names) > most:
            del self.helo_names[next(iter(self.helo_names))]
        return is_new

    @property
    def oldest(self) -> datetime:
        """The instant at which the oldest of these names was last seen."""
        return next(iter(self.helo_names.values()))

    def is_news(self, now: datetime) -> bool:
        """Note that it is a gateway. Return whether the last warning is older than a day, or there was none."""
        self.hidden_at = now
        is_news = self.warned_at is None or now - self.warned_at >= _WARN_AGAIN
        if is_news:
            self.warned_at = now
        return is_news

    def recent_names(self, now: datetime) -> frozenset[str]:
        """Return the HELO names of the last hour; those that made it a gateway, for a day."""
        is_hidden = self.hidden_at is not None and now - self.hidden_at < _WARN_AGAIN
        return frozenset(name for name, at in self.helo_names.items() if is_hidden or now - at < _HOUR)


class HiddenClients:
    """Finds the addresses of gateways among the clients of strangers. Instants come from the monotonic clock.

    `report`, if given, is called with a local address and HELO names instead of a warning: with each new name, and with
    all of a gateway once a day. So one process can observe the names of several, and warn once.
    """

    def __init__(self, report: Callable[[Address, tuple[str, ...]], None] | None = None) -> None:
        self._report = report
        self._local: dict[Address, _Seen] = {}
        self._last: Address | None = None
        """The address of the last stranger."""
        self._alone: _Seen | None = None
        """All strangers of the last address since one of another address, if it is public."""

    def observe(self, address: Address, helo_name: str, now: datetime) -> None:
        """Count a stranger. Log a gateway, once a day."""
        is_alone, self._last = address == self._last, address
        if not is_alone:
            self._alone = None
        if local_scope(address):
            self._observe_local(address, helo_name, now)
        elif is_alone:
            self._observe_alone(address, helo_name, now)

    def _observe_local(self, address: Address, helo_name: str, now: datetime) -> None:
        seen = self._local.pop(address, None) or _Seen(now)
        self._local[address] = seen
        if len(self._local) > _MOST_ADDRESSES:
            del self._local[next(iter(self._local))]
        is_new = seen.add(helo_name, now, GATEWAY_HELO_NAMES)
        is_hidden = len(seen.helo_names) == GATEWAY_HELO_NAMES and now - seen.oldest < _HOUR
        if is_hidden and seen.is_news(now):
            if self._report:
                self._report(address, tuple(seen.helo_names))
            else:
                what = f"strangers with {GATEWAY_HELO_NAMES} HELO names came from it within an hour"
                _log.warning("%s, but %s: %s", describe_local(address), what, _ADVICE)
        elif is_new and not is_hidden and self._report:
            self._report(address, tuple(seen.helo_names)[-1:])

    def _observe_alone(self, address: Address, helo_name: str, now: datetime) -> None:
        """Count a stranger of a public address that sent the one before, too."""
        self._alone = seen = self._alone or _Seen(now)
        seen.add(helo_name, now, _PUBLIC_NAMES)
        has_many = seen.strangers >= _PUBLIC_STRANGERS and len(seen.helo_names) == _PUBLIC_NAMES
        if has_many and now - seen.since >= _WARN_AGAIN and seen.is_news(now):
            what = f"sent all strangers of the last day, with {_PUBLIC_NAMES} HELO names or more"
            _log.warning("%s %s: %s", address, what, _ADVICE)

    def helo_names(self, now: datetime) -> tuple[tuple[str, frozenset[str]], ...]:
        """Return the HELO names by address. An address with GATEWAY_HELO_NAMES of them is a gateway."""
        seen = dict(self._local)
        if self._last and self._alone and self._alone.hidden_at:
            seen[self._last] = self._alone
        return tuple((str(address), names) for address, each in seen.items() if (names := each.recent_names(now)))
