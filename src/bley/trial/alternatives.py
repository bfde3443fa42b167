"""The mail that other settings would have delayed: each is a row next to the judgement in force.

The evidence about a stranger is gathered once and judged by the thresholds of each row. Which mail is a stranger's is
taken from the judgement in force, whose records the rows share: whatever the verdict, mail is known after its first
wait. Only `greylist_by` changes which mail is a stranger's, so its rows have a table of triplets of their own.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from bley.core.decision import Decision
from bley.core.evidence import Evidence
from bley.core.greylist import Standing, Status
from bley.core.mail import Address
from bley.core.names.host_kind import server_domain
from bley.core.policy import judge
from bley.core.reasons import Reason
from bley.core.scores import BLEY2, DEFAULT, Scores
from bley.core.triplet import TripletRules
from bley.settings.file import Configuration
from bley.settings.settings import Settings
from bley.trial.facts import SPAM
from bley.trial.memory import HashTable, hashed

__all__ = ["Alternatives", "Row"]

_MOST_RECENT = 100_000
"""Strangers whose wait may go on, and clients judged lately: some 200 bytes each."""

GatherBy = Callable[[Scores], Evidence]
"""Gathers the evidence about the present mail by other scores."""


class Row(NamedTuple):
    """A row of the table: the settings, and how many mails of each label they delay."""

    settings: str
    delayed: Counter[str]


@dataclass(slots=True)
class _Stranger:
    """A stranger whose wait may go on: its first and last attempt, early retries, and the rows that deferred it."""

    first: int
    last: int
    bits: int
    attempts: int = 0


class Alternatives:
    """The rows, counted mail by mail."""

    def __init__(self, configuration: Configuration) -> None:
        settings = configuration.settings
        self.rows = [Row(text, Counter()) for text, _ in _changes(settings)]
        self._judges = [
            _Judge(configuration.overridden(change), _is_classic(change)) for _, change in _changes(settings)
        ]
        self._cache_seconds = settings.cache_valid.total_seconds()
        self._strangers: dict[int, _Stranger] = {}
        self._clients: dict[int, tuple[int, int]] = {}
        """The rows that would have deferred each client that was judged lately, and when."""
        self._others = [_OtherClients(configuration, by) for by in _other_clients(settings)]
        self.rows += [other.row for other in self._others]

    def count(self, decision: Decision, address: Address, at: int, label: str, gather_by: GatherBy) -> None:
        """Count a mail that was judged by the settings in force."""
        if decision.triplet is None or decision.reason in _UNTOUCHED:
            return
        self.trust(decision, address, at)
        bits = self._bits(decision, at, gather_by) & ~1 | decision.defers
        for number, row in enumerate(self.rows[: len(self._judges)]):
            row.delayed[label] += bits >> number & 1
        for other in self._others:
            other.count(decision, address, at, label, gather_by)

    def trust(self, decision: Decision, address: Address, at: int) -> None:
        """Take note that a mail waited, so that its client is judged good for the next minute."""
        if decision.reason is Reason.WAITED and decision.triplet:
            _put(self._clients, hashed(decision.section, decision.triplet.client), (0, at))
            for other in self._others:
                other.trust(decision, address, at)

    def _bits(self, decision: Decision, at: int, gather_by: GatherBy) -> int:
        """Return the rows that delay the mail, as bits."""
        assert decision.triplet is not None
        key, client = hashed(*decision.triplet), hashed(decision.section, decision.triplet.client)
        if decision.standing in (Standing.KNOWN, Standing.WAITED, Standing.EARLY):
            return self._bits_of_known(key, decision, at)
        if decision.reason in (Reason.CLIENT_GOOD, Reason.CLIENT_BAD) and client in self._clients:
            bits = self._clients[client][0]
        else:
            bits = sum((1 << number) * each.defers(decision, gather_by) for number, each in enumerate(self._judges))
            _put(self._clients, client, (bits, at))
        for number, each in enumerate(self._judges):
            bits |= each.is_classic << number
        if bits:
            _put(self._strangers, key, _Stranger(at, at, bits))
        return bits

    def _bits_of_known(self, key: int, decision: Decision, at: int) -> int:
        """Return the rows in which the wait of this mail's triplet goes on."""
        stranger = self._strangers.get(key)
        if stranger is None:
            return 0
        timing = self._judges[0].timing_of(decision.section)
        if at - stranger.first > timing.wait(stranger.attempts).total_seconds():
            del self._strangers[key]
            return 0
        stranger.attempts += at - stranger.last >= self._cache_seconds
        stranger.last = at
        return stranger.bits


_UNTOUCHED = frozenset({
    Reason.AUTHENTICATED, Reason.TRUSTED_NETWORK, Reason.EXEMPT_CLIENT, Reason.EXEMPT_RECIPIENT, Reason.EXEMPT_SENDER,
    Reason.OFF, Reason.INCOMPLETE, Reason.NOT_RCPT,
})  # fmt: skip
"""The reasons of mail that no row delays."""


