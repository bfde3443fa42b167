"""A request on its way through the nine steps, with its triplet and the rules that decide about it."""

import time
from datetime import datetime
from typing import Any, NamedTuple, Self

from bley.core.decision import Decision
from bley.core.exemptions.lookup import MailExemptions
from bley.core.findings import AnyReason
from bley.core.greylist import Record, Sighting, Standing, Status
from bley.core.mail import Address, Request, Triplet
from bley.core.names.host_kind import server_domain
from bley.core.reasons import Reason
from bley.core.triplet import ANY, any_sender_of_domain
from bley.service.rule_set import RuleSet

__all__ = ["PendingRequest"]


class PendingRequest(NamedTuple):
    """A complete request from outside the trusted networks, which step 4 or a later one decides."""

    rules: RuleSet
    request: Request
    address: Address
    triplet: Triplet
    now: datetime
    started: float
    """`now` by time.monotonic."""
    stored_as: Triplet
    """The key of its record: the triplet, or another key under which the store found one."""
    record: Record | None = None
    """The record found."""
    standing: Standing | None = None

    @classmethod
    def of(cls, request: Request, address: Address, now: datetime, rules: RuleSet) -> Self:
        """Return the request with its triplet."""
        triplet = Triplet(
            rules.triplets.client(address, server_domain(request.verified_name, address)),
            rules.triplets.sender(request.sender),
            rules.triplets.recipient(request.recipient),
        )
        return cls(rules, request, address, triplet, now, time.monotonic(), triplet)

    def decision(self, reason: AnyReason, **more: Any) -> Decision:
        """Return the decision with triplet, record and standing."""
        return Decision(self.request, reason, triplet=self.triplet, record=self.record, standing=self.standing, **more)

    def exemption(self) -> Decision | None:
        """Return the decision if an exemption list has the recipient, the client or the sender: step 4."""
        request, rules, lists = self.request, self.rules, self.rules.configuration
        sender, recipient = self.triplet.sender, self.triplet.recipient
        if rules.triplets.privacy_key:  # list files have addresses in clear text
            clear = rules.settings.triplet_rules
            sender, recipient = clear.sender(request.sender), clear.recipient(request.recipient)
        if entry := _find(lists.recipients, request.recipient, recipient):
            return self.decision(Reason.EXEMPT_RECIPIENT, exempted_by=entry)
        if entry := lists.clients.find(self.address, request.verified_name):
            return self.decision(Reason.EXEMPT_CLIENT, exempted_by=entry)
        if entry := _find(lists.senders, request.sender, sender):
            return self.decision(Reason.EXEMPT_SENDER, exempted_by=entry)
        return None

    def keys(self, *, has_wildcards: bool) -> list[Triplet]:
        """Return the possible keys of its record: also with the client's network, if its name was unknown before."""
        client, sender, recipient = self.triplet
        network = self.rules.triplets.client(self.address, "")
        keys = [self.triplet]
        if network != client:
            keys.append(Triplet(network, sender, recipient))
        if has_wildcards:
            keys += [Triplet(network, any_sender, ANY) for any_sender in (sender, any_sender_of_domain(sender), ANY)]
        return keys

    def sighting(self, status: Status, attempts: int = 0) -> Sighting:
        """Return the sighting that records this status."""
        return Sighting(self.stored_as, status, self.now, self.rules.timing.lifetimes, attempts)


def _find(exemptions: MailExemptions, address: str, normalised: str) -> str | None:
    """Return the entry for the address as received or normalised: an entry matches `user+extension` too."""
    return exemptions.find(address) or (exemptions.find(normalised) if normalised != address else None)
