"""The outcome of a deferral: the wait that was imposed, and the delay that followed.

a later decision on the triplet with reason `waited`        PASSED
an earlier pass of the mail for another reason              LET_THROUGH
the record is known by now, after `bley pass`               RELEASED
the record is known by now                                  PASSED, at an unknown time
the record is greylisted, the wait is not over              WAITING
the record is greylisted, the wait is over                  DUE
no record, or a record that is younger than the deferral    FORGOTTEN
the decision was only logged (`mode = observe`)             NOT_CARRIED_OUT
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from bley.core.greylist import Record, Standing, Status, Timing, united
from bley.core.history.conditions import is_host_in, named_network, overlaps
from bley.core.history.search import DecisionQuery, StoredDecision
from bley.core.history.steps import format_instant
from bley.core.mail import Triplet, parse_address
from bley.core.reasons import Reason
from bley.core.triplet import ANY, TripletRules, any_sender_of_domain

__all__ = [
    "DeferralOutcome",
    "OutcomeKind",
    "deferral_outcome",
    "format_duration",
    "passes_query",
    "possible_triplets",
    "united_record",
    "wildcard_triplets",
]


class OutcomeKind(Enum):
    """The kinds of outcome of a deferral."""

    PASSED = "passed"
    LET_THROUGH = "let-through"
    RELEASED = "released"
    WAITING = "waiting"
    DUE = "due"
    FORGOTTEN = "forgotten"
    NOT_CARRIED_OUT = "not-carried-out"


class DeferralOutcome(NamedTuple):
    """The outcome of a deferral; unknown values are None."""

    kind: OutcomeKind
    wait: timedelta | None = None
    """The wait that was imposed, from the deferral on."""
    passed_at: datetime | None = None
    """RELEASED: the time of `bley pass`, after which the next attempt passes."""
    delay: timedelta | None = None
    """PASSED: the time since the first attempt; LET_THROUGH: that since the deferral."""
    left: timedelta | None = None
    """WAITING: the time until a retry passes."""
    last_attempt: datetime | None = None
    passed_by: str = ""
    """LET_THROUGH: the reason of the pass, with the entry of the list file that exempts it."""

    def __str__(self) -> str:
        wait = "" if self.wait is None else f"had to wait {format_duration(self.wait)}; "
        match self.kind:
            case OutcomeKind.PASSED if self.passed_at and self.delay is not None:
                delay = format_duration(self.delay)
                return f"{wait}passed on a retry at {format_instant(self.passed_at)}, {delay} after the first attempt"
            case OutcomeKind.PASSED:
                return f"{wait}has passed since"
            case OutcomeKind.LET_THROUGH if self.passed_at and self.delay is not None:
                after = f"{format_instant(self.passed_at)}, {format_duration(self.delay)} after this attempt"
                return f"{wait}passed before that at {after}, by {self.passed_by}"
            case OutcomeKind.RELEASED if self.passed_at:
                return f"{wait}passes at its next attempt since {format_instant(self.passed_at)}, by `bley pass`"
            case OutcomeKind.FORGOTTEN:
                return f"{wait}was not retried in time, or its record was removed: the triplet is a stranger again"
            case OutcomeKind.NOT_CARRIED_OUT:
                return "passed, because mode = observe defers nothing"
        last = f"last attempt {format_instant(self.last_attempt)}" if self.last_attempt else ""
        if self.kind is OutcomeKind.WAITING and self.left is not None:
            return f"{wait}still waiting, {format_duration(self.left)} left, {last}"
        return f"{wait}the wait is over, but there was no retry, {last}"


def deferral_outcome(
    deferral: StoredDecision, record: Record | None, passes: Sequence[StoredDecision], timing: Timing, now: datetime
) -> DeferralOutcome:
    """Return the outcome of the deferral.

    `record`: the record of its triplet. `passes`: decisions of `passes_query`, on any triplets.
    """
    wait = _seconds(deferral, "wait_seconds")
    if deferral.outcome == "would-defer":
        return DeferralOutcome(OutcomeKind.NOT_CARRIED_OUT, wait)
    later = sorted((other for other in passes if other.at >= deferral.at), key=lambda decision: decision.at)
    waited = (other for other in later if other.reason == Reason.WAITED and _ends(other, deferral))
    passed = next(waited, None)
    let_through = next((other for other in later if _lets_through(other, deferral)), None)
    if let_through and (not passed or let_through.at < passed.at):
        since, by = let_through.at - deferral.at, _describe_pass(let_through)
        return DeferralOutcome(OutcomeKind.LET_THROUGH, wait, let_through.at, since, passed_by=by)
    if passed:
        first_seen = passed.details.get("first_seen")
        if first_seen is None or datetime.fromisoformat(first_seen) <= deferral.at:
            return DeferralOutcome(OutcomeKind.PASSED, wait, passed.at, _seconds(passed, "delay_seconds"))
        return DeferralOutcome(OutcomeKind.FORGOTTEN, wait)
    if record is None or record.first_seen > deferral.at or timing.standing(record, now) is Standing.NEW:
        return DeferralOutcome(OutcomeKind.FORGOTTEN, wait)
    if record.status is not Status.GREYLISTED:
        released = next((other.at for other in later if _releases(other, deferral)), None)
        return DeferralOutcome(OutcomeKind.RELEASED if released else OutcomeKind.PASSED, wait, released)
    left = timing.remaining(record, now)
    kind = OutcomeKind.DUE if left < timedelta(0) else OutcomeKind.WAITING
    return DeferralOutcome(kind, wait, left=max(left, timedelta(0)), last_attempt=record.last_seen)


def _ends(waited: StoredDecision, deferral: StoredDecision) -> bool:
    """Return whether the triplet that has waited is that of the deferral, if under another place of its client."""
    one, triplet = waited.triplet, deferral.triplet
    if one is None or triplet is None or one[1:] != triplet[1:]:
        return False
    return triplet.client == one.client or triplet.client in waited.details.get("places", ())


def _lets_through(other: StoredDecision, deferral: StoredDecision) -> bool:
    """Return whether the mail of the deferral passed by this decision, which left its record as it was."""
    if other.reason not in _LET_THROUGH or other.outcome == "greylist":
        return False
    mails = ((each.sender.casefold(), each.recipient.casefold()) for each in (other, deferral))
    return len(set(mails)) == 1 and _has_client(other, deferral)


def _describe_pass(decision: StoredDecision) -> str:
    """Return the reason, with the entry of the list file that exempts the mail, or the mode in force."""
    if decision.outcome == "would-defer" or decision.reason == Reason.OFF:
        return f"mode = {'off' if decision.reason == Reason.OFF else 'observe'}"
    entry = decision.details.get("entry")
    return f"{decision.reason} ({entry})" if entry else decision.reason


def _has_client(other: StoredDecision, deferral: StoredDecision) -> bool:
    """Return whether both have the same address, or the client of the deferral's triplet contains that of the other."""
    client = deferral.triplet.client if deferral.triplet else ""
    if network := named_network(client):
        return overlaps(other.client_address, network)
    return other.client_address == deferral.client_address or is_host_in(other.client_name, client)


