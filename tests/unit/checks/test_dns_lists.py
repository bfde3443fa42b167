"""What the lists of one setting say of a client: while answers come, and when they are all there."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from ipaddress import ip_address

import pytest

from bley.checks.dns_lists import ConfiguredList, ListQueries, add_explanations
from bley.checks.lists.watch import ListWatch
from bley.core.dnslists.lists import (
    DnsList,
    Meaning,
    Subject,
    interpret,
    parse_dns_lists,
    parse_domain_lists,
    query_name,
)
from bley.core.errors import ResolverError
from bley.core.evidence import Finding
from bley.core.findings import Check
from bley.core.mail import Address
from bley.ports import CachedResolver, Outcome, ResourceRecord, RrType
from tests.fakes import SILENT, Data, FakeClock, FakeResolver, Zone, query_by_future

pytestmark = pytest.mark.leaps

CLIENT, CLIENT_IPV6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")
LISTED = ["127.0.0.4"]
SECOND = timedelta(seconds=1)
SERVFAIL = ResolverError("", "A", "SERVFAIL")


class HeldResolver:
    """Answers when it is told to."""

    is_silent = False

    def __init__(self) -> None:
        self.asked: dict[str, asyncio.Future[Sequence[ResourceRecord]]] = {}

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        assert (name not in self.asked, rrtype) == (True, "A")
        return self.asked.setdefault(name, asyncio.get_running_loop().create_future())

    def query(self, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
        query_by_future(self, name, rrtype, then)

    async def give(self, zone: str, *codes: str) -> None:
        name = query_name(CLIENT, zone)
        self.asked[name].set_result([ResourceRecord(name, "A", code) for code in codes])
        await settle()

    async def fail(self, zone: str) -> None:
        self.asked[query_name(CLIENT, zone)].set_exception(SERVFAIL)
        await settle()


class CachingHeldResolver(HeldResolver):
    """Has some answers already."""

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        return self.asked[name] if name in self.asked else super().resolve(name, rrtype)


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


async def asked_lists(
    *settings: str, ill: Sequence[str] = (), counts: Counter[tuple[str, str]] | None = None
) -> list[list[ConfiguredList]]:
    """The lists of each setting, tested, well but for those that are ill; one zone in two settings is watched once.

    `counts` gets the events that are counted.
    """
    parsed = [parse_dns_lists(setting) for setting in settings]
    counts = Counter() if counts is None else counts
    watch = ListWatch(FakeClock(), count=lambda *event: counts.update([event]))
    zones = {dns_list.zone for of_setting in parsed for dns_list in of_setting}
    entries = [ip_address("127.0.0.2"), ip_address("::ffff:7f00:2")]
    tests: Zone = {(query_name(entry, zone), "A"): ["127.0.0.2"] for entry in entries for zone in zones - set(ill)}
    watch.follow([DnsList(zone, ()) for zone in zones], FakeResolver(tests))
    await settle()
    await watch.close()
    return [[ConfiguredList(dns_list, watch.lists[dns_list.zone]) for dns_list in of_setting] for of_setting in parsed]


def queried(
    check: Check,
    lists: Sequence[ConfiguredList],
    subject: Subject,
    resolver: CachedResolver,
    on_answer: Callable[[], object],
) -> ListQueries:
    """Return the queries of the lists about this subject alone."""
    queries = ListQueries(check, lists, resolver, on_answer)
    queries.query([subject])
    queries.close()
    return queries


class Asking:
    """An inquiry, and how often it told of an answer."""

    def __init__(self, lists: Sequence[ConfiguredList]) -> None:
        self.resolver, self.told = HeldResolver(), 0
        self.inquiry = queried(Check.DNSBL, lists, CLIENT, self.resolver, self._tell)

    def _tell(self) -> None:
        self.told += 1

    @property
    def bounds(self) -> tuple[int, int]:
        least, most = self.inquiry.bounds
        return least, most

    @property
    def score(self) -> int | None:
        finding = self.inquiry.finding()
        assert finding
        return finding.score


async def ask(setting: str, ill: Sequence[str] = ()) -> Asking:
    (lists,) = await asked_lists(setting, ill=ill)
    return Asking(lists)


async def find(setting: str, zone: Mapping[str, Sequence[Data] | ResolverError], address: Address = CLIENT) -> Finding:
    """The finding when all have answered."""
    (lists,) = await asked_lists(setting)
    resolver = FakeResolver({(query_name(address, name), "A"): answer for name, answer in zone.items()})
    inquiry = queried(Check.DNSBL, lists, address, resolver, lambda: None)
    await settle()
    finding = inquiry.finding()
    assert finding
    return finding


@pytest.mark.parametrize(
    ("setting", "answer", "score", "detail"),
    [
        ("bl.example", [], 0, "bl.example does not list it"),
        ("bl.example", LISTED, 1, "bl.example lists it: 127.0.0.4 (weight 1)"),
        ("bl.example*3", LISTED, 3, "bl.example lists it: 127.0.0.4 (weight 3)"),
        ("bl.example*-3", LISTED, -3, "bl.example lists it: 127.0.0.4 (weight -3)"),
        ("bl.example=127.0.0.[5..9]", LISTED, 0, "bl.example lists it: 127.0.0.4 (fits no filter)"),
        (
            "bl.example=127.0.0.[2..11]",
            ["127.0.0.99", "127.0.0.3"],
            1,
            "bl.example lists it: 127.0.0.99, 127.0.0.3 (weight 1)",
        ),
        (
            "bl.example=127.0.0.[2..5], bl.example=127.0.0.4*2, bl.example=127.0.0.9*4",
            LISTED,
            3,
            "bl.example lists it: 127.0.0.4 (weight 3)",
        ),
        (
            "bl.example=127.0.0.4, bl.example=127.0.0.9*4",
            ["127.0.0.4", "127.0.0.9"],
            5,
            "bl.example lists it: 127.0.0.4, 127.0.0.9 (weight 5)",
        ),
        ("bl.example", ["127.255.255.254"], None, "bl.example unknown: 127.255.255.254: you may not ask"),
        ("bl.example", SERVFAIL, None, "bl.example unknown: SERVFAIL"),
    ],
)
async def test_one_list(setting: str, answer: Sequence[Data] | ResolverError, score: int | None, detail: str) -> None:
    """Entries of one zone share a question and add up; what means "you may not ask", and a failure, are unknown."""
    finding = await find(setting, {"bl.example": answer})
    assert (finding.score, finding.detail) == (score, detail)


async def test_a_parked_list_is_set_aside_with_this_very_answer() -> None:
    finding = await find("bl.example", {"bl.example": ["203.0.113.80"]})
    assert finding.score is None
    assert finding.detail.startswith("bl.example not queried: since 2026-11-23 12:00 UTC: it answers 203.0.113.80")


async def test_the_known_count_although_others_are_unknown() -> None:
    assert (
        await find("a.example*2, b.example*-3, c.example*9", {"a.example": LISTED, "b.example": LISTED})
    ).score == -1
    assert (await find("a.example*2, b.example", {"a.example": LISTED, "b.example": SERVFAIL})).score == 2
    assert (await find("a.example, b.example", {"b.example": SERVFAIL})).score == 0


async def test_an_ipv6_client_is_asked_for_by_nibbles() -> None:
    """RFC 5782 2.4."""
    resolver = FakeResolver()
    (lists,) = await asked_lists("bl.example")
    queried(Check.DNSBL, lists, CLIENT_IPV6, resolver, lambda: None)
    assert resolver.questions == [("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example", "A")]


class TestBounds:
    async def test_they_narrow_with_each_answer_to_the_sum(self) -> None:
        asking = await ask("a.example*2, b.example*3, c.example")
        assert (asking.bounds, asking.told) == ((0, 6), 0)
        await asking.resolver.give("b.example", "127.0.0.2")
        assert (asking.bounds, asking.told) == ((3, 6), 1)
        await asking.resolver.give("a.example")
        assert (asking.bounds, asking.told) == ((3, 4), 2)
        await asking.resolver.fail("c.example")
        assert (asking.bounds, asking.told) == ((3, 3), 3)
        assert asking.score == 3

    async def test_negative_weights_widen_them_downwards(self) -> None:
        asking = await ask("a.example*2, b.example*-5")
        assert asking.bounds == (-5, 2)
        await asking.resolver.give("a.example", "127.0.0.2")
        assert asking.bounds == (-3, 2)
        await asking.resolver.give("b.example", "127.0.0.2")
        assert asking.bounds == (-3, -3)

    async def test_entries_of_one_zone_are_asked_once_and_bounded_together(self) -> None:
        asking = await ask("a.example=127.0.0.2*2, a.example=127.0.0.3*4, a.example=127.0.0.4*-1")
        assert asking.bounds == (-1, 6)
        assert list(asking.resolver.asked) == ["1.2.0.192.a.example"]
        await asking.resolver.give("a.example", "127.0.0.3")
        assert asking.bounds == (4, 4)

    async def test_who_is_not_asked_has_none(self) -> None:
        asking = await ask("a.example*2, b.example*3", ill=["b.example"])
        assert asking.bounds == (0, 2)
        assert list(asking.resolver.asked) == ["1.2.0.192.a.example"]
        assert asking.told == 0, "that is known from the start"


class TestFinding:
    async def test_all_lists_are_asked_at_once(self) -> None:
        asking = await ask("a.example, b.example, c.example")
        assert len(asking.resolver.asked) == 3

    async def test_there_is_none_while_nobody_has_told_anything(self) -> None:
        asking = await ask("a.example, b.example, c.example", ill=["c.example"])
        assert asking.inquiry.finding() is None
        await asking.resolver.fail("a.example")
        assert asking.inquiry.finding() is None
        await asking.resolver.give("b.example", "127.0.0.2")
        assert asking.score == 1

    async def test_what_is_missing_is_not_in_it(self) -> None:
        asking = await ask("a.example, b.example")
        await asking.resolver.give("b.example", "127.0.0.2")
        finding = asking.inquiry.finding()
        assert finding
        assert (finding.score, finding.detail) == (1, "b.example lists it: 127.0.0.2 (weight 1)")
        assert [each.dns_list.zone for each in finding.answers] == ["b.example"]

    async def test_it_stands_in_the_order_of_the_setting(self) -> None:
        asking = await ask("a.example, b.example")
        await asking.resolver.give("b.example")
        await asking.resolver.give("a.example")
        finding = asking.inquiry.finding()
        assert finding
        assert finding.detail == "a.example does not list it, b.example does not list it"

    async def test_it_is_unknown_when_no_list_could_be_asked(self) -> None:
        asking = await ask("a.example, b.example", ill=["a.example", "b.example"])
        assert asking.score is None

    async def test_it_is_zero_when_no_list_has_clients_of_this_kind(self) -> None:
        """That is nothing unknown: an IPv6 client is in no list of IPv4 addresses."""
        (lists,) = await asked_lists("bl.spameatingmonkey.net")
        finding = queried(Check.DNSBL, lists, CLIENT_IPV6, FakeResolver(), lambda: None).finding()
        assert finding
        assert (finding.score, finding.detail) == (
            0,
            "bl.spameatingmonkey.net not queried: it has no IPv6 addresses",
        )

    async def test_a_zone_in_both_settings_counts_in_each_by_that_one_s_entries(self) -> None:
        black, white = await asked_lists("a.example=127.0.0.2*3", "a.example=127.0.0.4")
        assert black[0].queried is white[0].queried
        resolver = FakeResolver({("1.2.0.192.a.example", "A"): LISTED})
        inquiries = [queried(Check.DNSBL, lists, CLIENT, resolver, lambda: None) for lists in (black, white)]
        await settle()
        findings = [inquiry.finding() for inquiry in inquiries]
        assert [finding and finding.score for finding in findings] == [0, 1]


class TestGivingUp:
    async def test_what_is_missing_then_is_unknown(self) -> None:
        asking = await ask("a.example*2, b.example*3")
        await asking.resolver.give("a.example", "127.0.0.2")
        asking.inquiry.give_up()
        finding = asking.inquiry.finding()
        assert finding
        assert finding.score == 2
        assert finding.detail.endswith(", b.example unknown: no answer in time")
        assert asking.bounds == (2, 2)

    async def test_late_answers_change_nothing(self) -> None:
        asking = await ask("a.example")
        asking.inquiry.give_up()
        await asking.resolver.give("a.example", "127.0.0.2")
        assert (asking.score, asking.bounds, asking.told) == (None, (0, 0), 0)


class TestCounts:
    """The unit is a stranger that a list was queried about."""

    async def of(self, setting: str, answer: Sequence[Data] | ResolverError, check: Check = Check.DNSBL) -> set[str]:
        """Return the kinds that are counted for one stranger, but for its latency."""
        counts = Counter[tuple[str, str]]()
        (lists,) = await asked_lists(setting, counts=counts)
        queried(check, lists, CLIENT, FakeResolver({("1.2.0.192.a.example", "A"): answer}), lambda: None)
        await settle()
        assert set(counts.values()) == {1}
        assert {name for _, name in counts} == {"a.example"}
        return {kind for kind, _ in counts if not kind.startswith("list-ms-")}

    async def test_each_query_is_counted_with_its_setting(self) -> None:
        assert await self.of("a.example", []) == {"dnsbl-queries"}
        assert await self.of("a.example", [], Check.DNSWL) == {"dnswl-queries"}

    async def test_a_listing_is_one_that_an_entry_accepts(self) -> None:
        assert await self.of("a.example", LISTED) == {"dnsbl-queries", "dnsbl-listed"}
        assert await self.of("a.example*0", LISTED) == {"dnsbl-queries", "dnsbl-listed"}
        assert await self.of("a.example=127.0.0.9", LISTED) == {"dnsbl-queries"}

    @pytest.mark.parametrize("answer", [SERVFAIL, ["127.255.255.254"], ["192.0.2.80"]])
    async def test_an_answer_that_says_nothing_about_the_client_is_an_error(
        self, answer: Sequence[Data] | ResolverError
    ) -> None:
        assert await self.of("a.example", answer) == {"dnsbl-queries", "dnsbl-errors"}

    async def test_a_list_that_is_late_is_an_error_once(self) -> None:
        counts = Counter[tuple[str, str]]()
        asking = Asking((await asked_lists("a.example", counts=counts))[0])
        asking.inquiry.give_up()
        await asking.resolver.give("a.example")
        kinds = Counter({kind: number for (kind, _), number in counts.items() if not kind.startswith("list-ms-")})
        assert kinds == {"dnsbl-queries": 1, "dnsbl-errors": 1}

    async def test_strangers_that_share_a_query_are_counted_each(self) -> None:
        """Otherwise a list could decide about more strangers than it was queried about."""
        counts = Counter[tuple[str, str]]()
        (lists,) = await asked_lists("a.example", counts=counts)
        resolver = HeldResolver()
        for _ in range(3):
            queried(Check.DNSBL, lists, CLIENT, resolver, lambda: None)
        await resolver.give("a.example", *LISTED)
        assert counts["dnsbl-queries", "a.example"] == counts["dnsbl-listed", "a.example"] == 3
        assert sum(number for (kind, _), number in counts.items() if kind.startswith("list-ms-")) == 1

    async def test_the_latency_is_that_of_the_network_not_of_the_cache(self) -> None:
        counts = Counter[tuple[str, str]]()
        (lists,) = await asked_lists("a.example, b.example", counts=counts)
        resolver = CachingHeldResolver()
        cached: asyncio.Future[Sequence[ResourceRecord]] = asyncio.get_running_loop().create_future()
        cached.set_result([])
        resolver.asked[query_name(CLIENT, "a.example")] = cached
        queried(Check.DNSBL, lists, CLIENT, resolver, lambda: None)
        await asyncio.sleep(0.03)
        await resolver.give("b.example")
        assert counts["dnsbl-queries", "a.example"] == counts["dnsbl-queries", "b.example"] == 1
        assert [(kind, name) for kind, name in counts if kind.startswith("list-ms-")] == [("list-ms-50", "b.example")]
        assert [len(each.queried.seconds) for each in lists] == [0, 1]

    async def test_a_list_that_is_set_aside_is_not_counted(self) -> None:
        counts = Counter[tuple[str, str]]()
        (lists,) = await asked_lists("a.example", ill=["a.example"], counts=counts)
        queried(Check.DNSBL, lists, CLIENT, FakeResolver(), lambda: None)
        await settle()
        assert not counts


class TestExplained:
    async def explain(self, texts: Sequence[Data] | ResolverError | str, setting: str = "bl.example") -> list[str]:
        """The words in the finding where each list names the client, and answers about its reasons with these."""
        (lists,) = await asked_lists(setting)
        zone: dict[tuple[str, str], Sequence[Data] | ResolverError | str] = {}
        for each in lists:
            name = query_name(CLIENT, each.setting.zone)
            zone |= {(name, "A"): LISTED, (name, "TXT"): texts}
        resolver = FakeResolver(zone)
        inquiry = queried(Check.DNSBL, lists, CLIENT, resolver, lambda: None)
        await settle()
        finding = inquiry.finding()
        assert finding
        found = await add_explanations(finding, CLIENT, resolver, timedelta(milliseconds=20))
        assert (found.score, found.detail) == (finding.score, finding.detail)
        return [each.text for each in found.answers]

    async def test_the_list_s_own_words_are_added(self) -> None:
        assert await self.explain([b"See https://bl.example/?ip=192.0.2.1"]) == ["See https://bl.example/?ip=192.0.2.1"]
        assert await self.explain([b"one", b"two"]) == ["one two"]
        assert await self.explain([b"\xff \xc3\xbc"]) == ["\\xff ü"]

    @pytest.mark.parametrize("texts", [[], SERVFAIL, SILENT], ids=["none", "failing", "silent"])
    async def test_without_them_the_finding_stays_as_it_is(self, texts: Sequence[Data] | ResolverError | str) -> None:
        assert await self.explain(texts) == [""]

    async def test_all_are_asked_at_once(self) -> None:
        async with asyncio.timeout(SECOND.total_seconds()):
            assert await self.explain(SILENT, ", ".join(f"l{number}.example" for number in range(99))) == [""] * 99

    async def test_only_lists_that_name_the_client_are_asked(self) -> None:
        (lists,) = await asked_lists("a.example, b.example, c.example")
        zone: Zone = {("1.2.0.192.a.example", "A"): LISTED, ("1.2.0.192.b.example", "A"): SERVFAIL}
        resolver = FakeResolver(zone)
        inquiry = queried(Check.DNSBL, lists, CLIENT, resolver, lambda: None)
        await settle()
        finding = inquiry.finding()
        assert finding
        assert [each.answer.meaning for each in finding.answers] == [Meaning.LISTED, Meaning.FAILED, Meaning.CLEAR]
        await add_explanations(finding, CLIENT, resolver, SECOND)
        assert [name for name, rrtype in resolver.questions if rrtype == "TXT"] == ["1.2.0.192.a.example"]


class TestDomains:
    """A domain list is queried about several domains, and counts once."""

    async def asked(self, setting: str, counts: Counter[tuple[str, str]] | None = None) -> list[ConfiguredList]:
        """The domain lists of the setting, tested and well."""
        parsed = parse_domain_lists(setting)
        counts = Counter() if counts is None else counts
        watch = ListWatch(FakeClock(), count=lambda *event: counts.update([event]))
        watch.follow(parsed, FakeResolver({(f"test.{each.zone}", "A"): ["127.0.1.2"] for each in parsed}))
        await settle()
        await watch.close()
        return [ConfiguredList(each, watch.lists[each.key]) for each in parsed]

    async def find(self, setting: str, *domains: str, **of_domains: Sequence[Data] | ResolverError) -> Finding:
        """The finding about these domains; a keyword `a` stands for a.example at dbl.example."""
        zone: Zone = {(f"{name}.example.dbl.example", "A"): answer for name, answer in of_domains.items()}
        queries = ListQueries(Check.DOMAIN_LIST, await self.asked(setting), FakeResolver(zone), lambda: None)
        queries.query(domains)
        queries.close()
        await settle()
        finding = queries.finding()
        assert finding
        return finding

    async def test_it_is_queried_by_the_names_as_they_are(self) -> None:
        """RFC 5782 2.2."""
        resolver = FakeResolver()
        queries = ListQueries(Check.DOMAIN_LIST, await self.asked("dbl.example*2"), resolver, lambda: None)
        queries.query(["a.example", "b.example", "a.example"])
        assert resolver.questions == [("a.example.dbl.example", "A"), ("b.example.dbl.example", "A")]
        assert queries.bounds == (0, 2)

    async def test_a_list_that_has_two_of_the_domains_counts_once(self) -> None:
        finding = await self.find("dbl.example*2", "a.example", "b.example", a=["127.0.1.2"], b=["127.0.1.4"])
        assert (finding.score, finding.detail) == (
            2,
            "dbl.example lists a.example and b.example: 127.0.1.2, 127.0.1.4 (weight 2)",
        )

    async def test_it_names_the_domain_that_is_listed(self) -> None:
        finding = await self.find("dbl.example", "a.example", "b.example", b=["127.0.1.2"])
        assert (finding.score, finding.detail) == (1, "dbl.example lists b.example: 127.0.1.2 (weight 1)")
        assert finding.answers[0].domains == ("b.example",)

    async def test_a_good_domain_that_is_abused_fits_no_filter(self) -> None:
        finding = await self.find("dbl.example=127.0.1.[2..99]", "a.example", a=["127.0.1.102"])
        assert (finding.score, finding.detail) == (0, "dbl.example lists a.example: 127.0.1.102 (fits no filter)")

    async def test_clear_is_clear_of_all(self) -> None:
        finding = await self.find("dbl.example", "a.example", "b.example")
        assert (finding.score, finding.detail) == (0, "dbl.example does not list a.example or b.example")

    async def test_a_failure_about_one_domain_leaves_a_listing_of_the_other(self) -> None:
        listed = await self.find("dbl.example", "a.example", "b.example", a=SERVFAIL, b=["127.0.1.2"])
        assert listed.score == 1
        unknown = await self.find("dbl.example", "a.example", "b.example", a=SERVFAIL)
        assert (unknown.score, unknown.detail) == (None, "dbl.example unknown: SERVFAIL")

    @pytest.mark.parametrize("code", ["127.255.255.252", "127.255.255.254", "127.255.255.255", "127.0.0.1"])
    async def test_an_error_is_never_a_listing(self, code: str) -> None:
        finding = await self.find("dbl.example=127.[0..255].[0..255].[0..255]", "a.example", a=[code])
        assert finding.score is None

    async def test_the_error_of_a_known_list_is_never_a_listing(self) -> None:
        """Spamhaus DBL answers 127.0.1.255 about addresses."""
        (dns_list,) = parse_domain_lists("dbl.spamhaus.org=127.0.1.[0..255]")
        assert interpret(dns_list.facts, ["127.0.1.255"]).meaning is Meaning.REFUSED

    async def test_without_a_domain_nothing_is_queried_and_nothing_counts(self) -> None:
        finding = await self.find("dbl.example")
        assert (finding.score, finding.detail) == (
            0,
            "dbl.example not queried: sender, HELO and client have no domain",
        )

    async def test_a_domain_too_long_for_the_zone_is_not_queried(self) -> None:
        """Otherwise three strangers could make the list look as if it failed."""
        long = f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 50}.example"
        finding = await self.find("dbl.example", long)
        assert finding.score == 0
        assert finding.detail == f"dbl.example not queried: {long} is too long a name"

    async def test_it_waits_until_no_domain_can_come_any_more(self) -> None:
        """The client's name may be verified later."""
        told = Counter[str]()
        resolver = FakeResolver({("c.example.dbl.example", "A"): ["127.0.1.2"]})
        queries = ListQueries(
            Check.DOMAIN_LIST, await self.asked("dbl.example"), resolver, lambda: told.update(["answer"])
        )
        queries.query(["a.example"])
        await settle()
        assert (queries.is_complete, queries.finding(), queries.bounds, told["answer"]) == (False, None, (0, 1), 1)
        queries.query(["a.example", "c.example"])
        queries.close()
        await settle()
        assert (queries.is_complete, queries.bounds, told["answer"]) == (True, (1, 1), 2)

    async def test_given_up_it_keeps_what_is_known(self) -> None:
        held = FakeResolver({("a.example.dbl.example", "A"): ["127.0.1.2"], ("b.example.dbl.example", "A"): SILENT})
        queries = ListQueries(Check.DOMAIN_LIST, await self.asked("dbl.example"), held, lambda: None)
        queries.query(["a.example", "b.example"])
        await settle()
        queries.give_up()
        queries.query(["c.example"])
        queries.close()
        finding = queries.finding()
        assert finding
        assert (finding.score, queries.bounds) == (1, (1, 1))
        assert ("c.example.dbl.example", "A") not in held.questions

    async def test_a_stranger_counts_once_whatever_number_of_domains_it_has(self) -> None:
        counts = Counter[tuple[str, str]]()
        lists = await self.asked("dbl.example", counts)
        resolver = FakeResolver({("a.example.dbl.example", "A"): ["127.0.1.2"]})
        queries = ListQueries(Check.DOMAIN_LIST, lists, resolver, lambda: None)
        queries.query(["a.example", "b.example"])
        queries.close()
        await settle()
        kinds = {kind: number for (kind, _), number in counts.items() if not kind.startswith("list-ms-")}
        assert kinds == {"domain-list-queries": 1, "domain-list-listed": 1}

    async def test_it_is_explained_by_its_text_about_the_domain(self) -> None:
        resolver = FakeResolver(
            {("b.example.dbl.example", "A"): ["127.0.1.2"], ("b.example.dbl.example", "TXT"): [b"spam domain"]}
        )
        queries = ListQueries(Check.DOMAIN_LIST, await self.asked("dbl.example"), resolver, lambda: None)
        queries.query(["a.example", "b.example"])
        queries.close()
        await settle()
        finding = queries.finding()
        assert finding
        explained = await add_explanations(finding, CLIENT, resolver, SECOND)
        assert explained.answers[0].text == "spam domain"
