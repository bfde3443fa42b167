"""The history of every engine, on real servers."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from bley.core.decision import Decision, DecisionEntry
from bley.core.errors import StoreError
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check, FindingKind
from bley.core.greylist import Lifetimes, Record, Sighting, Status
from bley.core.history.attempts import FIRST_READ, LAST_READ, Attempts, AttemptsQuery, JudgmentQuery
from bley.core.history.audit import LONGEST_SETTINGS, LONGEST_WHAT, MOST_ENTRIES, AuditEntry, AuditKind
from bley.core.history.delayed_mail import DomainMail
from bley.core.history.exempted import ExemptedCount, Exemption, count_exempted
from bley.core.history.list_counts import LIST_KINDS
from bley.core.history.nodes import NODE_PASSED, figures_by_node, node_keys
from bley.core.history.periods import PERIODS, ComparedCounts
from bley.core.history.record_filter import RecordFilter
from bley.core.history.record_query import RecordQuery
from bley.core.history.search import DecisionQuery, Search
from bley.core.history.statistics import Count, count_keys, figures
from bley.core.mail import Request, Triplet
from bley.core.reasons import Reason
from bley.core.triplet import TripletRules
from bley.store.engine import Marks, counts_per_span
from bley.store.history import History, list_span_of, span_of
from bley.store.opening import open_history
from tests.integration.stores import ENGINES, OpenStore, OpenStores, Places
from tests.searched import ADDRESSES, NASTY, NETWORKS, some_decisions, some_records

_NOW = datetime.now(UTC)
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_NO_TIME = timedelta(0)
_RULES = TripletRules()
_LIFETIMES = Lifetimes()


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(params=ENGINES, loop_scope="module")
async def both(request: pytest.FixtureRequest, stores: OpenStores) -> OpenStore:
    return await stores.empty(request.param)


def _kept(number: int = 1, reason: Reason = Reason.HELO, ago: timedelta = _NO_TIME, **fields: Any) -> DecisionEntry:
    defers = reason in (Reason.HELO, Reason.EARLY)
    request = Request("RCPT", "", f"192.0.2.{number}", "unknown", "friend", "a@example.com", f"{number}@example.org")
    request = request._replace(**fields)
    triplet = Triplet("192.0.2.0/24", request.sender, request.recipient)
    evidence: Evidence = (
        {Check.HELO: Finding(2, "friend is not the client's name", kind=FindingKind.HELO_MISMATCH)} if defers else {}
    )
    delayed = 6 * _MINUTE if reason is Reason.WAITED else None
    decision = Decision(request, reason, defers, triplet, evidence=evidence, delayed=delayed)
    return DecisionEntry(_NOW - ago, "greylist" if defers else "pass", decision, request.sender, request.recipient)


def _spread(kept: Sequence[DecisionEntry]) -> dict[Count, int]:
    minutes = [
        (int(each.at.timestamp()) // 60, *pair) for each in kept for pair in count_keys(each.decision, each.outcome)
    ]
    return counts_per_span({minute: minutes.count(minute) for minute in minutes})


async def _recipients(history: History, query: DecisionQuery, limit: int = 100, before: str = "") -> list[str]:
    found = await history.decisions(query, limit, before)
    return [decision.recipient.partition("@")[0] for decision in found]


_BY_NODE = {"mx1": (Reason.HELO, Reason.EARLY, Reason.WAITED), "mx2": (Reason.CLEAN,)}


class TestCounts:
    @pytest.mark.parametrize("name", PERIODS)
    async def test_each_slot_has_its_own(self, both: OpenStore, name: str) -> None:
        """The current slot, the first one, and those between; nothing older, nothing from a clock that was ahead."""
        period = PERIODS[name]
        first = _NOW - period.since(_NOW)
        ages = [timedelta(0), first, first + _MINUTE, period.length / 2, -timedelta(days=2)]
        await both.engine.add_decisions([], _spread([_kept(ago=age) for age in ages]))
        step = int(period.slot.total_seconds())
        starts = {int((_NOW - age).timestamp()) // step * step for age in ages if timedelta(0) <= age <= first}
        counts = await both.history.counts(period, _NOW)
        assert {count.start for count in counts} == starts
        assert {count.seconds for count in counts} == {step}
        assert figures(counts).deferred == {"helo": 3}

    @pytest.mark.parametrize("name", [name for name in PERIODS if name != "365d"])
    async def test_the_period_before_is_as_long_and_ends_where_this_one_would(self, both: OpenStore, name: str) -> None:
        """The mail of its last slot counts only as far as as much of the present slot has passed."""
        period = PERIODS[name]
        step = timedelta(seconds=span_of(period))
        first, before = period.since(_NOW), period.since(period.before(_NOW))
        assert (first - before, period.before(_NOW)) == (period.length, _NOW - period.length)
        inside = [first, _NOW - _MINUTE]
        earlier = [before, first - period.length / 2, period.before(_NOW) - step]
        outside = [before - step, *([first - step] if period.before(_NOW) + step < first else [])]
        kept = [_kept(ago=_NOW - at) for at in (*inside, *earlier, *outside)]
        await both.engine.add_decisions([], _spread(kept))
        found = await both.history.compared_counts(period, _NOW)
        assert found.before is not None
        assert figures(found.counts) == figures(await both.history.counts(period, _NOW))
        assert (figures(found.counts).requests, figures(found.before).requests) == (2, 3)

    async def test_a_period_before_is_unknown_if_its_beginning_was_not_counted(self, both: OpenStore) -> None:
        period = PERIODS["7d"]
        before = period.since(period.before(_NOW))
        await both.engine.add_decisions([], _spread([_kept(), _kept(ago=_NOW - before - _DAY)]))
        assert (await both.history.compared_counts(period, _NOW)).before is None
        await both.engine.add_decisions([], _spread([_kept(ago=_NOW - before + 100 * _DAY)]))
        found = (await both.history.compared_counts(period, _NOW)).before
        assert found is not None
        assert figures(found).requests == 1
        assert (await both.history.compared_counts(PERIODS["365d"], _NOW)).before is None

    async def test_all_kinds_are_told_apart(self, both: OpenStore) -> None:
        kept = [_kept(), _kept(reason=Reason.CLEAN), _kept(reason=Reason.WAITED), _kept(reason=Reason.WAITED)]
        await both.engine.add_decisions([], _spread(kept))
        found = figures(await both.history.counts(PERIODS["1h"], _NOW))
        assert (found.passed, found.deferred) == ({"waited": 2, "clean": 1}, {"helo": 1})
        assert (found.found, found.delays) == ({"helo-mismatch": 1}, {"600": 2})

    async def test_each_node_has_its_own(self, both: OpenStore) -> None:
        kept = [_kept(reason=reason)._replace(node=node) for node in ("mx1", "mx2") for reason in _BY_NODE[node]]
        keys = [(int(each.at.timestamp()) // 60, *key) for each in kept for key in node_keys(each)]
        await both.engine.add_decisions([], counts_per_span(Counter(keys)))
        found = figures_by_node(await both.history.counts(PERIODS["7d"], _NOW))
        assert {node: (each.requests, each.came_back) for node, each in found.items()} == {"mx1": (3, 1), "mx2": (1, 0)}
        assert (found["mx1"].early_retries, found["mx1"].median_delay_seconds) == (1, 600)
        passed = await both.history.counts(PERIODS["1h"], _NOW, [NODE_PASSED])
        assert {(count.kind, count.name): number for count, number in passed.items()} == {(NODE_PASSED, "mx2"): 1}

    @pytest.mark.parametrize("name", PERIODS)
    async def test_those_of_dns_lists_are_sums_of_the_whole_period(self, both: OpenStore, name: str) -> None:
        """With the start of the first one, from the span in which the period starts.

        None of them is older, or from a clock that was ahead.
        """
        period = PERIODS[name]
        span = list_span_of(period)
        since, now = int(period.since(_NOW).timestamp()), int(_NOW.timestamp())
        first = since // span * span
        long_name = "x" * 240 + ".example"
        minutes = [first // 60 - 1, first // 60, now // 60, (now + span) // 60]
        counted = {(minute, "dnsbl-alone", "bl.example"): 2 for minute in minutes}
        counted |= {(now // 60, "list-ms-50", long_name): 3, (now // 60, "pass", "known"): 5}
        await both.engine.add_decisions([], counts_per_span(counted))
        of_lists = {
            Count(span, first, "dnsbl-alone", "bl.example"): 4,
            Count(span, now // span * span, "list-ms-50", long_name): 3,
        }
        assert await both.history.list_counts(period, _NOW) == of_lists
        found = await both.history.compared_counts(period, _NOW)
        assert found.of_lists == of_lists
        others = await both.history.counts(period, _NOW)
        assert found.counts == others
        assert not LIST_KINDS & {count.kind for count in others}

    async def test_nothing_is_no_counts(self, both: OpenStore) -> None:
        for period in (PERIODS["24h"], PERIODS["365d"]):
            assert await both.history.counts(period, _NOW) == {}
            assert await both.history.list_counts(period, _NOW) == {}
            assert await both.history.compared_counts(period, _NOW) == ComparedCounts({})


class TestAttempts:
    PLACE: ClassVar = Triplet("192.0.2.0/24", "a@example.com", "1@example.org")

    def _query(self, ago: timedelta, *places: Triplet, judgment: JudgmentQuery | None = None) -> AttemptsQuery:
        return AttemptsQuery(frozenset([self.PLACE, *places]), _NOW - ago, _NOW, judgment)

    async def test_those_of_a_mail_are_found_in_all_its_places(self, both: OpenStore) -> None:
        """In order of time, over some days; no decisions on other mail, and no older ones."""
        ages = [timedelta(days=9), _DAY + _HOUR, _HOUR, _MINUTE, _NO_TIME]
        mine = [_kept(1, Reason.EARLY, age) for age in ages]
        other = self.PLACE._replace(client="example.com")
        elsewhere = _kept(1, Reason.WAITED, 2 * _HOUR)
        elsewhere = elsewhere._replace(decision=elsewhere.decision._replace(triplet=other))
        without = _kept(1, Reason.AUTHENTICATED, 3 * _HOUR)
        without = without._replace(decision=without.decision._replace(triplet=None))
        await both.engine.add_decisions([_kept(2), elsewhere, without, *mine], {})
        as_received = self.PLACE._replace(client="192.0.2.1")
        found = await both.history.attempts(self._query(9 * _DAY, other, as_received))
        assert [_NOW - each.at for each in found.decisions] == [
            *(timedelta(days=9), _DAY + _HOUR),
            *(3 * _HOUR, 2 * _HOUR, _HOUR, _MINUTE, _NO_TIME),
        ]
        assert (found.number, found.judgment) == (7, None)
        assert (await both.history.attempts(self._query(2 * _HOUR))).number == 3

    async def test_of_many_the_first_and_the_last_are_read(self, both: OpenStore) -> None:
        for start in range(0, 400, 100):
            many = [_kept(1, Reason.EARLY, (400 - n) * _MINUTE) for n in range(start, start + 100)]
            await both.engine.add_decisions(many, {})
        found = await both.history.attempts(self._query(400 * _MINUTE))
        assert found.number == 400
        ages = [(_NOW - each.at) // _MINUTE for each in found.decisions]
        assert ages == [*range(400, 400 - FIRST_READ, -1), *range(LAST_READ, 0, -1)]

    async def test_none(self, both: OpenStore) -> None:
        await both.engine.add_decisions([_kept(2)], {})
        judgment = JudgmentQuery("192.0.2.0/25", "", _NOW - _HOUR, _NOW)
        assert await both.history.attempts(self._query(_DAY, judgment=judgment)) == Attempts([], 0)

    async def test_the_latest_judgment_of_the_client_is_found(self, both: OpenStore) -> None:
        """Whatever mail it was about."""
        wrong = [_kept(3, ago=_HOUR), _kept(4, Reason.EARLY, _MINUTE), _kept(5, Reason.CLEAN, _MINUTE)]
        of_another = _kept(6, ago=_MINUTE)
        triplet = Triplet("192.0.3.0/24", "a@example.com", "6@example.org")
        of_another = of_another._replace(decision=of_another.decision._replace(triplet=triplet))
        await both.engine.add_decisions([_kept(2, ago=3 * _MINUTE), _kept(7, ago=2 * _MINUTE), *wrong, of_another], {})
        judgment = JudgmentQuery("192.0.2.0/24", "", _NOW - 10 * _MINUTE, _NOW)
        found = await both.history.attempts(self._query(_MINUTE, judgment=judgment))
        assert found.decisions == []
        assert found.judgment
        assert found.judgment.recipient == "7@example.org"
        earlier = replace(judgment, until=_NOW - 3 * _MINUTE)
        found = await both.history.attempts(self._query(_MINUTE, judgment=earlier))
        assert found.judgment
        assert found.judgment.recipient == "2@example.org"
        for reason, is_found in (("helo", True), ("domain-list", False)):
            found = await both.history.attempts(self._query(_MINUTE, judgment=replace(judgment, reason=reason)))
            assert (found.judgment is not None) is is_found


class TestDomainCounts:
    async def test_they_are_those_of_the_domain_and_of_the_rest_in_these_days(self, both: OpenStore) -> None:
        today = int(_NOW.timestamp()) // 86400 * 86400
        before = [today - age * 86400 for age in range(4)]
        meant = {
            Count(86400, before[0], "to-pass", "example.org"): 5,
            Count(86400, before[1], "from-delay-longer", "example.org"): 1,
            Count(86400, before[2], "from-dnsbl", "example.org"): 2,
            Count(86400, before[2], "to-cut", "*"): 9,
        }
        others = {
            Count(86400, before[0], "to-pass", "mail.example.org"): 7,
            Count(86400, before[3], "to-pass", "example.org"): 8,
            Count(3600, before[0], "to-pass", "example.org"): 9,
        }
        await both.engine.add_decisions([], meant | others)
        found = await both.history.domain_counts("example.org", _NOW - 2 * _DAY, _NOW)
        assert (found.domain, found.first, found.counts) == ("example.org", before[3], meant)
        assert list((await both.history.counts(PERIODS["7d"], _NOW)).values()) == [9], "not of the same table's days"

    async def test_without_any_there_is_no_first_day(self, both: OpenStore) -> None:
        found = await both.history.domain_counts("example.org", _NOW - 500 * _DAY, _NOW)
        assert (found.first, found.counts) == (None, {})


class TestDelayedDomains:
    def _day(self, age: int, kind: str, name: str) -> Count:
        return Count(86400, int(_NOW.timestamp()) // 86400 * 86400 - age * 86400, kind, name)

    async def test_those_whose_mail_came_back_most_are_first(self, both: OpenStore) -> None:
        """The counts of other kinds, sides and days do not matter; the total is that of all domains."""
        meant = {
            self._day(0, "from-delay-300", "example.org"): 2,
            self._day(1, "from-delay-300", "example.org"): 1,
            self._day(1, "from-delay-longer", "example.org"): 4,
            self._day(1, "from-delay-60", "example.net"): 6,
            self._day(2, "from-delay-60", "<>"): 5,
            self._day(2, "from-delay-60", "*"): 1,
        }
        others = {
            self._day(0, "from-pass", "example.net"): 90,
            self._day(0, "to-delay-300", "example.com"): 90,
            self._day(3, "from-delay-300", "example.com"): 90,
        }
        await both.engine.add_decisions([], meant | others)
        found = await both.history.most_delayed(_NOW - 2 * _DAY, _NOW, 3)
        assert (found.came_back, found.since.timestamp()) == (19, self._day(2, "", "").start)
        domains = [(each.name, dict(each.delays)) for each in found.domains]
        assert domains == [("example.org", {"300": 3, "longer": 4}), ("example.net", {"60": 6}), ("<>", {"60": 5})]
        found = await both.history.most_delayed(_NOW - 300 * _DAY, _NOW, 3)
        assert found.since.timestamp() == self._day(3, "", "").start, "the first day that has counts"
        assert (found.domains[0].name, found.domains[0].came_back) == ("example.com", 90)

    async def test_without_any_there_are_none(self, both: OpenStore) -> None:
        await both.engine.add_decisions([], {self._day(0, "from-pass", "example.org"): 1})
        found = await both.history.most_delayed(_NOW - 2 * _DAY, _NOW, 3)
        assert (found.came_back, found.domains) == (0, [])

    async def test_later_mail_is_counted(self, both: OpenStore) -> None:
        """Where days are cached, today is not. Other tests have days of another quarter."""
        today, age_of_today = _NOW - 100 * _DAY, 100
        for number in (1, 2):
            ages = (0, 20) if number == 1 else (0,)
            counts = {self._day(age_of_today + age, "from-delay-60", "example.org"): 1 for age in ages}
            await both.engine.add_decisions([], counts)
            found = await both.history.most_delayed(today - 28 * _DAY, today, 3)
            assert found.came_back == number + 1
            mail = await both.history.domain_mail(["example.org"], today - 27 * _DAY, today)
            assert mail["example.org"].came_back == number + 1

    @pytest.mark.parametrize("names", [2, 200])
    async def test_the_mail_of_domains_is_that_of_all_days(self, both: OpenStore, names: int) -> None:
        wanted = ["example.org", *(f"{number}.example" for number in range(names - 1))]
        meant = {
            self._day(0, "from-pass", "example.org"): 2,
            self._day(1, "from-pass", "example.org"): 3,
            self._day(1, "from-helo", "example.org"): 4,
            self._day(0, "from-delay-60", "example.org"): 1,
            self._day(1, "from-delay-longer", "example.org"): 2,
            self._day(1, "to-pass", "0.example"): 5,
            self._day(0, "from-pass", "0.example"): 1,
        }
        others = {
            self._day(1, "from-early", "example.org"): 90,
            self._day(1, "to-helo", "example.org"): 90,
            self._day(1, "from-pass", "mail.example.org"): 90,
            self._day(2, "from-pass", "example.org"): 90,
        }
        await both.engine.add_decisions([], meant | others)
        found = await both.history.domain_mail(wanted, _NOW - _DAY, _NOW)
        assert found == {"example.org": DomainMail(5, 4, 3), "0.example": DomainMail(1, is_ours=True)}
        assert await both.history.domain_mail([], _NOW - _DAY, _NOW) == {}


class TestExempted:
    async def test_databases_count_as_the_rule_does(self, both: OpenStore) -> None:
        """For each kind of entry; only first deferrals of the time asked for."""
        spf: Evidence = {Check.SPF: Finding(0, "pass: matched")}
        guess: Evidence = {Check.SPF: Finding(0, "pass: best guess, matched")}
        entries = [
            _kept(1),
            _kept(2, sender="x@sub.a.example", client_name="mx.b.example"),
            _kept(3, sender="x@a.example"),
            _kept(4, sender="x@aa.example", client_name="mx.bb.example"),
            _kept(5, Reason.EARLY, sender="x@a.example"),
            _kept(6, Reason.CLEAN, sender="x@a.example"),
            _kept(7, ago=3 * _DAY, sender="x@a.example"),
            _kept(8, sender="x_y%z@a.example"),
        ]
        nothing: Evidence = {}
        for number, evidence in ((1, spf), (2, guess), (7, nothing)):
            decision = entries[number]
            entries[number] = decision._replace(decision=decision.decision._replace(evidence=evidence))
        await both.engine.add_decisions(entries, {})
        exemptions = [
            *(Exemption("sender", entry) for entry in ("a.example", "spf:a.example", "x@a.example", "xxy%z@a.example")),
            *(Exemption("client", entry) for entry in ("b.example", "192.0.2.1", "192.0.2.0/24")),
            *(Exemption("recipient", entry) for entry in ("2@example.org", "other@example.org")),
        ]
        found = await both.history.count_exempted(exemptions, _NOW - 2 * _DAY, 10)
        assert [(each.number, each.is_at_least) for each in found] == [
            *((3, False), (1, True), (1, False), (0, False)),
            *((1, False), (1, False), (0, False)),
            *((1, False), (0, False)),
        ]
        stored = await both.history.decisions(DecisionQuery(since=_NOW - 2 * _DAY), 100)
        assert found == count_exempted(exemptions, stored)

    async def test_the_time_limit_is_told(self, both: OpenStore) -> None:
        for start in range(0, 400, 100):
            await both.engine.add_decisions([_kept(number) for number in range(start, start + 100)], {})
        (found,) = await both.history.count_exempted([Exemption("sender", "example.com")], _NOW - _DAY, 1e-3)
        assert found.is_at_least
        assert 0 < found.number < 400
        (found,) = await both.history.count_exempted([Exemption("sender", "example.com")], _NOW - _DAY, 60)
        assert found == ExemptedCount(400, is_at_least=False)

    async def test_nothing(self, both: OpenStore) -> None:
        (found,) = await both.history.count_exempted([Exemption("sender", "example.com")], _NOW - _DAY, 10)
        assert found == ExemptedCount(0, is_at_least=False)


class TestDecisions:
    async def test_they_come_back_as_they_were(self, both: OpenStore) -> None:
        kept = _kept(instance="1.2.0", queue_id="4Xy", helo_name="frïend", sender="")
        await both.engine.add_decisions([kept], {})
        (found,) = await both.history.decisions(DecisionQuery(), 10)
        assert (found.at, found.outcome, found.reason, found.details) == (_NOW, "greylist", "helo", kept.details)
        for name in ("client_address", "client_name", "helo_name", "sender", "recipient", "instance", "queue_id"):
            assert getattr(found, name) == getattr(kept.decision.request, name)
        assert await both.history.decision(found.number) == found

    async def test_they_are_chosen_by_their_node(self, both: OpenStore) -> None:
        await both.engine.add_decisions([_kept(1)._replace(node="mx1"), _kept(2)._replace(node="mx2"), _kept(3)], {})
        assert [each.node for each in await both.history.decisions(DecisionQuery(), 10)] == ["", "mx2", "mx1"]
        assert await _recipients(both.history, DecisionQuery(node="mx2")) == ["2"]
        assert await _recipients(both.history, DecisionQuery(node="MX2")) == []

    async def test_the_newest_are_first_and_the_next_ones_follow(self, both: OpenStore) -> None:
        """More decisions than an engine reads at once."""
        for start in range(0, 500, 100):
            await both.engine.add_decisions([_kept(number) for number in range(start, start + 100)], {})
        found: list[str] = []
        before = ""
        while portion := await both.history.decisions(DecisionQuery(), 90, before):
            found += [decision.recipient.partition("@")[0] for decision in portion]
            before = portion[-1].number
        assert found == [str(number) for number in reversed(range(500))]

    @pytest.mark.parametrize("number", ["", "0", "x", "1-1", "0-0", "-1", "9" * 40, "1;", "١"])  # noqa: RUF001 (a digit)
    async def test_one_that_is_not_there(self, both: OpenStore, number: str) -> None:
        await both.engine.add_decisions([_kept()], {})
        (there,) = await both.history.decisions(DecisionQuery(), 1)
        if number != there.number:
            assert await both.history.decision(number) is None

    async def test_they_are_chosen_by_reason_outcome_time_and_recipient(self, both: OpenStore) -> None:
        await both.engine.add_decisions(
            [_kept(1, ago=2 * _HOUR), _kept(2, Reason.WAITED, _HOUR), _kept(3, Reason.EARLY), _kept(4, Reason.CLEAN)],
            {},
        )
        for query, expected in (
            (DecisionQuery(), "4321"),
            (DecisionQuery(reasons=frozenset(["waited"])), "2"),
            (DecisionQuery(outcome="greylist"), "31"),
            (DecisionQuery(since=_NOW - _HOUR), "432"),
            (DecisionQuery(until=_NOW - _HOUR), "1"),
            (DecisionQuery(recipients=frozenset(["2@example.org", "3@example.org"])), "32"),
            (DecisionQuery(reasons=frozenset(["waited"]), outcome="greylist"), ""),
        ):
            assert "".join(await _recipients(both.history, query)) == expected, query

    @pytest.mark.parametrize(
        ("text", "fields"),
        [
            ("192.0.2.7", {"client_address": "192.0.2.7"}),
            ("192.0.2.7", {"client_address": "::ffff:192.0.2.7"}),
            ("192.0.0.0/15", {"client_address": "192.1.2.7"}),
            ("192.0.2.0/25", {"client_address": "192.0.2.127"}),
            ("0.0.0.0/0", {"client_address": "192.1.2.7"}),
            ("2001:db8::7", {"client_address": "2001:db8::7"}),
            ("2001:db8::/32", {"client_address": "2001:db8:1:2:3:4:5:6"}),
            ("2001:db8::/33", {"client_address": "2001:db8::5:6"}),
            ("2001:db8:0:1::/64", {"client_address": "2001:db8:0:1::6"}),
            ("::/0", {"client_address": "2001:db8::7"}),
            ("mail.example.net", {"client_name": "Mail.Example.Net"}),
            ("example.net", {"client_name": "mail.example.net"}),
            ("example.net", {"helo_name": "mail.example.net."}),
            ("example.net", {"sender": "x@Example.net"}),
            ("example.net", {"recipient": "x@mx.example.net"}),
            ("x@example.net", {"sender": "X@example.net"}),
            ("x@example.net", {"recipient": "x+y@example.net"}),
            ("x@example.net", {"sender": "prvs=4711a=x@example.net"}),
            ("bounce-1@example.net", {"sender": "bounce-4711@example.net"}),
            ("SRS0=a=b=d.example=x@example.net", {"sender": "SRS0=HH=TT=d.example=x@example.net"}),
            ("jürgen@example.net", {"sender": "jürgen@example.net"}),
            ("a%b_c!d\\e'\"@example.net", {"sender": "a%b_c!d\\e'\"@example.net"}),
            ("<>", {"sender": ""}),
            ("5a2b.63f1.12.0", {"instance": "5a2b.63f1.12.0"}),
            ("4XyZ", {"queue_id": "4XyZ"}),
        ],
    )
    async def test_they_are_searched(self, both: OpenStore, text: str, fields: dict[str, str]) -> None:
        other = _kept(9, client_address="198.51.100.9")
        request: dict[str, Any] = {"client_address": "203.0.113.1"} | fields
        await both.engine.add_decisions([other, _kept(1, **request), other], {})
        found = await both.history.decisions(DecisionQuery(Search(text, _RULES)), 10)
        expected = 3 if text == "0.0.0.0/0" else 1
        assert len(found) == expected
        (name, value), *_ = fields.items()
        assert value in [getattr(decision, name) for decision in found]

    @pytest.mark.parametrize("text", ["%", "_", "*", "\\", "'", "x' OR '1'='1", "%@%", "x@exa_ple.com", "\0", "?", "é"])
    async def test_no_sign_stands_for_others(self, both: OpenStore, text: str) -> None:
        await both.engine.add_decisions([_kept()], {})
        assert await both.history.decisions(DecisionQuery(Search(text, _RULES)), 10) == []
        assert await both.history.records(RecordQuery(Search(text, _RULES)), 10) == []


@pytest.mark.parametrize("both", ["sqlite", "postgresql", "mariadb", "redis"], indirect=True)
async def test_a_search_finds_what_is_meant_however_it_is_written(both: OpenStore) -> None:
    """Each database folds case in its own way; none knows A-labels, or the notations of IP addresses.

    All kinds of Redis count as one here: the same code compares their results.
    """
    records = some_records(100)
    await both.engine.add_decisions(some_decisions(100), {})
    await both.engine.unite(list(records.items()), _NOW, _LIFETIMES)
    decisions = await both.history.decisions(DecisionQuery(), 1000)
    assert len(decisions) == 100
    words = [each.sender for each in decisions[::5]] + [each.helo_name for each in decisions[::5]]
    for text in [
        *words,
        *ADDRESSES,
        *NETWORKS,
        *NASTY,
        "\ud800",
        "x" * 600,
        "ÜBER.com",
        "a@strasse.com",
        "a@Straße.com",
    ]:
        search = Search(text, _RULES)
        expected = [each.number for each in decisions if search.fits(each)]
        found = await both.history.decisions(DecisionQuery(search), 1000)
        assert [each.number for each in found] == expected, text
        meant = {triplet for triplet in records if search.fits_triplet(triplet)}
        assert {triplet for triplet, _ in await both.history.records(RecordQuery(search), 1000)} == meant, text


@pytest.mark.parametrize(
    "sender", ["Straße@example.com", "JÜRGEN@example.com", "ΟΔΥΣΣΕΥΣ@example.gr", "a@MÜNCHEN.example"]
)
async def test_upper_and_lower_case_are_one_beyond_ascii_too(both: OpenStore, sender: str) -> None:
    """In decisions, in records, and in the queries for a deferral."""
    local, _, domain = sender.partition("@")
    triplet = Triplet("192.0.2.0/24", _RULES.sender(sender), "b@example.org")
    kept = _kept(sender=sender, recipient=f"{local}@example.org")
    await both.engine.add_decisions([kept], {})
    await both.engine.transact([Sighting(triplet, Status.CLEAN, _NOW, _LIFETIMES)], [])
    for text in (sender, sender.lower(), sender.upper(), f"{local.swapcase()}@{domain.encode('idna').decode()}"):
        search = Search(text, _RULES)
        assert len(await both.history.decisions(DecisionQuery(search), 10)) == 1, text
        assert [found for found, _ in await both.history.records(RecordQuery(search), 10)] == [triplet], text
    query = DecisionQuery(recipients=frozenset([f"{local}@example.org".casefold()]))
    assert len(await both.history.decisions(query, 10)) == 1


@pytest.mark.parametrize("since", [datetime.min, datetime(1969, 1, 1), datetime(2001, 1, 1), datetime.max])  # noqa: DTZ001, DTZ901
async def test_any_instant_can_be_asked_for(both: OpenStore, since: datetime) -> None:
    await both.engine.add_decisions([_kept()], {})
    instant = since.replace(tzinfo=UTC)
    found = await both.history.decisions(DecisionQuery(since=instant), 10)
    assert len(found) == (instant <= _NOW)
    assert len(await both.history.decisions(DecisionQuery(until=instant), 10)) == (instant > _NOW)
    assert (await both.history.waiting(instant, 10)).number == 0


class TestRecords:
    async def _fill(self, both: OpenStore) -> dict[Triplet, Record]:
        """Add six decisions, each an hour older than the one before."""
        kinds = itertools.cycle([Status.GREYLISTED, Status.CLEAN, Status.GREYLISTED])
        kept = [_kept(number, ago=number * _HOUR) for number in range(6)]
        sightings = [
            Sighting(each.decision.triplet or Triplet("", "", ""), next(kinds), each.at, _LIFETIMES) for each in kept
        ]
        await both.engine.transact(sightings, [])
        await both.engine.add_decisions(list(reversed(kept)), {})
        return {each.triplet: Record(each.status, each.seen, each.seen) for each in sightings}

    async def test_who_waits_is_told_the_last_seen_first(self, both: OpenStore) -> None:
        all_of_them = await self._fill(both)
        greylisted = [item for item in all_of_them.items() if item[1].status is Status.GREYLISTED]
        number, records = await both.history.waiting(_NOW - _DAY, 10)
        assert (number, list(records)) == (4, greylisted)
        number, records = await both.history.waiting(_NOW - _DAY, 1)
        assert (number, list(records)) == (4, greylisted[:1])

    async def test_those_that_retried_come_first_of_all_that_wait(self, both: OpenStore) -> None:
        """So the newest ones do not hide a mail server that comes back again and again."""
        all_of_them = await self._fill(both)
        oldest = [triplet for triplet, record in all_of_them.items() if record.status is Status.GREYLISTED][-1]
        again = [Sighting(oldest, Status.GREYLISTED, all_of_them[oldest].last_seen, _LIFETIMES, attempts=1)]
        await both.engine.transact(again, [])
        number, records = await both.history.waiting(_NOW - _DAY, 1)
        assert (number, [triplet for triplet, _ in records]) == (4, [oldest])

    async def _wait(self, both: OpenStore, senders: dict[str, int]) -> None:
        """Let triplets of these senders wait, each an hour older than the one before, after so many retries."""
        kept = [_kept(number, ago=number * _HOUR, sender=sender) for number, sender in enumerate(senders)]
        sightings = []
        for each, attempts in zip(kept, senders.values(), strict=True):
            assert each.decision.triplet
            first = Sighting(each.decision.triplet, Status.GREYLISTED, each.at, _LIFETIMES)
            sightings += [first, *([first._replace(attempts=1)] * attempts)]
        await both.engine.transact(sightings, [])
        await both.engine.add_decisions(list(reversed(kept)), {})

    async def test_the_suspected_ones_were_retried_or_have_such_a_domain(self, both: OpenStore) -> None:
        """Of as many retries, those of the first group of domains come first. The number is that of all."""
        wait = {"a@x.example": 0, "b@y.example": 0, '"c@x.example"@z.example': 0, "d@one.example": 1, "": 2}
        wait |= {"e@y.example": 0, "x.example@other.example": 0, "f@sub.y.example": 0, "Ä@x.example": 0}
        await self._wait(both, wait)
        number, records = await both.history.waiting(_NOW - _DAY, 10, [["y.example"], ["x.example", "z.example"]])
        assert number == len(wait)
        assert [triplet.sender for triplet, _ in records] == [
            "", "d@one.example", "b@y.example", "e@y.example", "a@x.example", '"c@x.example"@z.example', "Ä@x.example",
        ]  # fmt: skip
        number, records = await both.history.waiting(_NOW - _DAY, 10, [[], []])
        assert (number, [triplet.sender for triplet, _ in records]) == (len(wait), ["", "d@one.example"])

    async def test_the_number_is_known_if_none_is_suspected(self, both: OpenStore) -> None:
        await self._wait(both, {"a@x.example": 0})
        assert await both.history.waiting(_NOW - _DAY, 10, []) == (1, [])

    async def test_the_domains_of_senders_that_wait_are_known(self, both: OpenStore) -> None:
        """Each once, the latest first, without the null sender."""
        await self._wait(both, {"": 0, "a@x.example": 0, "b@y.example": 1, '"c@d"@z.example': 0, "e@y.example": 0})
        domains = await both.history.waiting_domains(_NOW - _DAY, 10)
        assert domains == ["x.example", "y.example", "z.example"]
        assert await both.history.waiting_domains(_NOW - _DAY, 2) == domains[:2]
        assert await both.history.waiting_domains(_NOW - 0.5 * _HOUR, 2) == []

    async def test_who_was_seen_before_does_not_wait_any_more(self, both: OpenStore) -> None:
        await self._fill(both)
        assert (await both.history.waiting(_NOW - 2.5 * _HOUR, 10)).number == 2

    async def test_they_are_searched_the_last_seen_first(self, both: OpenStore) -> None:
        all_of_them = await self._fill(both)
        for text in ("192.0.2.77", "a@example.com", "example.org", "192.0.0.0/16"):
            assert list(await both.history.records(RecordQuery(Search(text, _RULES)), 10)) == list(
                all_of_them.items()
            ), text
        assert len(await both.history.records(RecordQuery(Search("example.org", _RULES)), 2)) == 2
        ((triplet, _),) = await both.history.records(RecordQuery(Search("3@example.org", _RULES)), 10)
        assert triplet.recipient == "3@example.org"

    async def test_they_are_filtered_and_sorted(self, both: OpenStore) -> None:
        """More of them than are examined at once, so that only those that may be among the first ones are read."""
        chance = random.Random(4711)
        seconds = chance.sample(range(100_000), 2500)
        records = {
            Triplet("192.0.2.0/24", "a@example.com", f"{number}@example.org"): Record(
                Status(number % 3), _NOW - 2 * timedelta(seconds=age), _NOW - timedelta(seconds=age), number % 50
            )
            for number, age in enumerate(seconds)
        }
        await both.engine.unite(list(records.items()), _NOW, _LIFETIMES)
        for query in (
            RecordQuery(),
            RecordQuery(order="first_seen"),
            RecordQuery(order="attempts"),
            RecordQuery(statuses=frozenset([Status.GREYLISTED, Status.TRUSTED]), until=_NOW - 10 * _HOUR),
            RecordQuery(filters=[RecordFilter("192.0.2.7", None, "7@example.org")], since=_NOW - 2 * _DAY),
        ):
            expected = sorted(
                (query.rank(record) for triplet, record in records.items() if query.fits(triplet, record)), reverse=True
            )
            found = await both.history.records(query, 5)
            assert [query.rank(record) for _, record in found] == expected[:5], query
            assert all(records[triplet] == record and query.fits(triplet, record) for triplet, record in found)

    async def test_they_are_found_by_their_triplets(self, both: OpenStore) -> None:
        all_of_them = await self._fill(both)
        wanted = [*list(all_of_them)[:2], Triplet("no", "such", "one")]
        assert (await both.history.find(wanted)).records == dict(list(all_of_them.items())[:2])
        assert (await both.history.find([])).records == {}

    async def test_records_are_found_in_all_places(self, both: OpenStore) -> None:
        """A client of the network had a name once."""
        named = Triplet("example.com", "john@example.com", "jane@example.org")
        await both.engine.transact([Sighting(named, Status.CLEAN, _NOW, _LIFETIMES, network="192.0.2.0/24")], [])
        nameless, other = named._replace(client="192.0.2.0/24"), named._replace(client="192.0.3.0/24")
        found = await both.history.find([nameless, other])
        assert found.of_any([nameless]).records == {named: Record(Status.CLEAN, _NOW, _NOW)}
        assert found.of_any([other]).records == {}


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if not engine.startswith("redis")])
async def test_where_nothing_was_stored_that_is_said(engine: str, places: Places) -> None:
    place = places.place(engine)
    if engine == "sqlite":
        place.file.touch()
    history = open_history(place)
    with pytest.raises(StoreError, match="no bley has stored anything there"):
        await history.decisions(DecisionQuery(), 1)
    await history.close()


class TestAudit:
    def _entry(self, ago: timedelta, kind: AuditKind = "start", what: str = "bley starts") -> AuditEntry:
        return AuditEntry(_NOW.replace(microsecond=123456) - ago, "mx1", kind, "root", what)

    async def test_the_newest_entries_of_a_time_and_kind_are_found(self, both: OpenStore) -> None:
        old, start = self._entry(3 * _DAY), self._entry(_DAY)
        forget, new = self._entry(2 * _DAY, "forget"), self._entry(_NO_TIME, "reload")
        await both.engine.add_audit([old, start, forget])
        await both.engine.add_audit([new])
        audit = both.history.audit
        assert await audit(old.at, None, frozenset(), 9) == [new, start, forget, old]
        assert await audit(old.at, new.at, frozenset(), 2) == [start, forget]
        assert await audit(forget.at, None, frozenset(["start", "reload"]), 9) == [new, start]
        assert await audit(new.at + _MINUTE, None, frozenset(), 9) == []

    async def test_an_entry_is_added_once_for_its_mark(self, both: OpenStore) -> None:
        mark = Marks().next()
        for _ in range(2):
            await both.engine.add_audit([self._entry(_NO_TIME)], mark)
        assert len(await both.history.audit(_NOW - _DAY, None, frozenset(), 9)) == 1

    async def test_only_the_newest_are_kept(self, both: OpenStore) -> None:
        for ago in (2, 1, 0):
            await both.engine.add_audit([self._entry(ago * _MINUTE)] * (MOST_ENTRIES // 2))
        kept = await both.history.audit(_NOW - _DAY, None, frozenset(), 2 * MOST_ENTRIES)
        assert MOST_ENTRIES <= len(kept) < MOST_ENTRIES + 200  # Redis trims nodes of 100 entries

    async def test_the_settings_of_a_start_are_stored_whole_or_not_at_all(self, both: OpenStore) -> None:
        start = self._entry(_NO_TIME)
        entries = [start._replace(settings=letter * LONGEST_SETTINGS) for letter in ("{", "ü")]
        await both.engine.add_audit([*entries, start._replace(settings="x" * (LONGEST_SETTINGS + 1))])
        found = await both.history.audit(_NOW - _DAY, None, frozenset(), 9, with_settings=True)
        assert {each.settings for each in found} == {each.settings for each in entries} | {""}
        assert {each.settings for each in await both.history.audit(_NOW - _DAY, None, frozenset(), 9)} == {""}

    async def test_a_long_text_is_cut(self, both: OpenStore) -> None:
        await both.engine.add_audit([self._entry(_NO_TIME, what="ü" * (LONGEST_WHAT + 1))])
        (kept,) = await both.history.audit(_NOW - _DAY, None, frozenset(), 9)
        assert kept.what == "ü" * LONGEST_WHAT
