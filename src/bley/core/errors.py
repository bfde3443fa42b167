"""Everything bley raises on purpose, by who must act.

BleyError
  SettingsError   the operator: wrong settings, a wrong line in a list file
  ProtocolError   the peer: bytes that are no policy request
  StoreError      the store: gone, locked, full, damaged
    RefusedError  nobody: it will never keep some of this
    PrivacyKeyError  the operator: its addresses are hashed by another key, or not at all
  ResolverError   the DNS: no answer, or a refusal

Anything else that is raised is a bug and shows its traceback.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from bley.core.escapes import shown_text

__all__ = [
    "BleyError",
    "Fault",
    "PrivacyKeyError",
    "ProtocolError",
    "ProtocolViolation",
    "RefusedError",
    "ResolverError",
    "SettingsError",
    "StoreError",
]


class BleyError(Exception):
    """An error that bley foresaw; its text is fit for the one who must act."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing the operator must mend, and where: `line` counts from 1, 0 is the whole file.

    As a string it can be shown: what it quotes may come from anybody's file.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return shown_text(f"{place}: {self.text}", kept="\n")


class SettingsError(BleyError):
    """The settings or a list file cannot be used; `faults` names every place to mend."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class ProtocolViolation(StrEnum):
    """What a peer did that the protocol does not allow, by its name in the metrics."""

    TOO_LONG = "too-long"
    """A request of more bytes than bley takes."""
    TOO_MANY_ATTRIBUTES = "too-many-attributes"
    NO_ATTRIBUTE = "no-attribute"
    """A line that is no `name=value`: it speaks another protocol."""
    OTHER_REQUEST = "other-request"
    """Not `smtpd_access_policy`."""
    CUT_OFF = "cut-off"
    """It closed in the middle of a request."""


class ProtocolError(BleyError):
    """The peer sent what is no policy request; close the connection without an answer."""

    def __init__(self, breach: ProtocolViolation, text: str) -> None:
        self.breach = breach
        super().__init__(text)


class StoreError(BleyError):
    """The store did not do what was asked, as far as is known; answer by `on_store_error`.

    A transaction that was cut off, or too late, may have happened all the same.
    """


class BusyError(StoreError):
    """Another process holds the store's lock and will let go of it: try again while there is time."""


class RefusedError(StoreError):
    """The store works, but will never take some of the values that it was given. All the others were done.

    `refused`: each such value, and why; `found`: what the transaction returned for the others.
    """

    def __init__(
        self, text: str, refused: Sequence[tuple[Any, str]] = (), found: Mapping[Any, Any] = MappingProxyType({})
    ) -> None:
        self.refused, self.found = refused, found
        super().__init__(text)

    @property
    def first(self) -> str:
        """The first refused value, printable, with at most 300 characters."""
        return repr(self.refused[0][0])[:300] if self.refused else ""


class PrivacyKeyError(StoreError):
    """The store's addresses are not hashed by the key of these settings; the text says what to do."""


class ResolverError(BleyError):
    """The DNS gave no usable answer to one question; what it would have told is unknown.

    `is_silence`: no server answered at all, which may be the fault of the servers asked or of those that they asked.
    """

    def __init__(self, name: str, rrtype: str, why: str, *, is_silence: bool = False) -> None:
        self.name, self.rrtype, self.why, self.is_silence = name, rrtype, why, is_silence
        super().__init__(f"{name} {rrtype}: {why}")
