"""The errors that bley raises on purpose, each with the party that must act.

BleyError
  SettingsError   the operator: invalid settings, or an invalid line in a list file
    StartError  none or the operator: retry the start, since the address may appear, or the other process end
  ProtocolError   the peer: bytes that are not a policy request
  StoreError      the store: unreachable, locked, full or damaged
    AwayError     none: the outage is logged, and the store is retried
    BusyError     none: retry
    RefusedError  none: the store will never accept some of the values
    PrivacyKeyError  the operator: stored addresses are hashed with another key, or not at all
  ResolverError   the DNS: no answer, or a refusal

Any other exception is a bug, and its traceback is logged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bley.core.escapes import escape_controls

__all__ = [
    "MOST_FAULTS",
    "AwayError",
    "BleyError",
    "BusyError",
    "Fault",
    "FaultList",
    "PrivacyKeyError",
    "ProtocolError",
    "ProtocolViolation",
    "RefusedError",
    "ResolverError",
    "SettingsError",
    "StartError",
    "StoreError",
]


MOST_FAULTS = 10
"""Faults of one file that are shown in full."""


class BleyError(Exception):
    """An expected error. Its text is written for the party that must act."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault for the operator to correct, and its place: `line` counts from 1; 0 means the whole file.

    Its string is safe to print, whatever it quotes.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return escape_controls(f"{place}: {self.text}", kept="\n")


class SettingsError(BleyError):
    """The settings or a list file are invalid; `faults` has every fault, or those that `FaultList` shows."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class StartError(SettingsError):
    """bley cannot start now, but perhaps later: an address is missing or used, or a process does not start."""


class FaultList:
    """The faults of files. For each file it has at most `MOST_FAULTS` in full, and counts the others by their kind.

    So a file of a wrong format, each line a fault, does not hide what is wrong. Memory is limited too.
    """

    def __init__(self) -> None:
        self._of_files: dict[str, dict[str, _FaultsOfKind]] = {}

    def add(self, fault: Fault, kind: str = "") -> None:
        """Add a fault. `kind` is one of a limited number; without one, the fault has a kind of its own: its text."""
        of_kind = self._of_files.setdefault(fault.file, {}).setdefault(kind or fault.text, _FaultsOfKind([]))
        of_kind.count += 1
        if len(of_kind.first) < MOST_FAULTS:
            of_kind.first.append(fault)

    @property
    def shown(self) -> list[Fault]:
        """The faults to show, by file and line."""
        return [fault for kinds in self._of_files.values() for fault in _shown(list(kinds.values()))]

    def check(self) -> None:
        """Raise SettingsError if there is a fault."""
        if self._of_files:
            raise SettingsError(self.shown)


@dataclass(slots=True)
class _FaultsOfKind:
    first: list[Fault]
    count: int = 0


def _shown(kinds: Sequence[_FaultsOfKind]) -> list[Fault]:
    """Return the faults of a file by lines: the first of each kind, then the second of each, and so on."""
    by_rank = sorted((rank, fault.line, at) for at, kind in enumerate(kinds) for rank, fault in enumerate(kind.first))
    shown = sorted((line, at, rank) for rank, line, at in by_rank[:MOST_FAULTS])
    last = {at: rank for _, at, rank in shown}
    faults = []
    for _, at, rank in shown:
        fault, hidden = kinds[at].first[rank], kinds[at].count - rank - 1
        faults.append(fault)
        if rank == last[at] and hidden:
            faults.append(Fault(fault.file, fault.line, f"and {hidden:,} more of this kind"))
    if others := sum(kind.count for at, kind in enumerate(kinds) if at not in last):
        faults.append(Fault(kinds[0].first[0].file, 0, f"and {others:,} more of other kinds"))
    return faults


class ProtocolViolation(StrEnum):
    """A violation of the protocol by a peer, by its name in the metrics."""

    TOO_LONG = "too-long"
    """A request has more bytes than bley accepts."""
    TOO_MANY_ATTRIBUTES = "too-many-attributes"
    NO_ATTRIBUTE = "no-attribute"
    """A line is not `name=value`: the peer uses another protocol."""
    OTHER_REQUEST = "other-request"
    """The request is not `smtpd_access_policy`."""
    CUT_OFF = "cut-off"
    """The peer closed the connection within a request."""


class ProtocolError(BleyError):
    """The peer sent bytes that are not a policy request; close the connection without an answer."""

    def __init__(self, violation: ProtocolViolation, text: str) -> None:
        self.violation = violation
        super().__init__(text)


class StoreError(BleyError):
    """The store did not confirm an operation; answer by `on_store_error`.

    A transaction that was interrupted, or missed its deadline, may still have been committed.
    """


class AwayError(StoreError):
    """The store is known to be away, which was logged when it was noticed."""


class BusyError(StoreError):
    """Another process holds the store's lock for a short time: retry until the deadline."""


class RefusedError(StoreError):
    """The store works, but will never accept some of the values. All others were processed.

    `refused` has each such value with the cause; `found` is the transaction's result for the others.
    """

    def __init__(self, text: str, refused: Sequence[tuple[Any, str]] = (), found: Any = None) -> None:
        self.refused, self.found = refused, found
        super().__init__(text)

    @property
    def first(self) -> str:
        """The first refused value as printable text, of at most 300 characters."""
        return repr(self.refused[0][0])[:300] if self.refused else ""


class PrivacyKeyError(StoreError):
    """The store's addresses are not hashed with the configured key; the text has the remedy."""


class ResolverError(BleyError):
    """The DNS gave no usable answer to a query; its result is unknown.

    `is_silence`: no server answered at all. The cause may be the configured servers, or those that they queried.
    """

    def __init__(self, name: str, rrtype: str, why: str, *, is_silence: bool = False) -> None:
        self.name, self.rrtype, self.why, self.is_silence = name, rrtype, why, is_silence
        super().__init__(f"{name} {rrtype}: {why}")
