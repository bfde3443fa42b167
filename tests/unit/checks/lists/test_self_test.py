"""The self-test of a list (RFC 5782 5): what it asks, and what is wrong when the answers are."""

import asyncio
import re
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from bley.checks.lists.self_test import read_answer, self_test
from bley.core.dnslists.health import WELL, Diagnosis, ListFault
from bley.core.dnslists.known import DOMAINS
from bley.core.dnslists.lists import Answer, Meaning, parse_dns_lists, parse_domain_lists, query_name
from bley.core.errors import ResolverError
from bley.ports import ResourceRecord, RrType
from tests.fakes import SILENT, Data, FakeResolver, Zone

pytestmark = pytest.mark.leaps

UNKNOWN = "bl.example"
WITH_IPV6 = "zen.spamhaus.org"
WITHOUT_IPV6 = "bl.spameatingmonkey.net"
IPV6_ONLY = "bl.ipv6.spameatingmonkey.net"
KEY = "abcdefghijklmnopqrstuvwxyz"

ENTRY, CLEAR = "127.0.0.2", "127.0.0.1"
ENTRY_IPV6, CLEAR_IPV6 = "::ffff:7f00:2", "::ffff:7f00:1"

LISTED = ("127.0.0.2",)
FAILING = ResolverError("", "A", "SERVFAIL")
SILENCE = ResolverError("", "A", "no answer in time", is_silence=True)

Answers = dict[str, tuple[Data, ...] | ResolverError]


def asking(address: str, zone: str) -> str:
    return query_name(ip_address(address), zone)


def dns(zone: str, answers: Answers) -> FakeResolver:
    """A DNS in which the list has these answers about addresses, and lists no other."""
    return FakeResolver({(asking(address, zone), "A"): answer for address, answer in answers.items()})


async def run(zone: str, answers: Answers) -> dict[int, Diagnosis] | None:
    (dns_list,) = parse_dns_lists(zone)
    return await self_test(dns_list, dns(zone, answers))


async def faults(zone: str, answers: Answers) -> dict[int, ListFault | None]:
    found = await run(zone, answers)
    assert found is not None
    return {version: diagnosis.fault for version, diagnosis in found.items()}


@pytest.mark.parametrize(
    ("answers", "fault", "what"),
    [
        ({}, "emptied", "it does not list its test entry 127.0.0.2 "),
        ({ENTRY: LISTED, CLEAR: LISTED}, "lists-all", "it lists 127.0.0.1, which must not be listed "),
        ({ENTRY: ("203.0.113.80",), CLEAR: ("203.0.113.80",)}, "parked", "it answers 203.0.113.80, "),
        ({ENTRY: LISTED, CLEAR: ("203.0.113.80",)}, "parked", "it answers 203.0.113.80, "),
        ({ENTRY: ("127.255.255.254",)}, "refused", "it refuses our queries (127.255.255.254: you may not ask)"),
        ({ENTRY: LISTED, CLEAR: ("127.0.0.1",)}, "refused", "it refuses our queries (127.0.0.1: "),
        ({ENTRY: FAILING, CLEAR: FAILING}, "failed", "it answers SERVFAIL"),
        ({ENTRY: LISTED, CLEAR: FAILING}, "failed", "it answers SERVFAIL"),
        ({ENTRY: SILENCE, CLEAR: SILENCE}, "silent", "it does not answer in time"),
        ({ENTRY: LISTED, CLEAR: SILENCE}, "silent", "it does not answer in time"),
    ],
)
async def test_each_way_to_be_ill_is_found_and_told(answers: Answers, fault: str, what: str) -> None:
    """And who is ill for IPv4 is not asked about IPv6 clients."""
    found = await run(UNKNOWN, answers)
    assert found is not None
    assert list(found) == [4]
    assert found[4].fault == fault
    assert found[4].what.startswith(what)
    assert found[4].remedy


BOTH_LISTED: Answers = {ENTRY: LISTED, ENTRY_IPV6: LISTED}


