"""A name in the list of clients whose addresses bley follows: `dyn:home.example.org`.

    answer                      its addresses
    addresses                   are exempt, until the next answer
    no address, NXDOMAIN too    stay exempt until a second such answer: some clients of dynamic DNS delete the old
                                record a moment before they add the new one
    failure                     stay exempt for a day after the last answer

The owner of the name decides which clients are exempt. So each address counts alone, few of them count, and none that a
gateway may have, behind which strangers are hidden.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bley.core.address_scope import describe_local
from bley.core.mail import Address

__all__ = ["MOST_ADDRESSES", "AddressAnswer", "FollowedName", "News"]

MOST_ADDRESSES = 16
"""Addresses that a name may have. A host or an office has one or two, a stranger's name could have 256 of each kind."""

_KEPT_SECONDS = 86_400.0
"""How long addresses stay exempt after the last answer, while the DNS fails: a night and the time to notice."""

_LEAST_SECONDS = 60.0
"""The shortest interval between two resolutions, also after a failure: the usual TTL of dynamic DNS."""

_MOST_SECONDS = 3600.0
"""The longest interval: an owner who moves to another provider may have forgotten a TTL of a day."""


class AddressAnswer(NamedTuple):
    """The answer of the DNS about the addresses of one IP version, or why there is none."""

    addresses: frozenset[Address] = frozenset()
    ttl_seconds: float = _MOST_SECONDS
    failure: str = ""


class News(NamedTuple):
    """A change that the operator should know."""

    text: str
    is_warning: bool


class _Known(NamedTuple):
    """The addresses of one IP version that are in force."""

    addresses: frozenset[Address] = frozenset()
    answered_at: float = 0.0
    is_empty: bool = False
    """The last answer had no address, which the next one must confirm."""

    def after(self, answer: AddressAnswer, now: float) -> "_Known":
        if answer.failure:
            return self if now - self.answered_at < _KEPT_SECONDS else _Known()
        if answer.addresses or self.is_empty:
            return _Known(answer.addresses, now, is_empty=not answer.addresses)
        return _Known(self.addresses, now, is_empty=True)


class FollowedName:
    """The exempt addresses of a name, by its answers so far. Times are those of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._known = {4: _Known(), 6: _Known()}
        self._failures = 0
        """Consecutive resolutions without a usable address."""
        self._is_warned = False
        self.trouble = "no answer yet"
        """Why the last resolution found no usable address; empty if it found one."""
        self.interval = _LEAST_SECONDS
        """The seconds until the next resolution."""

    @property
    def addresses(self) -> frozenset[Address]:
        """The exempt addresses."""
        return self._known[4].addresses | self._known[6].addresses

    def take(self, answers: Mapping[int, AddressAnswer], now: float) -> News | None:
        """Take the answers of a resolution, by IP version."""
        before = self.addresses
        checked = _checked(answers)
        self._known = {version: self._known[version].after(checked[version], now) for version in self._known}
        if fresh := [answer for answer in checked.values() if answer.addresses]:
            shortest = min(answer.ttl_seconds for answer in fresh)
            self.interval = min(max(shortest, _LEAST_SECONDS), _MOST_SECONDS)
            return self._resolved(before)
        self.trouble = next((answer.failure for answer in checked.values() if answer.failure), "it has no address")
        self.interval = _LEAST_SECONDS
        return self._unresolved(before)

    def _resolved(self, before: frozenset[Address]) -> News | None:
        was_warned, self._is_warned, self._failures, self.trouble = self._is_warned, False, 0, ""
        gone = before - self.addresses
        text = f"exempts {_shown(self.addresses)}{f', and no longer {_shown(gone)}' if gone else ''}"
        if was_warned:
            return News(f"resolves again: {text}", is_warning=True)
        return News(text, is_warning=False) if before != self.addresses else None

    def _unresolved(self, before: frozenset[Address]) -> News | None:
        """Return a warning once, after the second failure if addresses are kept, and when some are kept no longer."""
        self._failures += 1
        is_first = not self._is_warned and (self._failures > 1 or not before)
        if not is_first and before == self.addresses:
            return None
        self._is_warned = True
        until = f", until {_KEPT_SECONDS / 3600:g} hours after the last answer" if self.addresses else ""
        effect = f"exempts {_shown(self.addresses) or 'no client'}{until}"
        return News(f"does not resolve ({self.trouble}): {effect}", is_warning=True)


def _checked(answers: Mapping[int, AddressAnswer]) -> dict[int, AddressAnswer]:
    """Return the answers with the addresses that count; an answer with others alone, or too many, is a failure."""
    count = sum(len(answer.addresses) for answer in answers.values())
    if count > MOST_ADDRESSES:
        failure = f"it has {count} addresses, more than {MOST_ADDRESSES}"
        return dict.fromkeys(answers, AddressAnswer(failure=failure))
    return {version: _without_local(answer) for version, answer in answers.items()}


def _without_local(answer: AddressAnswer) -> AddressAnswer:
    local = dict(_local(answer.addresses))
    others = answer.addresses - local.keys()
    return answer._replace(addresses=others, failure=answer.failure or ("" if others else ", ".join(local.values())))


def _local(addresses: frozenset[Address]) -> Iterator[tuple[Address, str]]:
    return ((address, text) for address in sorted(addresses, key=int) if (text := describe_local(address)))


def _shown(addresses: frozenset[Address]) -> str:
    return ", ".join(str(each) for each in sorted(addresses, key=lambda each: (each.version, int(each))))
