"""The comparison of stored decisions with what new settings would decide, by counts and examples.

Decisions are added from the newest to the oldest. So the retries of a mail are known before its first attempt, which
has the evidence; they follow from its judgement. Memory has a number for each triplet that came again, some 100 bytes.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from bley.checks.queried_domains import queried_domains
from bley.commands.replay.facts import StoredFacts
from bley.commands.replay.judge import NewJudge, NewJudgement, wait_left
from bley.core.findings import JUDGED, Check
from bley.core.history.search import StoredDecision
from bley.core.reasons import OF_DOMAINS, Reason
from bley.service.pending_request import PendingRequest

__all__ = ["Change", "Example", "Tally"]

MOST_EXAMPLES = 10

_CLIENTS_WINDOW = timedelta(hours=1)
"""The time before a `client-bad` or `client-good` in which the judgement of its client is looked for."""
_MOST_WAITING = 20_000
"""The decisions that wait for that judgement, 60 MB; more are not judged again."""

_DELAYED = (Reason.WAITED, Reason.EARLY)
_UNTOUCHED = frozenset([Reason.NOT_RCPT, Reason.INCOMPLETE, Reason.AUTHENTICATED])
_EXEMPT = frozenset(
    [Reason.EXEMPT_CLIENT, Reason.EXEMPT_RECIPIENT, Reason.EXEMPT_SENDER, Reason.TRUSTED_NETWORK, Reason.OFF]
)
_OF_CLIENT = frozenset([Reason.CLIENT_GOOD, Reason.CLIENT_BAD])


class Change(NamedTuple):
    """A verdict then and by the new settings, each with its reason."""

    then: str
    deferred_then: bool
    now: str
    defers_now: bool

    @property
    def matters(self) -> bool:
        """Whether the verdict changes, or the delay of the mail."""
        has_other_delay = self.then != self.now and not {self.then, self.now}.isdisjoint(_DELAYED)
        return self.deferred_then != self.defers_now or has_other_delay


class Example(NamedTuple):
    """A decision that changes."""

    decision: StoredDecision
    new: NewJudgement
    came_again: bool


@dataclass(slots=True)
class _Repeats:
    """The later decisions about a triplet, so far."""

    known: int = 0
    retries: Counter[Change] = field(default_factory=Counter)
    waited_under: str = ""
    """The client of the triplet, by the new settings, with which it passed after its wait."""


class _OfClient(NamedTuple):
    """A decision by the judgement that its client got for another mail."""

    decision: StoredDecision
    pending: PendingRequest
    repeats: _Repeats


@dataclass(slots=True)
class Group:
    """First attempts whose verdict changes the same way."""

    number: int = 0
    came_again: int = 0
    """Those whose triplet came again later: deferred mail that passed after its wait, or known mail."""
    trusted: int = 0
    """Those that a DNS allowlist trusted then, and did not come again."""
    came: list[Example] = field(default_factory=list)
    others: list[Example] = field(default_factory=list)

    def add(self, example: Example) -> None:
        """Count it, and keep it if there are few of its kind."""
        self.number += 1
        self.came_again += example.came_again
        self.trusted += not example.came_again and example.decision.reason == Reason.TRUSTED
        kept = self.came if example.came_again else self.others
        if len(kept) < MOST_EXAMPLES:
            kept.append(example)

    @property
    def examples(self) -> list[Example]:
        """Some of them, half of which came again if there are enough of each kind."""
        half = MOST_EXAMPLES // 2
        others = self.others[: max(MOST_EXAMPLES - len(self.came), half)]
        return [*self.came[: MOST_EXAMPLES - len(others)], *others]


class Tally:
    """All counts of a replay."""

    def __init__(self, judge: NewJudge) -> None:
        self._judge = judge
        self.read = 0
        self.changes = Counter[Change]()
        """First attempts and retries, of changed and of equal verdict."""
        self.came_back = Counter[Change]()
        """The part of the first attempts that came again."""
        self.first_attempts = 0
        self.newly_deferred, self.newly_passing, self.open = Group(), Group(), Group()
        self.missing = Counter[str]()
        """The facts that the open ones lack."""
        self.not_judged = Counter[str]()
        """By the reason then."""
        self.restarted = 0
        """Retries that would be those of another triplet."""
        self._repeats = dict[int, _Repeats]()
        self._known = dict[int, int]()
        self._waiting: defaultdict[str, list[_OfClient]] = defaultdict(list)
        self._number_waiting = 0

    def add(self, decision: StoredDecision) -> None:
        """Add the next older decision."""
        if decision.reason == Reason.RELEASED:
            return
        self.read += 1
        key = hash(decision.triplet or (decision.client_address, decision.sender, decision.recipient))
        if decision.reason == Reason.KNOWN:
            self._known[key] = self._known.get(key, 0) + 1
            self._count(decision, NewJudgement(Reason.KNOWN))
        elif decision.reason in _DELAYED:
            self._add_retry(key, decision)
        elif decision.reason in _UNTOUCHED:
            self._count(decision, NewJudgement(decision.reason))
        else:
            repeats = self._repeats.pop(key, None) or _Repeats()
            repeats.known = self._known.pop(key, 0)
            self._add_first(decision, repeats)

    def _add_retry(self, key: int, decision: StoredDecision) -> None:
        """Keep a retry until the first attempt; it has its own judgement if the mail is still deferred then."""
        repeats = self._repeats.setdefault(key, _Repeats())
        pending = self._judge.pending(decision)
        if isinstance(pending, NewJudgement):
            new = pending
        else:
            left = wait_left(pending, decision)
            is_early = decision.defers if left is None else left >= timedelta(0)
            new = NewJudgement(Reason.EARLY if is_early else Reason.WAITED, defers=is_early)
            if decision.reason == Reason.WAITED:
                repeats.waited_under = pending.triplet.client
                self._judged_client(decision, pending, NewJudgement(Reason.WAITED))
        repeats.retries[_change(decision, new)] += 1

    def _add_first(self, decision: StoredDecision, repeats: _Repeats) -> None:
        self.first_attempts += 1
        pending = self._judge.pending(decision)
        if isinstance(pending, NewJudgement):
            self._judged(decision, pending, repeats)
            if decision.reason in JUDGED:
                self._judged_client(decision, None, pending)
            return
        if repeats.waited_under and repeats.waited_under != pending.triplet.client:
            self.restarted += 1
        if pending.rules.settings.classic and decision.reason not in _EXEMPT:
            self._judged(decision, NewJudgement(Reason.CLASSIC, defers=True), repeats)
        elif decision.reason in JUDGED:
            new = self._judge.judge(pending, decision)
            self._judged(decision, new, repeats)
            self._judged_client(decision, pending, new)
        elif decision.reason in _OF_CLIENT and self._number_waiting < _MOST_WAITING:
            self._waiting[_client(decision)].append(_OfClient(decision, pending, repeats))
            self._number_waiting += 1
        else:
            self._not_judged(decision, repeats)

    def _judged_client(self, source: StoredDecision, pending: PendingRequest | None, new: NewJudgement) -> None:
        """Judge the mails that got the judgement of their client by this decision, if its verdict was theirs.

        `pending`: the rules of this decision; None: the client is not judged by it any more.
        """
        waiting = self._waiting.pop(_client(source), [])
        self._number_waiting -= len(waiting)
        for each in waiting:
            if each.decision.at - source.at > _CLIENTS_WINDOW:
                self._not_judged(each.decision, each.repeats)
            elif each.decision.defers != source.defers or not self._covers(source, each):
                self._waiting[_client(source)].append(each)
                self._number_waiting += 1
            elif pending and self._covers_now(pending, new, each):
                reason = Reason.CLIENT_BAD if new.defers else Reason.CLIENT_GOOD
                self._judged(each.decision, new._replace(reason=reason), each.repeats)
            else:
                self._judge_by_itself(each, source)

    @staticmethod
    def _covers(source: StoredDecision, each: _OfClient) -> bool:
        """Return whether the judgement was that of the client then, or else of the same domains."""
        is_of_domains = source.reason in OF_DOMAINS
        is_of_domains |= not source.defers and Check.DOMAIN_LIST in source.details.get("findings", {})
        return not is_of_domains or _domains(source) == _domains(each.decision)

    @staticmethod
    def _covers_now(pending: PendingRequest, new: NewJudgement, each: _OfClient) -> bool:
        """Return whether the new judgement is that of the client for this mail too."""
        if pending.rules.section != each.pending.rules.section:
            return False
        return new.reason not in OF_DOMAINS or pending.judged_with_domains == each.pending.judged_with_domains

    def _judge_by_itself(self, each: _OfClient, source: StoredDecision) -> None:
        """Judge a mail whose client has no judgement for it any more, by what the DNS answered about the client."""
        if source.client_address != each.decision.client_address or source.reason not in JUDGED:
            self._not_judged(each.decision, each.repeats)
            return
        findings, others = source.details.get("findings", {}), {Check.SPF.value}
        if _domains(source) != _domains(each.decision):
            others.add(Check.DOMAIN_LIST.value)
        of_client = {name: found for name, found in findings.items() if name not in others}
        details = {**each.decision.details, "findings": of_client}
        if name := source.details.get("verified_name"):
            details["verified_name"] = name
        new = self._judge.judge(each.pending, each.decision._replace(details=details))
        self._judged(each.decision, new, each.repeats)

    def _judged(self, decision: StoredDecision, new: NewJudgement, repeats: _Repeats) -> None:
        came_back = any(change.then == Reason.WAITED for change in repeats.retries)
        came_again = came_back or repeats.known > 0
        example = Example(decision, new, came_again)
        if new.missing:
            self.open.add(example)
            self.missing.update(new.missing)
        else:
            self._count(decision, new, came_again=came_again)
            if new.defers != decision.defers:
                (self.newly_deferred if new.defers else self.newly_passing).add(example)
        self._add_retries(repeats, passes=not new.defers and not new.missing)

    def _not_judged(self, decision: StoredDecision, repeats: _Repeats) -> None:
        self.not_judged[decision.reason] += 1
        self._add_retries(repeats, passes=False)

    def _add_retries(self, repeats: _Repeats, *, passes: bool) -> None:
        """Count the retries; `passes`: the first attempt passes, so that the records make all later ones known."""
        for change, number in repeats.retries.items():
            is_known = passes and change.now in _DELAYED
            known = change._replace(now=Reason.KNOWN.value, defers_now=False) if is_known else change
            self.changes[known] += number

    def _count(self, decision: StoredDecision, new: NewJudgement, *, came_again: bool = False) -> None:
        change = _change(decision, new)
        self.changes[change] += 1
        self.came_back[change] += came_again

    def finish(self) -> None:
        """Count what waits for older decisions, which are not there."""
        for waiting in self._waiting.values():
            for each in waiting:
                self._not_judged(each.decision, each.repeats)
        for repeats in self._repeats.values():
            self._add_retries(repeats, passes=False)
        self._waiting.clear()
        self._repeats.clear()

    @property
    def changed(self) -> Mapping[Change, int]:
        """The changes whose verdict or reason differs, the most frequent first."""
        return {each: number for each, number in self.changes.most_common() if each[:2] != each[2:]}


def _change(decision: StoredDecision, new: NewJudgement) -> Change:
    return Change(decision.reason, decision.defers, new.reason, new.defers)


def _domains(decision: StoredDecision) -> Sequence[str]:
    """Return the domains that domain lists are queried about."""
    return queried_domains(StoredFacts(decision, checks_names=True).request)


def _client(decision: StoredDecision) -> str:
    """Return the key of a client's judgement on one node, for one section."""
    client = decision.triplet.client if decision.triplet else decision.client_address
    return f"{decision.node}\n{decision.details.get('section', '')}\n{client}"