@pytest.mark.parametrize(
    ("zone", "answers", "found"),
    [
        pytest.param(UNKNOWN, BOTH_LISTED, {4: None, 6: None}, id="unknown, well for both"),
        pytest.param(UNKNOWN, {ENTRY: LISTED}, {4: None}, id="unknown, no IPv6 entry: it has no IPv6"),
        pytest.param(UNKNOWN, {ENTRY: LISTED, ENTRY_IPV6: FAILING}, {4: None}, id="unknown, IPv6 fails: it has none"),
        pytest.param(UNKNOWN, {ENTRY: LISTED, ENTRY_IPV6: SILENCE}, {4: None}, id="unknown, IPv6 silent: it has none"),
        pytest.param(
            UNKNOWN, BOTH_LISTED | {CLEAR_IPV6: LISTED}, {4: None, 6: ListFault.LISTS_ALL}, id="unknown, lists all IPv6"
        ),
        pytest.param(WITH_IPV6, BOTH_LISTED, {4: None, 6: None}, id="well for both"),
        pytest.param(WITH_IPV6, {ENTRY: LISTED}, {4: None, 6: None}, id="a missing IPv6 test entry is no fault"),
        pytest.param(WITH_IPV6, {ENTRY: LISTED, ENTRY_IPV6: FAILING}, {4: None, 6: ListFault.FAILED}, id="IPv6 fails"),
        pytest.param(
            WITH_IPV6, BOTH_LISTED | {CLEAR_IPV6: LISTED}, {4: None, 6: ListFault.LISTS_ALL}, id="lists all IPv6"
        ),
        pytest.param(WITHOUT_IPV6, {ENTRY: LISTED}, {4: None}, id="known to have no IPv6"),
        pytest.param(IPV6_ONLY, {ENTRY_IPV6: LISTED}, {6: None}, id="IPv6 only"),
        pytest.param(IPV6_ONLY, {ENTRY: LISTED}, {6: ListFault.EMPTIED}, id="IPv6 only, emptied"),
        pytest.param(IPV6_ONLY, {ENTRY_IPV6: SILENCE}, {6: ListFault.SILENT}, id="IPv6 only, silent"),
    ],
)
async def test_ip_versions(zone: str, answers: Answers, found: dict[int, ListFault | None]) -> None:
    """A version is in the result when the list serves its clients, or when the list is ill for them."""
    assert await faults(zone, answers) == found


@pytest.mark.parametrize(
    ("zone", "asked", "unforeseen"),
    [
        (WITHOUT_IPV6, [ENTRY, CLEAR], r"\d+\.\d+\.1[89]\.198\."),
        (IPV6_ONLY, [ENTRY_IPV6, CLEAR_IPV6], r"([0-9a-f]\.){16}0\.0\.0\.0\.0\.0\.0\.0\.2\.0\.0\.0\.1\.0\.0\.2\."),
    ],
)
async def test_only_the_versions_that_a_list_serves_are_asked_for(
    zone: str, asked: Sequence[str], unforeseen: str
) -> None:
    """For two known addresses and one that changes, out of those for measurements: RFC 2544 and 5180."""
    (dns_list,), resolver = parse_dns_lists(zone), dns(zone, BOTH_LISTED)
    for _ in range(2):
        await self_test(dns_list, resolver)
    names = [name for name, _ in resolver.questions]
    assert len(names) == 6
    assert names[0:2] == names[3:5] == [asking(address, zone) for address in asked]
    assert names[2] != names[5]
    assert all(re.fullmatch(unforeseen + re.escape(zone), name) for name in (names[2], names[5]))


class Remembering(FakeResolver):
    """Knows the two usual test entries by heart, and answers about all other addresses as the list does now."""

    def __init__(self, now: tuple[Data, ...] | ResolverError) -> None:
        super().__init__({(asking(ENTRY, UNKNOWN), "A"): LISTED, (asking(CLEAR, UNKNOWN), "A"): ()})
        self.now = now

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        self.zone.setdefault((name, rrtype), self.now)
        return super().resolve(name, rrtype)


