"""The relations of mail: learned from what passes, from what is deferred, and from what our own users send."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from bley.core.caches import ExpiringCache
from bley.core.decision import Decision
from bley.core.evidence import NO_EVIDENCE, Evidence, Finding
from bley.core.findings import Check, FindingKind
from bley.core.greylist import Sighting, Status
from bley.core.mail import Request, Triplet, parse_address
from bley.core.relations import ONE_AN_HOUR, Relation, correspondent_key, find_relation, find_waited, status_of_pair
from bley.ports import Clock, Store
from bley.service.known_mail import REFRESH
from bley.service.pending_request import PendingRequest
from bley.service.rule_set import RuleSet

__all__ = ["Relations"]

_MOST_LEARNED = 20_000
"""Keys that were written to the store in the last hour, and are not written again: some 200 bytes each, 4 MB."""

_MOST_OF_A_USER = 1000
"""New correspondents of one user that a process learns in a day, 200 KB in the store; a stolen password writes more."""

_MOST_USERS = 10_000
"""Users that are counted for this in a day: some 150 bytes each, 1.5 MB. Nothing is learned from further ones."""

_A_DAY = timedelta(days=1)


class Relations:
    """Learns relations, and lets mail pass because of them."""

    def __init__(self, store: Store, steady: Clock) -> None:
        self._store, self._steady = store, steady
        self._learned = ExpiringCache[str, bool](REFRESH, _MOST_LEARNED)
        """By key, as one text: a triplet of texts would take 130 bytes more."""
        self._correspondents = Counter[str]()
        """The number of correspondents that each user got since `_since`."""
        self._since: datetime | None = None

    def clear(self) -> None:
        """Forget what was written lately, since records were removed from the store."""
        self._learned.clear()

    async def decide(self, pending: PendingRequest) -> Decision | PendingRequest:
        """Return the decision about mail that a relation lets pass. Otherwise return the request.

        If SPF and domain lists were queried for that, the request has checks for the rest of its time, which know SPF.
        """
        rules, keys, found, now = pending.rules, pending.relation_keys, pending.relations, pending.now
        if not found:
            return pending
        if relation := find_relation(keys, found, rules.relations, rules.timing, now):
            spf, pending = await pending.with_spf()
            if spf.kind is FindingKind.SPF_FAIL:
                return pending
            is_listed, checks = await pending.rules.checks.check_domains(pending.request, pending.address)
            pending = pending._replace(rules=replace(pending.rules, checks=checks))
            return pending if is_listed else _decision(pending, relation, spf)
        return await self.decide_by_spf(pending)

    async def decide_by_spf(self, pending: PendingRequest) -> Decision | PendingRequest:
        """Do the same for mail that waited under another client, if SPF permits both clients."""
        timing = pending.rules.timing
        waited = find_waited(pending.relation_keys, pending.relations, str(pending.address), timing, pending.now)
        other = parse_address(waited.record.cause) if waited else None
        if not (waited and other):
            return pending
        spf, pending = await pending.with_spf()
        if not spf.is_pass:
            return pending
        of_other, _ = await pending.rules.checks.check_spf(pending.request._replace(client_address=str(other)), other)
        return _decision(pending, waited, spf) if of_other.is_pass else pending

    def learn_passing(self, pending: PendingRequest, *, waited: bool = False) -> None:
        """Learn from mail that passes: its pair, and with `waited` that a deferral of its origin came back."""
        keys, found, now = pending.relation_keys, pending.relations, pending.now
        if keys.pair:
            self._learn(pending, keys.pair, status_of_pair(keys.pair, found, now, waited=waited), is_new=waited)
        if not keys.client:
            return
        client = found.get(keys.client)
        if waited and (client is None or now - client.last_seen >= ONE_AN_HOUR):
            self._store.record_later(_sighting(pending, keys.client, Status.CLIENT)._replace(attempts=1))
        elif client and client.attempts >= pending.rules.relations.auto_known:
            self._learn(pending, keys.client, Status.CLIENT)

    def learn_deferral(self, pending: PendingRequest) -> None:
        """Learn the client from which mail was deferred, since the retry may come from another one of the same pool."""
        if pool := pending.relation_keys.pool:
            self._store.record_later(_sighting(pending, pool, Status.POOL, str(pending.address)))

    def learn_correspondent(self, request: Request, rules: RuleSet, now: datetime) -> None:
        """Learn that one of our users, who has logged in, writes to the recipient of the request."""
        correspondent, user = rules.triplets.sender(request.recipient), rules.triplets.recipient(request.sender)
        if not (rules.relations.correspondents and correspondent and user):
            return
        key = correspondent_key(correspondent, user)
        if not self._is_learned(key) and self._may_learn_from(request.sasl_username):
            self._store.record_later(Sighting(key, Status.CORRESPONDENT, now, rules.timing.lifetimes))

    def _may_learn_from(self, user: str) -> bool:
        """Count a correspondent of the user; return whether they are few enough today."""
        now = self._steady()
        if self._since is None or now - self._since >= _A_DAY:
            self._correspondents.clear()
            self._since = now
        if user not in self._correspondents and len(self._correspondents) >= _MOST_USERS:
            return False
        self._correspondents[user] += 1
        return self._correspondents[user] <= _MOST_OF_A_USER

    def _learn(self, pending: PendingRequest, key: Triplet, status: Status, *, is_new: bool = False) -> None:
        stored = pending.relations.get(key)
        is_stored = stored is not None and stored.status is status and pending.now - stored.last_seen < REFRESH
        if is_new or not (is_stored or self._is_learned(key)):
            self._store.record_later(_sighting(pending, key, status))

    def _is_learned(self, key: Triplet) -> bool:
        """Return whether the relation was recorded in the last hour; if not, it is now."""
        text, now = "\n".join(key), self._steady()
        if self._learned.get(text, now):
            return True
        self._learned.put(text, True, now)
        return False


def _sighting(pending: PendingRequest, key: Triplet, status: Status, cause: str = "") -> Sighting:
    return Sighting(key, status, pending.now, pending.rules.timing.lifetimes, cause=cause)


def _decision(pending: PendingRequest, relation: Relation, spf: Finding) -> Decision:
    evidence: Evidence = {Check.SPF: spf} if spf.score is not None else NO_EVIDENCE
    return pending.decision(relation.reason, evidence=evidence, relation=relation.says)
