"""The effect of an action of the dashboard, for its confirmation page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bley.core.greylist import Record
from bley.core.mail import Triplet
from bley.corrections.audit import Auditor

__all__ = ["Action", "Notice", "Preview"]


@dataclass(frozen=True, slots=True)
class Preview:
    """The effect of an action; without a `button` it has none."""

    title: str
    sentence: str
    button: str = ""
    command: str = ""
    """The command that does the same."""
    line: str = ""
    """The line of a list file."""
    warnings: Sequence[str] = ()
    records: Sequence[tuple[Triplet, Record]] = ()
    asks_details: bool = False
    """Whether the form asks for an end and a comment."""


class Notice(NamedTuple):
    """The result of an action, and the command that does it on the other nodes, if that is needed."""

    text: str
    command: str = ""


class Action(Protocol):
    """An action with everything that it needs, but the confirmation."""

    path: str
    back: str
    """The URL of the page to which it belongs."""

    @property
    def fields(self) -> Mapping[str, str]:
        """The hidden fields of its form."""

    @property
    def command(self) -> str:
        """The command that does the same, if it is known without the store."""

    async def preview(self) -> Preview:
        """Return what would happen. Raises CorrectionError, SettingsError, StoreError, HTTPNotFound."""

    async def carry_out(self, auditor: Auditor) -> Notice:
        """Do it, and return what was done. Raises the errors of `preview`."""
