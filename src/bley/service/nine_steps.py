"""The nine steps from a request to its decision, in order."""

import logging
from datetime import datetime, timedelta

from bley.core.caches import ExpiringCache
from bley.core.decision import Decision
from bley.core.errors import StoreError
from bley.core.evidence import NO_EVIDENCE, Evidence
from bley.core.greylist import Record, Standing, Status
from bley.core.mail import Request, parse_address
from bley.core.places import Located
from bley.core.policy import Judgement, judge
from bley.core.reasons import Reason
from bley.metrics import CACHE_HITS
from bley.ports import Clock, Store
from bley.service.client_judgements import ClientJudgements
from bley.service.decisive_lists import DecisiveLists
from bley.service.hidden_clients import HiddenClients
from bley.service.known_mail import REFRESH, KnownMail
from bley.service.pending_request import PendingRequest
from bley.service.relations import Relations
from bley.service.rule_set import RuleSet
from bley.settings.settings import Settings

__all__ = ["NineSteps"]

_MOST_LEARNED = 10_000
"""Pairs of a network and a domain that the store learned lately: some 200 bytes each, 2 MB."""

_WARN_AGAIN = timedelta(minutes=1)

_CLASSIC = Judgement(Status.GREYLISTED, Reason.CLASSIC)
_CLIENT_GOOD = Judgement(Status.CLEAN, Reason.CLIENT_GOOD)
_CLIENT_BAD = Judgement(Status.GREYLISTED, Reason.CLIENT_BAD)

_log = logging.getLogger(__name__)


