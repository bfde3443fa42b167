"""The comparison of stored decisions with what new settings would decide, by counts and examples.

Decisions are added from the newest to the oldest. So the retries of a mail are known before its first attempt, which
has the evidence; they follow from its judgement. Memory has a number for each triplet that came again, some 100 bytes.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from bley.commands.replay.judge import NewJudge, NewJudgement, wait_left
from bley.core.findings import JUDGED
from bley.core.history.search import StoredDecision
from bley.core.reasons import Reason

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
        self._waiting: defaultdict[str, list[tuple[StoredDecision, NewJudgement | None, _Repeats]]] = defaultdict(list)
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
                self._judged_client(decision, NewJudgement(Reason.WAITED))
        repeats.retries[_change(decision, new)] += 1

    def _add_first(self, decision: StoredDecision, repeats: _Repeats) -> None:
        self.first_attempts += 1
        pending = self._judge.pending(decision)
        if isinstance(pending, NewJudgement):
            self._judged(decision, pending, repeats)
            return
        if repeats.waited_under and repeats.waited_under != pending.triplet.client:
            self.restarted += 1
        if pending.rules.settings.classic and decision.reason not in _EXEMPT:
            self._judged(decision, NewJudgement(Reason.CLASSIC, defers=True), repeats)
        elif decision.reason in JUDGED:
            new = self._judge.judge(pending, decision)
            self._judged(decision, new, repeats)
            self._judged_client(decision, new)
        elif decision.reason in _OF_CLIENT and self._number_waiting < _MOST_WAITING:
            self._waiting[_client(decision)].append((decision, None, repeats))
            self._number_waiting += 1
        else:
            self._not_judged(decision, repeats)

    def _judged_client(self, source: StoredDecision, new: NewJudgement) -> None:
        """Judge the mails that got the judgement of their client: this one, if its verdict was theirs."""
        waiting = self._waiting.pop(_client(source), [])
        self._number_waiting -= len(waiting)
        for decision, _, repeats in waiting:
            if decision.at - source.at > _CLIENTS_WINDOW:
                self._not_judged(decision, repeats)
            elif decision.defers != source.defers:
                self._waiting[_client(source)].append((decision, None, repeats))
                self._number_waiting += 1
            else:
                reason = Reason.CLIENT_BAD if new.defers else Reason.CLIENT_GOOD
                self._judged(decision, new._replace(reason=reason), repeats)

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
        """Count the retries; `passes`: the first attempt passes, so that all later ones are known."""
        for change, number in repeats.retries.items():
            known = change._replace(now=Reason.KNOWN.value, defers_now=False) if passes else change
            self.changes[known] += number

    def _count(self, decision: StoredDecision, new: NewJudgement, *, came_again: bool = False) -> None:
        change = _change(decision, new)
        self.changes[change] += 1
        self.came_back[change] += came_again

    def finish(self) -> None:
        """Count what waits for older decisions, which are not there."""
        for waiting in self._waiting.values():
            for decision, _, repeats in waiting:
                self._not_judged(decision, repeats)
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


def _client(decision: StoredDecision) -> str:
    """Return the key of a client's judgement on one node, for one section."""
    client = decision.triplet.client if decision.triplet else decision.client_address
    return f"{decision.node}\n{decision.details.get('section', '')}\n{client}"