class _Judge:
    """The judgement of a stranger by the settings of a row; those of a section take precedence, as in the daemon."""

    def __init__(self, configuration: Configuration, is_classic: bool) -> None:
        names = ("", *(section.name for section in configuration.sections))
        self._settings = {name: configuration.settings_of(name) for name in names}
        self.is_classic = is_classic

    def defers(self, decision: Decision, gather_by: GatherBy) -> bool:
        """Return whether a stranger's mail is deferred."""
        settings = self._settings[decision.section]
        if settings.classic:
            return True
        return judge(gather_by(settings.scores), settings.thresholds).status is Status.GREYLISTED

    def timing_of(self, section: str) -> Any:
        """Return the durations in force for the recipients of the section."""
        return self._settings[section].timing


class _OtherClients:
    """A row with another `greylist_by`, and its triplets: of each until when it waits or is known."""

    def __init__(self, configuration: Configuration, by: Any) -> None:
        self.row = Row(f"greylist_by = {by}", Counter())
        self._rules: TripletRules = replace(configuration.triplet_rules, greylist_by=by)
        self._judge = _Judge(configuration, is_classic=False)
        self._cache_seconds = configuration.settings.cache_valid.total_seconds()
        self._table = HashTable(2)
        self._clients: dict[int, tuple[int, int]] = {}

    def _keys(self, decision: Decision, address: Address) -> tuple[int, int]:
        """Return the keys of the triplet and of the client that was judged."""
        assert decision.triplet is not None
        domain = ""
        if self._rules.greylist_by == "smart":
            domain = server_domain(decision.verified_name or decision.request.verified_name, address)
        client = self._rules.client(address, domain)
        return hashed(client, *decision.triplet[1:]), hashed(decision.section, client)

    def trust(self, decision: Decision, address: Address, at: int) -> None:
        """Take note that a mail waited, if it did so in this row too."""
        self._table.now = at
        key, client = self._keys(decision, address)
        row = self._table.row(key)
        if row is not None and 0 < row[1] <= at:
            self._pass_waited(key, client, decision, at)

    def _pass_waited(self, key: int, client: int, decision: Decision, at: int) -> None:
        self._table.put(key, at + self._seconds_known(decision), 0)
        _put(self._clients, client, (0, at))

    def _seconds_known(self, decision: Decision) -> int:
        return int(self._judge.timing_of(decision.section).lifetimes.known.total_seconds())

    def count(self, decision: Decision, address: Address, at: int, label: str, gather_by: GatherBy) -> None:
        """Count a mail."""
        self._table.now = at
        key, client = self._keys(decision, address)
        row = self._table.row(key)
        if row is None:
            self.row.delayed[label] += self._judge_stranger(key, client, decision, at, label, gather_by)
        elif at < row[1]:
            self.row.delayed[label] += 1
        elif row[1]:
            self._pass_waited(key, client, decision, at)
        else:
            self._table.put(key, at + self._seconds_known(decision), 0)

    def _judge_stranger(
        self, key: int, client: int, decision: Decision, at: int, label: str, gather_by: GatherBy
    ) -> bool:
        """Return whether a stranger's mail is deferred, and store that."""
        judged, timing = self._clients.get(client), self._judge.timing_of(decision.section)
        if judged and at - judged[1] < self._cache_seconds:
            defers = bool(judged[0])
        else:
            defers = self._judge.defers(decision, gather_by)
            _put(self._clients, client, (int(defers), at))
        lifetime = timing.lifetimes.greylisted if defers and label == SPAM else timing.lifetimes.known
        until = at + int(timing.wait(0).total_seconds()) if defers else 0
        self._table.put(key, at + int(lifetime.total_seconds()), until)
        return defers


def _put(entries: dict[int, Any], key: int, value: Any) -> None:
    """Store the value as the newest; drop the oldest one of too many."""
    entries.pop(key, None)
    entries[key] = value
    if len(entries) > _MOST_RECENT:
        del entries[next(iter(entries))]


def _changes(settings: Settings) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the rows that judge the same evidence otherwise: their text, and the changed settings."""
    yield "as set", {}
    if settings.rfc_threshold > 1:
        yield f"rfc_threshold = {settings.rfc_threshold - 1}", {"rfc_threshold": settings.rfc_threshold - 1}
    yield f"rfc_threshold = {settings.rfc_threshold + 1}", {"rfc_threshold": settings.rfc_threshold + 1}
    for scores in (DEFAULT, BLEY2):
        if scores != settings.scores:
            yield f"scores = {scores}", {"scores": scores}
    classic = not settings.classic
    yield f"classic = {classic:d}", {"classic": classic}


def _is_classic(change: dict[str, object]) -> bool:
    return change.get("classic") is True


def _other_clients(settings: Settings) -> list[str]:
    return [by for by in ("smart", "network", "address") if by != settings.greylist_by]
