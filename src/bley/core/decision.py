"""What was decided about one request, with everything that led to it: for the answer, the log, and `bley explain`."""

from dataclasses import dataclass, field
from datetime import timedelta

from bley.core.evidence import Evidence
from bley.core.greylist import Record, Standing
from bley.core.mail import Request, Triplet
from bley.core.policy import Reason

__all__ = ["Decision"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its named reason; steps that were not reached left their fields empty."""

    request: Request
    reason: Reason
    defers: bool = False
    triplet: Triplet | None = None
    record: Record | None = None
    """What the store knew before."""
    standing: Standing | None = None
    evidence: Evidence = field(default_factory=dict)
    wait: timedelta | None = None
    """Of a deferral: how long until a retry passes."""
    delayed: timedelta | None = None
    """Of a triplet that waited: how long ago its first attempt was."""
    exempted_by: str = ""
    """The list entry that exempts, with its file and line."""
