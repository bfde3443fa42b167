"""A request on its way through the nine steps, with its triplet and the rules that decide about it."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple, Self

from bley.checks.queried_domains import queried_domains
from bley.core.address_scope import local_scope
from bley.core.decision import Decision
from bley.core.evidence import NO_EVIDENCE, Evidence, Finding
from bley.core.exemptions.lookup import MailExemptions
from bley.core.findings import AnyReason, Check
from bley.core.greylist import Record, Sighting, Standing, Status
from bley.core.mail import Address, Request, Triplet
from bley.core.names.domains import a_labels, owner_domain, registered_domain
from bley.core.names.host_kind import HostKind, judge_host_name, server_domain
from bley.core.places import Found, Located, locate
from bley.core.reasons import Reason
from bley.core.relations import NO_KEYS, RelationKeys, is_relation, make_keys
from bley.core.triplet import ANY, any_sender_of_domain, bounded
from bley.service.rule_set import RuleSet

__all__ = ["PendingRequest", "find_entry"]

_NO_SPF = Finding(None, "not queried: use_spf = 0")
_NO_DOMAINS: Mapping[str, datetime] = MappingProxyType({})
_NO_RELATIONS: Mapping[Triplet, Record] = MappingProxyType({})


class PendingRequest(NamedTuple):
    """A complete request from outside the trusted networks, which step 4 or a later one decides."""

    rules: RuleSet
    request: Request
    address: Address
    triplet: Triplet
    now: datetime
    started: float
    """`now` by time.monotonic."""
    network: str
    """The client's place while its name is unknown: its network, or with `greylist_by = address` itself."""
    spf: Finding | None = None
    """The result of SPF that keeps an entry `spf:…` from exempting the sender."""
    verified_name: str = ""
    """The client's name that the checks verified, if the mail server found none."""
    located: Located | None = None
    """The content of the store about the triplet; None: not queried yet."""
    domains: Mapping[str, datetime] = _NO_DOMAINS
    """When the domains under which records stand were last verified on the client's network."""
    relation_keys: RelationKeys = NO_KEYS
    """The keys of the relations that the mail may have; none before the store was queried."""
    relations: Mapping[Triplet, Record] = _NO_RELATIONS
    """The records of relations that the store found."""

    @property
    def seconds_left(self) -> float:
        """The time until the request must be answered."""
        return self.started + self.rules.longest_seconds - time.monotonic()

    @classmethod
    def of(cls, request: Request, address: Address, now: datetime, rules: RuleSet) -> Self:
        """Return the request with its triplet."""
        triplets = rules.triplets
        network, domain = triplets.client(address, ""), server_domain(request.verified_name, address)
        client = triplets.client(address, domain) if domain else network
        triplet = Triplet(client, triplets.sender(request.sender), triplets.recipient(request.recipient))
        return cls(rules, request, address, triplet, now, time.monotonic(), network)

    def decision(
        self,
        reason: AnyReason,
        *,
        defers: bool = False,
        standing: Standing | None = None,
        evidence: Evidence = NO_EVIDENCE,
        wait: timedelta | None = None,
        delayed: timedelta | None = None,
        exempted_by: str = "",
        cause: str = "",
        relation: str = "",
    ) -> Decision:
        """Return the decision with triplet, record and standing. `standing` is that of a triplet without `located`."""
        record: Record | None = None
        places: tuple[str, ...] = ()
        if located := self.located:
            _, standing, record, _, _, places = located
            cause = located.cause or cause
        if self.spf and not evidence:
            evidence = {Check.SPF: self.spf}
        return Decision(
            self.request,
            reason,
            defers,
            self.triplet,
            record,
            standing,
            evidence,
            wait,
            delayed,
            exempted_by,
            self.verified_name,
            places,
            self.rules.section,
            cause,
            relation,
        )

    def exemption(self) -> Decision | None:
        """Return the decision if an exemption list has the recipient, the client or the sender: step 4."""
        request, rules, lists = self.request, self.rules, self.rules.configuration
        sender, recipient = self.triplet.sender, self.triplet.recipient
        if rules.triplets.privacy_key:  # list files have addresses in clear text
            clear = rules.settings.triplet_rules
            sender, recipient = clear.sender(request.sender), clear.recipient(request.recipient)
        if entry := find_entry(lists.recipients, request.recipient, recipient):
            return self.decision(Reason.EXEMPT_RECIPIENT, exempted_by=entry)
        if entry := lists.clients.find(self.address, request.verified_name):
            return self.decision(Reason.EXEMPT_CLIENT, exempted_by=entry)
        if entry := find_entry(lists.senders, request.sender, sender):
            return self.decision(Reason.EXEMPT_SENDER, exempted_by=entry)
        return None

    def in_section(self) -> Self:
        """Return the request with the rules of the first section that has the recipient: step 4."""
        address, recipient = self.request.recipient, self.triplet.recipient
        if self.rules.triplets.privacy_key:
            recipient = self.rules.settings.triplet_rules.recipient(address)
        places = map(self.rules.section_of.find, {address, recipient})
        first = min((place for place in places if place is not None), default=None)
        return self if first is None else self._replace(rules=self.rules.sections[first])

    @property
    def origin(self) -> str:
        """The origin of the mail (core.relations); empty if it has none."""
        if local_scope(self.address):
            return ""
        if name := self.request.verified_name or self.verified_name:
            kind = judge_host_name(a_labels(name), self.address).kind
            if kind is HostKind.DYNAMIC:
                return ""
            origin = name if kind is HostKind.RENTED else registered_domain(name)
            if origin:
                return bounded(a_labels(origin))
        return self.rules.triplets.network(self.address)

    def find_relation_keys(self) -> RelationKeys:
        """Return the keys of its relations."""
        _, sender, recipient = self.triplet
        _, _, domain = self.request.sender.rpartition("@")
        return make_keys(self.origin, owner_domain(domain), sender, recipient, self.rules.relations)

    @property
    def judged_as(self) -> str:
        """The key of the client's latest judgement, which holds for one section only: others may judge otherwise."""
        section = self.rules.section
        return f"{section}\n{self.triplet.client}" if section else self.triplet.client

    @property
    def judged_with_domains(self) -> str:
        """The key of a judgement that holds only for these domains, since domain lists have judged them."""
        return "\n".join((self.judged_as, "", *queried_domains(self.request)))

    @property
    def may_be_deferred(self) -> bool:
        """Whether it is a stranger's, or a retry before the wait is over."""
        return self.located is not None and self.located.standing in (Standing.NEW, Standing.EARLY)

    async def with_spf(self) -> tuple[Finding, Self]:
        """Return the result of SPF, and the request with checks that know it; without `use_spf` it is unknown."""
        if self.spf:
            return self.spf, self
        if not self.rules.settings.use_spf:
            return _NO_SPF, self
        finding, checks = await self.rules.checks.check_spf(self.request, self.address)
        return finding, self._replace(rules=replace(self.rules, checks=checks))

    async def exemption_by_spf(self) -> Decision | Self:
        """Return the decision if SPF passes for a sender that an entry `spf:…` exempts: the rest of step 4.

        Otherwise return the request, with checks that know the result of SPF if there is such an entry.
        """
        rules, sender, senders = self.rules, self.request.sender, self.rules.configuration.senders.if_spf_passes
        in_clear = rules.settings.triplet_rules.sender(sender)  # list files have addresses in clear text
        if not (entry := find_entry(senders, sender, in_clear)):
            return self
        finding, checks = await rules.checks.check_spf(self.request, self.address)
        if finding.is_pass:
            return self.decision(Reason.EXEMPT_SENDER, exempted_by=entry, evidence={Check.SPF: finding})
        return self._replace(rules=replace(rules, checks=checks), spf=finding)

    def keys(self, relation_keys: RelationKeys, *, has_wildcards: bool) -> list[Triplet]:
        """Return the possible keys of its record and relations; the store adds domains that it knows of the network."""
        client, sender, recipient = self.triplet
        network = self.network
        keys = [self.triplet]
        if network != client:
            keys.append(Triplet(network, sender, recipient))
        keys += filter(None, relation_keys)
        if has_wildcards:
            keys += [Triplet(network, any_sender, ANY) for any_sender in (sender, any_sender_of_domain(sender), ANY)]
        return keys

    def with_records(self, relation_keys: RelationKeys, found: Found) -> Self:
        """Return the request with the keys of its relations, and all records that the store found."""
        records, relations = found.records, _NO_RELATIONS
        if records:
            relations = {key: record for key, record in records.items() if is_relation(record)}
            records = {key: record for key, record in records.items() if key not in relations}
        located = locate(self.triplet, self.network, records, self.rules.timing, self.now)
        domains = found.domains.get(self.network, _NO_DOMAINS)
        # As _replace of the last four fields, in half of its time: each stranger comes here.
        return type(self)(*self[:-4], located, domains, relation_keys, relations)

    def sighting(self, status: Status, attempts: int = 0, cause: str = "") -> Sighting:
        """Return the sighting that records this status in the best place; `cause` is that of a stranger's deferral.

        If the place is a domain, the store learns, or keeps, that the domain belongs to the network.
        """
        place, first_seen = self.triplet, None
        if self.located:
            place, cause = self.located.stored_as, self.located.cause or cause
            if self.located.is_elsewhere and self.located.record:
                first_seen = self.located.record.first_seen
        network = "" if place.client == self.network else self.network
        return Sighting(place, status, self.now, self.rules.timing.lifetimes, attempts, first_seen, network, cause)

    def sightings_of_passing(self) -> list[Sighting]:
        """Return the sightings that record in every place that the triplet has waited."""
        sighting = self.sighting(Status.CLEAN)
        others = self.located.others if self.located else ()
        return [sighting, *(sighting._replace(triplet=place, first_seen=None, network="") for place in others)]


def find_entry(exemptions: MailExemptions, address: str, normalised: str) -> str | None:
    """Return the entry for the address as received or normalised: an entry matches `user+extension` too."""
    if (entry := exemptions.find(address)) or normalised == address:
        return entry
    return exemptions.find(normalised)
