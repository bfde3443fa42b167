"""The audit: what administrators and bley itself did, from which a change in the figures can be explained."""

from datetime import datetime
from typing import Literal, NamedTuple

__all__ = ["LONGEST_SETTINGS", "LONGEST_WHAT", "MOST_ENTRIES", "AuditEntry", "AuditKind"]

AuditKind = Literal["start", "reload", "pass", "allow", "forget", "purge"]
"""`start` and `reload` by bley; the others are the commands and the actions of the dashboard by these names."""

LONGEST_WHAT = 4096
"""The characters of `AuditEntry.what` that are stored."""

LONGEST_SETTINGS = 65_536
"""The characters of `AuditEntry.settings`; a longer text is not stored. The settings have some 4,000."""

MOST_ENTRIES = 10_000
"""The entries that a store keeps, the newest ones: with usual texts 2 MB, if all are starts or reloads 50 MB."""


class AuditEntry(NamedTuple):
    """One act, at an aware UTC instant."""

    at: datetime
    node: str
    """The node on which it was done."""
    kind: AuditKind
    who: str
    """The user: `root`, or on the dashboard the name and address; empty for bley itself."""
    what: str
    """The act in words, in one line."""
    settings: str = ""
    """Of a start or reload: the settings since then (settings.snapshot), as JSON without secrets."""
