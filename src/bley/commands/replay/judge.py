"""The judgement of a stored decision by other settings: steps 4, 8 and 9, with the daemon's own functions."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from typing import Any, NamedTuple

from bley.checks.gather import Gathered
from bley.checks.helo import OwnIdentity
from bley.checks.names import NOT_QUERIED
from bley.checks.request import check_request
from bley.commands.replay.facts import LISTS, ListScore, StoredFacts, list_key
from bley.core.address_scope import local_scope
from bley.core.dnslists.lists import DnsList
from bley.core.evidence import Evidence, Finding, found
from bley.core.findings import AnyCheck, Check, FindingKind
from bley.core.greylist import Status
from bley.core.history.search import StoredDecision
from bley.core.mail import Address, Request, parse_address
from bley.core.policy import Judgement, Thresholds, judge, spf_can_tip
from bley.core.reasons import Reason
from bley.core.scores import Scores
from bley.service.actions import Actions
from bley.service.pending_request import PendingRequest, find_entry
from bley.service.rule_set import RuleSet, make_rule_set
from bley.settings.file import Configuration

__all__ = ["NewJudge", "NewJudgement", "wait_left"]

SPF, NAMES = "SPF", "the client's name"
"""Facts that may be missing, besides the answers of DNS lists."""

_POSSIBLE_SPF = (Finding(0, ""), found(FindingKind.SPF_FAIL, ""), found(FindingKind.SPF_NO_PASS, ""))


class NewJudgement(NamedTuple):
    """The decision that the new settings make."""

    reason: str
    defers: bool = False
    missing: tuple[str, ...] = ()
    """Facts that were not queried then, and could change the verdict."""


class _NoChecks:
    """Checks for a rule set that queries nothing."""

    async def gather(self, request: Request, address: Address) -> Gathered:
        raise NotImplementedError

    async def check_spf(self, request: Request, address: Address) -> Any:
        raise NotImplementedError

    async def check_domains(self, request: Request, address: Address) -> Any:
        raise NotImplementedError

    async def explain(self, evidence: Evidence, address: Address) -> Evidence:
        raise NotImplementedError

    def judging_by(self, thresholds: Thresholds, scores: Scores) -> "_NoChecks":
        return self


class NewJudge:
    """Judges stored decisions by a configuration. `queried`: the keys of the DNS lists that were queried then."""

    def __init__(self, configuration: Configuration, hostname: str, queried: frozenset[str]) -> None:
        settings = configuration.settings
        self._queried = queried
        self._rules: RuleSet = make_rule_set(configuration, _NoChecks(), Actions(settings, hostname))
        self._hostname, self._node = hostname, settings.node_name

    def pending(self, stored: StoredDecision) -> PendingRequest | NewJudgement:
        """Return the request with the rules of its recipient, or the decision of steps 1 to 4."""
        address = parse_address(stored.client_address)
        if address is None:
            return NewJudgement(Reason.INCOMPLETE)
        if self._rules.trusted.find_network(address):
            return NewJudgement(Reason.TRUSTED_NETWORK)
        request = StoredFacts(stored, self._rules.settings.check_names).request
        pending = PendingRequest.of(request, address, stored.at, self._rules)
        if exemption := pending.exemption():
            return NewJudgement(exemption.reason.value)
        pending = pending.in_section()
        return NewJudgement(Reason.OFF) if pending.rules.settings.mode == "off" else pending

    def judge(self, pending: PendingRequest, stored: StoredDecision) -> NewJudgement:
        """Judge a stranger by the stored facts."""
        if pending.rules.settings.classic:
            return NewJudgement(Reason.CLASSIC, defers=True)
        facts = StoredFacts(stored, pending.rules.settings.check_names)
        entry = self._entry_if_spf_passes(pending)
        spf = facts.spf(counts=False)
        if entry and spf and spf.detail.startswith("pass"):
            return NewJudgement(Reason.EXEMPT_SENDER)
        new = _Judging(self, pending, facts).result()
        if entry and spf is None and new.defers:
            return new._replace(missing=(*new.missing, SPF) if SPF not in new.missing else new.missing)
        return new

    @staticmethod
    def _entry_if_spf_passes(pending: PendingRequest) -> str | None:
        sender = pending.request.sender
        clear = pending.rules.settings.triplet_rules.sender(sender)
        return find_entry(pending.rules.configuration.senders.if_spf_passes, sender, clear)

    def check(self, pending: PendingRequest, facts: StoredFacts, *, worst_names: bool) -> dict[AnyCheck, Finding]:
        """Return the findings about the request itself; with `worst_names`, missing names count as none."""
        names = NOT_QUERIED if worst_names else facts.names
        scores = pending.rules.settings.scores
        us = OwnIdentity(facts.own_name(self._hostname, self._node), self._rules.settings.trusted_networks)
        return check_request(facts.request, pending.address, us, scores, names)

    def could_answer(self, score: ListScore) -> list[DnsList]:
        """Return the lists that were queried then in general, but did not answer about this client."""
        missing = ((list_key(each.name, of_domains=each.is_of_domains), each) for each in score.missing)
        return [each for key, each in missing if key in self._queried]


class _Judging:
    """The judgement of one decision, for each possible value of what is missing."""

    def __init__(self, judge: NewJudge, pending: PendingRequest, facts: StoredFacts) -> None:
        self._judge, self._pending, self._facts = judge, pending, facts
        self._settings = settings = pending.rules.settings
        of_settings = zip(LISTS, (settings.dnsbls, settings.domain_lists, settings.dnswls), strict=True)
        self._lists = {check: facts.list_score(check, lists) for check, lists in of_settings if lists}
        self._spf = facts.spf(counts=self._settings.use_spf)

    def result(self) -> NewJudgement:
        """Return the judgement that counts missing facts 0, with those that could change its verdict."""
        found = self._judge.check(self._pending, self._facts, worst_names=False)
        thresholds = self._pending.rules.thresholds
        lists: Evidence = {check: score.finding() for check, score in self._lists.items()}
        base = judge({**found, **lists, **self._counted(self._spf)}, thresholds)
        missing = [each.name for score in self._lists.values() for each in self._judge.could_answer(score)]
        missing += [NAMES] if self._facts.lacks_names else []
        missing += [SPF] if self._lacks_spf(found) else []
        is_open = missing and len({_defers(each) for each in self._possible()} | {_defers(base)}) > 1
        return NewJudgement(base.reason.value, _defers(base), tuple(missing) if is_open else ())

    def _possible(self) -> Iterator[Judgement]:
        """Yield the judgement for each combination of the least and the greatest value of each missing fact."""
        for worst_names in (False, True) if self._facts.lacks_names else (False,):
            found = self._judge.check(self._pending, self._facts, worst_names=worst_names)
            results = _POSSIBLE_SPF if self._lacks_spf(found) else (self._spf,)
            for more in product(*map(self._extremes, self._lists.values())):
                scored = zip(self._lists.items(), more, strict=True)
                lists: Evidence = {check: score.finding(missing) for (check, score), missing in scored}
                for spf in results:
                    yield judge({**found, **lists, **self._counted(spf)}, self._pending.rules.thresholds)

    def _extremes(self, score: ListScore) -> list[int]:
        """Return the least and the most that the missing lists count, and 0."""
        missing = self._judge.could_answer(score)
        return sorted({0, sum(each.least for each in missing), sum(each.most for each in missing)})

    def _counted(self, spf: Finding | None) -> Evidence:
        return {Check.SPF: self._settings.scores.counted(spf)} if spf else {}

    def _lacks_spf(self, found: Evidence) -> bool:
        """Whether SPF was not checked, and could change the judgement."""
        if self._spf or not self._settings.use_spf or local_scope(self._pending.address):
            return False
        return spf_can_tip(found, self._pending.rules.thresholds, self._settings.scores)


def _defers(judgement: Judgement) -> bool:
    return judgement.status is Status.GREYLISTED


def wait_left(pending: PendingRequest, stored: StoredDecision) -> timedelta | None:
    """Return the time that is left of the wait by the new settings, negative if it is over; None: unknown."""
    first_seen = stored.details.get("first_seen")
    if first_seen is None:
        return None
    wait = pending.rules.timing.wait(stored.details.get("attempts", 0))
    return datetime.fromisoformat(first_seen) + wait - stored.at