@pytest.mark.parametrize(
    ("now", "fault"),
    [
        ((), None),
        (LISTED, None),
        (("203.0.113.80",), ListFault.PARKED),
        (("127.255.255.254",), ListFault.REFUSED),
        (FAILING, ListFault.FAILED),
        (SILENCE, ListFault.SILENT),
    ],
)
async def test_a_resolver_that_remembers_the_test_entries_hides_no_death(
    now: tuple[Data, ...] | ResolverError, fault: ListFault | None
) -> None:
    """The third address may be listed or not, but must be answered."""
    (dns_list,) = parse_dns_lists(UNKNOWN)
    found = await self_test(dns_list, Remembering(now))
    assert found is not None
    assert found[4].fault is fault


async def test_a_list_is_not_blamed_for_a_dns_that_was_silent_until_just_now() -> None:
    """It is asked again before it is called silent."""

    class Returning(FakeResolver):
        async def has_answers(self) -> bool:
            self.zone[asking(ENTRY, UNKNOWN), "A"] = LISTED
            return True

    (dns_list,) = parse_dns_lists(UNKNOWN)
    found = await self_test(dns_list, Returning({(asking(ENTRY, UNKNOWN), "A"): SILENCE}))
    assert found == {4: WELL}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("127.0.10.0", None),
        ("127.0.10.3", ListFault.REFUSED),
        ("127.0.0.255", ListFault.REFUSED),
        ("127.0.5.2", None),
    ],
)
async def test_dnswl_org_answers_its_test_entry_with_what_is_an_error_otherwise(
    answer: str, fault: ListFault | None
) -> None:
    """Only 127.0.10.0 is; 127.0.10.3 is what it answered to everybody whom it throttled."""
    found = await faults("list.dnswl.org", {ENTRY: (answer,), "::2": (answer,)})
    assert found[4] is fault


async def test_dnswl_org_s_test_answer_for_every_address_is_a_fault() -> None:
    found = await faults("list.dnswl.org", {ENTRY: ("127.0.10.0",), CLEAR: ("127.0.10.0",)})
    assert found == {4: ListFault.LISTS_ALL}


async def test_a_list_without_a_test_entry_is_known_by_the_address_that_it_must_not_list() -> None:
    assert (await faults("wl.mailspike.net", {}))[4] is None
    assert (await faults("wl.mailspike.net", {CLEAR: LISTED}))[4] is ListFault.LISTS_ALL
    assert (await faults("wl.mailspike.net", {CLEAR: FAILING}))[4] is ListFault.FAILED


async def test_a_list_without_any_test_address_is_taken_for_well() -> None:
    found = await run("hostkarma.junkemailfilter.com", {ENTRY: FAILING, CLEAR: LISTED})
    assert found == {4: WELL}


@pytest.mark.parametrize("zone", [UNKNOWN, WITH_IPV6, IPV6_ONLY])
async def test_while_the_dns_is_down_nothing_is_said(zone: str) -> None:
    (dns_list,), resolver = parse_dns_lists(zone), dns(zone, BOTH_LISTED)
    resolver.is_down = True
    assert await self_test(dns_list, resolver) is None


async def test_a_dns_that_goes_down_between_the_versions_says_nothing_either() -> None:
    class Leaving(FakeResolver):
        async def has_answers(self) -> bool:
            return False

    zone: Zone = {(asking(ENTRY, WITH_IPV6), "A"): LISTED, (asking(ENTRY_IPV6, WITH_IPV6), "A"): SILENCE}
    (dns_list,) = parse_dns_lists(WITH_IPV6)
    assert await self_test(dns_list, Leaving(zone)) is None


async def test_all_questions_of_both_versions_are_asked_at_the_same_time() -> None:
    (dns_list,) = parse_dns_lists(UNKNOWN)
    resolver = FakeResolver({(asking(ENTRY, UNKNOWN), "A"): SILENT, (asking(CLEAR, UNKNOWN), "A"): SILENT})
    testing = asyncio.create_task(self_test(dns_list, resolver))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(resolver.questions) == 6
    testing.cancel()
    await asyncio.gather(testing, return_exceptions=True)