class NineSteps:
    """Decides requests; caches recent judgements of clients."""

    def __init__(
        self, store: Store, known: KnownMail, settings: Settings, steady: Clock, hidden_clients: HiddenClients
    ) -> None:
        self._store, self._known, self._steady, self.hidden_clients = store, known, steady, hidden_clients
        self.lists = DecisiveLists(store)
        self._relations = Relations(store, steady)
        self.clients = ClientJudgements(settings.cache_valid, settings.cache_size)
        self._learned = ExpiringCache[str, bool](REFRESH, _MOST_LEARNED)
        """By network and domain: the store has learned lately that the domain is verified there."""
        self._warned: datetime | None = None
        self.has_wildcards = False
        """The store has records with the wildcard ANY."""

    def clear_caches(self) -> None:
        """Empty the caches, since records were removed from the store."""
        self.clients.clear()
        self._learned.clear()
        self._relations.clear()

    def run_first(self, request: Request, now: datetime, rules: RuleSet) -> Decision | PendingRequest:
        """Run steps 1 to 4, and 5 if the triplet is cached."""
        if request.protocol_state not in ("", "RCPT"):
            return Decision(request, Reason.NOT_RCPT)
        address = parse_address(request.client_address)
        if address is None or not request.recipient.strip():
            self._warn_incomplete(request)
            return Decision(request, Reason.INCOMPLETE)
        if request.sasl_username:
            self._relations.learn_correspondent(request, rules, now)
            return Decision(request, Reason.AUTHENTICATED)
        if rules.trusted.find_network(address):
            return Decision(request, Reason.TRUSTED_NETWORK)
        pending = PendingRequest.of(request, address, now, rules)
        if exemption := pending.exemption():
            return exemption
        if rules.sections:
            pending = pending.in_section()
        if pending.rules.settings.mode == "off":
            return pending.decision(Reason.OFF)
        if pending.triplet in self._known:
            if self._learns(pending):
                self._store.record_later(pending.sighting(Status.CLEAN))
            return pending.decision(Reason.KNOWN, standing=Standing.KNOWN)
        return pending

    def _learns(self, pending: PendingRequest) -> bool:
        """Return whether the store has not learned lately that this domain is verified on this network."""
        client = (pending.located.stored_as if pending.located else pending.triplet).client
        if client == pending.network:
            return False
        key, now = f"{pending.network}\n{client}", self._steady()
        if self._learned.get(key, now):
            return False
        self._learned.put(key, True, now)
        verified = pending.domains.get(client)
        return verified is None or pending.now - verified >= REFRESH

    async def run_later(self, pending: PendingRequest) -> Decision:
        """Run steps 5 to 9; before 7, the rest of step 4. Raises StoreError."""
        try:
            pending = await self._find(pending)
        except StoreError:
            if pending.rules.has_spf_entries and isinstance(exempt := await pending.exemption_by_spf(), Decision):
                return exempt
            raise
        if pending.rules.has_spf_entries and pending.may_be_deferred:
            exempt = await pending.exemption_by_spf()
            if isinstance(exempt, Decision):
                return exempt
            pending = exempt
        return await self._decide_recorded(pending) or await self._decide_stranger(pending)

    async def _decide_recorded(self, pending: PendingRequest) -> Decision | None:
        """Run steps 5 to 7; return None for a stranger."""
        match pending.located:
            case Located(standing=Standing.KNOWN, record=Record() as record, is_elsewhere=is_elsewhere):
                decision = pending.decision(Reason.KNOWN)
                if self._learns(pending) or is_elsewhere or pending.now - record.last_seen >= REFRESH:
                    self._store.record_later(pending.sighting(record.status))
                    self._relations.learn_passing(pending)
            case Located(standing=Standing.WAITED, record=Record() as record):
                self.clients.add(pending, Reason.WAITED, "", self._steady())
                decision = pending.decision(Reason.WAITED, delayed=pending.now - record.first_seen)
                self._record_passing(pending, waited=True)
            case Located(standing=Standing.EARLY, record=Record() as record):
                waited_elsewhere = await self._relations.decide_by_spf(pending)
                if not isinstance(waited_elsewhere, Decision):
                    return await self._decide_early(pending, record)
                decision = waited_elsewhere
                self._record_passing(pending)
            case _:
                return None
        self._known.add_triplet(pending.triplet, self._steady())
        return decision

    def _record_passing(self, pending: PendingRequest, *, waited: bool = False) -> None:
        """Record, after the answer, that the triplet passed, in every place where it waited."""
        for sighting in pending.sightings_of_passing():
            self._store.record_later(sighting)
        self._relations.learn_passing(pending, waited=waited)

    async def _decide_early(self, pending: PendingRequest, record: Record) -> Decision:
        """Run step 7."""
        # abs(): another node's clock, or a concurrent request, may be a little ahead.
        counts = abs(pending.now - record.last_seen) >= pending.rules.settings.cache_valid
        await self._store.record(pending.sighting(Status.GREYLISTED, attempts=int(counts)), pending.seconds_left)
        wait = pending.rules.timing.remaining(record._replace(attempts=record.attempts + counts), pending.now)
        return pending.decision(Reason.EARLY, defers=True, wait=wait)

    async def _decide_stranger(self, pending: PendingRequest) -> Decision:
        """Run steps 8, 8a and 9: a relation outweighs that the client was judged suspicious before."""
        now = self._steady()
        self.hidden_clients.observe(pending.address, pending.request.helo_name, now)
        if pending.rules.settings.classic:
            return await self._record_stranger(pending, _CLASSIC, NO_EVIDENCE, _CLASSIC.cause)
        cause = self.clients.cause(pending, now)
        if cause != "":
            decided = await self._decide_by_relation(pending)
            if isinstance(decided, Decision):
                return decided
            pending = decided
        if cause is not None:
            CACHE_HITS["clients"].inc()
            return await self._record_stranger(pending, _CLIENT_BAD if cause else _CLIENT_GOOD, NO_EVIDENCE, cause)
        gathered = await pending.rules.checks.gather(pending.request, pending.address)
        named, evidence, _ = gathered
        if named != pending.request:
            found = await self._decide_by_name(pending, named)
            if isinstance(found, Decision):
                gathered.cancel_rest()
                return found
            pending = found
        judgement = judge(evidence, pending.rules.thresholds)
        cause = judgement.cause
        self.clients.add(pending, judgement.reason, cause, self._steady())
        decision = await self._record_stranger(pending, judgement, evidence, cause)
        self.lists.follow(pending, gathered, judgement)
        return decision

    async def _decide_by_relation(self, pending: PendingRequest) -> Decision | PendingRequest:
        """Run step 8a."""
        decided = await self._relations.decide(pending)
        if isinstance(decided, Decision):
            self._record_passing(pending)
            self._known.add_triplet(pending.triplet, self._steady())
        return decided

    async def _decide_by_name(self, pending: PendingRequest, named: Request) -> Decision | PendingRequest:
        """Run steps 4 to 8a again, with a name that the checks verified and the MTA did not find.

        Return the request under its new triplet if it is still a stranger's. Its attributes stay those of the MTA.
        """
        renamed = PendingRequest.of(named, pending.address, pending.now, pending.rules)
        renamed = renamed._replace(verified_name=named.client_name, spf=pending.spf)
        if exemption := renamed.exemption():
            return exemption._replace(request=pending.request)
        renamed = renamed._replace(request=pending.request, started=pending.started)
        if renamed.triplet == pending.triplet and renamed.origin in (pending.origin, ""):
            return renamed._replace(located=pending.located, relation_keys=renamed.find_relation_keys())
        if renamed.triplet in self._known:
            return renamed.decision(Reason.KNOWN, standing=Standing.KNOWN)
        renamed = await self._find(renamed, renamed.seconds_left)
        return await self._decide_recorded(renamed) or await self._decide_by_relation(renamed)

    async def _find(self, pending: PendingRequest, within_seconds: float = 1.0) -> PendingRequest:
        """Return the request with the records of its triplet and its relations. Raises StoreError."""
        relation_keys = pending.find_relation_keys()
        keys = pending.keys(relation_keys, has_wildcards=self.has_wildcards)
        return pending.with_records(relation_keys, await self._store.find(keys, within_seconds))

    async def _record_stranger(
        self, pending: PendingRequest, judgement: Judgement, evidence: Evidence, cause: str
    ) -> Decision:
        """Record the judgement. A deferral is durable before its answer is sent; a pass need not be."""
        status, reason = judgement
        sighting = pending.sighting(status, cause=cause)
        if status is Status.GREYLISTED:
            self._relations.learn_deferral(pending)
            await self._store.record(sighting, pending.seconds_left)
            wait = pending.rules.timing.wait(attempts=0)
            return pending.decision(reason, evidence=evidence, defers=True, wait=wait, cause=cause)
        self._store.record_later(sighting)
        self._relations.learn_passing(pending)
        self._known.add_triplet(pending.triplet, self._steady())
        return pending.decision(reason, evidence=evidence)

    def decide_without_store(self, pending: PendingRequest) -> Decision:
        """Decide by `on_store_error`. The sighting is queued until the store is back."""
        if pending.rules.settings.on_store_error == "pass":
            self._store.record_later(pending.sighting(Status.CLEAN))
            return pending.decision(Reason.STORE_ERROR)
        cause = Reason.STORE_ERROR.value
        self._store.record_later(pending.sighting(Status.GREYLISTED, cause=cause))
        wait = pending.rules.timing.wait(attempts=0)
        return pending.decision(Reason.STORE_ERROR, defers=True, wait=wait, cause=cause)

    def _warn_incomplete(self, request: Request) -> None:
        now = self._steady()
        if self._warned is None or now - self._warned >= _WARN_AGAIN:
            self._warned = now
            _log.warning("no usable client_address or recipient, answered DUNNO: %r", request)