def _releases(other: StoredDecision, deferral: StoredDecision) -> bool:
    """Return whether this is `bley pass` for the mail. Its record may be under another place of the client."""
    one, triplet = other.triplet, deferral.triplet
    return other.reason == Reason.RELEASED and one is not None and triplet is not None and one[1:] == triplet[1:]


_LET_THROUGH = frozenset(
    [
        Reason.AUTHENTICATED, Reason.TRUSTED_NETWORK, Reason.EXEMPT_RECIPIENT, Reason.EXEMPT_CLIENT,
        Reason.EXEMPT_SENDER, Reason.OFF, Reason.STORE_ERROR, Reason.INTERNAL_ERROR, Reason.EARLY,
    ]
)  # fmt: skip
"""Reasons with which mail may pass whose record waits: it is not asked for, or `mode = observe` is in force."""


def passes_query(deferrals: Sequence[StoredDecision]) -> DecisionQuery:
    """Return the query for the decisions that `deferral_outcome` needs for these deferrals (at least one).

    Those with the reason `released` have the recipient of the triplet.
    """
    recipients = {deferral.recipient.casefold() for deferral in deferrals}
    return DecisionQuery(
        reasons=frozenset(reason.value for reason in (Reason.WAITED, Reason.RELEASED, *_LET_THROUGH)),
        since=min(deferral.at for deferral in deferrals),
        recipients=frozenset(recipients | {each.triplet.recipient for each in deferrals if each.triplet}),
    )


def possible_triplets(decision: StoredDecision, rules: TripletRules) -> list[Triplet]:
    """Return the triplets under which the record may be stored.

    While the client's name was unknown, the record was stored under the client's network; see also core.places.
    """
    triplet, address = decision.triplet, parse_address(decision.client_address)
    if triplet is None or address is None:
        return [triplet] if triplet else []
    clients = (triplet.client, rules.client(address, ""), *decision.details.get("places", ()))
    return [triplet._replace(client=client) for client in dict.fromkeys(clients)]


def wildcard_triplets(decision: StoredDecision, rules: TripletRules) -> list[Triplet]:
    """Return the triplets for any sender or recipient, which are imported from other greylisters."""
    triplet, address = decision.triplet, parse_address(decision.client_address)
    if triplet is None or address is None:
        return []
    senders = triplet.sender, any_sender_of_domain(triplet.sender), ANY
    return [Triplet(rules.client(address, ""), sender, ANY) for sender in senders]


def united_record(records: Iterable[Record]) -> Record | None:
    """Return the record of a triplet whose records in all places are these."""
    found: Record | None = None
    for record in records:
        found = united(found, record)
    return found


def format_duration(duration: timedelta) -> str:
    """Return a readable duration: `47 s`, `5 min 3 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = round(duration.total_seconds())
    for unit, size, smaller, smaller_size in _UNITS:
        if seconds >= size:
            rest = seconds % size // smaller_size
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


_UNITS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))


def _seconds(decision: StoredDecision, name: str) -> timedelta | None:
    number = decision.details.get(name)
    return None if number is None else timedelta(seconds=number)