class TestDomainList:
    """TEST is listed and INVALID is not (RFC 5782 5)."""

    DBL = "dbl.example"

    async def find(self, **answers: Sequence[Data] | ResolverError) -> dict[int, Diagnosis] | None:
        """The diagnosis; a keyword is the answer about this name."""
        (dns_list,) = parse_domain_lists(self.DBL)
        self.resolver = FakeResolver({(f"{name}.{self.DBL}", "A"): answer for name, answer in answers.items()})
        return await self_test(dns_list, self.resolver)

    async def test_it_is_well_if_it_lists_test_alone(self) -> None:
        assert await self.find(test=LISTED) == {DOMAINS: WELL}
        first, second, third = (name for name, _ in self.resolver.questions)
        assert (first, second) == ("test.dbl.example", "invalid.dbl.example")
        assert re.fullmatch(r"[0-9a-f]{16}\.com\.dbl\.example", third)

    @pytest.mark.parametrize(
        ("answers", "fault", "what"),
        [
            ({}, "emptied", "it does not list its test entry test "),
            ({"test": LISTED, "invalid": LISTED}, "lists-all", "it lists every domain"),
            ({"test": ("127.255.255.254",)}, "refused", "it refuses our queries (127.255.255.254: you may not ask)"),
            ({"test": ("203.0.113.80",)}, "parked", "it answers 203.0.113.80, "),
            ({"test": LISTED, "invalid": FAILING}, "failed", "it answers SERVFAIL"),
        ],
    )
    async def test_each_way_to_be_ill(
        self, answers: dict[str, Sequence[Data] | ResolverError], fault: str, what: str
    ) -> None:
        found = await self.find(**answers)
        assert found
        assert list(found) == [DOMAINS]
        assert found[DOMAINS].fault == fault
        assert what in found[DOMAINS].what

    async def test_known_exceptions_are_those_of_the_list(self) -> None:
        (dns_list,) = parse_domain_lists("dbl.spamhaus.org")
        resolver = FakeResolver({("dbltest.com.dbl.spamhaus.org", "A"): ("127.0.1.2",)})
        assert await self_test(dns_list, resolver) == {DOMAINS: WELL}

    async def test_a_list_whose_test_entry_is_not_known_is_well_as_far_as_can_be_told(self) -> None:
        (dns_list,) = parse_domain_lists("fresh.spameatingmonkey.net")
        assert await self_test(dns_list, FakeResolver()) == {DOMAINS: WELL}

    async def test_a_list_of_domains_among_those_of_addresses_is_not_queried(self) -> None:
        (dns_list,) = parse_dns_lists("dbl.spamhaus.org")
        resolver = FakeResolver()
        assert await self_test(dns_list, resolver) == {}
        assert resolver.questions == []


async def test_aliases_on_the_way_are_no_return_codes() -> None:
    (dns_list,) = parse_dns_lists(UNKNOWN)
    answer = await FakeResolver({("a", "CNAME"): ["b.example"]}).resolve("a", "CNAME")  # type: ignore[arg-type]
    asked = asyncio.get_running_loop().create_future()
    asked.set_result(answer)
    assert read_answer(dns_list, asked) == Answer(Meaning.CLEAR)


async def test_a_question_given_up_was_not_answered() -> None:
    (dns_list,) = parse_dns_lists(UNKNOWN)
    asked = asyncio.get_running_loop().create_future()
    asked.cancel()
    assert read_answer(dns_list, asked) == Answer(Meaning.SILENT, why="cancelled")


async def test_what_is_told_of_a_failure_does_not_show_the_customer_s_key() -> None:
    zone = f"{KEY}.zen.dq.spamhaus.net"
    error = ResolverError("", "A", f"{zone}: SERVFAIL")
    found = await run(zone, {ENTRY: error})
    assert found is not None
    assert found[4].what == "it answers ********.zen.dq.spamhaus.net: SERVFAIL"


async def test_a_bug_is_no_answer_and_leaves_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    (dns_list,) = parse_dns_lists(UNKNOWN)
    asked = asyncio.get_running_loop().create_future()
    asked.set_exception(ZeroDivisionError())
    assert read_answer(dns_list, asked) == Answer(Meaning.FAILED, why="internal error: ZeroDivisionError()")
    assert caplog.records[0].exc_info is not None
