"""How the lists do, as `bley lists` and `/metrics` tell it."""

import asyncio
import json
from datetime import timedelta

import pytest

from bley.checks.lists.queried_list import QueriedList
from bley.checks.lists.report import ListReport, merged_lists, report_lists
from bley.checks.lists.watch import ListWatch
from bley.core.dnslists.health import Diagnosis, ListFault
from bley.core.dnslists.lists import Meaning, parse_dns_lists, parse_domain_lists
from bley.core.errors import ResolverError
from bley.core.mail import parse_address
from tests.fakes import NOON, FakeClock, FakeResolver, queried_list, query_list

pytestmark = pytest.mark.leaps

KEY = "AbcdefghijklmnopqrstuvwxyZ"
ILL = Diagnosis(ListFault.EMPTIED, "it is empty", "remove it")


async def make(zone: str = "bl.example") -> QueriedList:
    (dns_list,) = parse_dns_lists(zone)
    return queried_list(dns_list, FakeClock())


def report(watched: QueriedList, setting: str = "") -> ListReport:
    (told,) = report_lists(
        {"dnsbls": parse_dns_lists(setting or watched.dns_list.zone)}, {watched.dns_list.zone: watched}
    )
    return told


async def test_an_untested_list_has_nothing_to_tell() -> None:
    assert report(await make(), "bl.example=127.0.0.[2..4]*3, bl.example=127.0.0.9*-1") == ListReport(
        name="bl.example",
        setting="dnsbls",
        entries="bl.example=127.0.0.[2..4]*3, bl.example=127.0.0.9*-1",
        state="untested",
        state_ipv6="untested",
        since="2026-11-23T12:00:00+00:00",
        what="",
        last_error="",
        last_error_at=None,
        answers={},
        median_seconds=None,
        p95_seconds=None,
    )


async def test_the_settings_stand_in_their_order_and_one_list_in_both_is_told_of_in_both() -> None:
    watched = {zone: await make(zone) for zone in ("a.example", "b.example")}
    settings = {"dnsbls": parse_dns_lists("b.example, a.example*2"), "dnswls": parse_dns_lists("a.example")}
    assert [(each["setting"], each["entries"]) for each in report_lists(settings, watched)] == [
        ("dnsbls", "b.example"),
        ("dnsbls", "a.example*2"),
        ("dnswls", "a.example"),
    ]


async def test_a_zone_with_addresses_and_domains_is_two_lists() -> None:
    addresses, domains = parse_dns_lists("a.example"), parse_domain_lists("a.example*2")
    watch = ListWatch(FakeClock())
    entries = {("test.a.example", "A"): ["127.0.0.2"]}
    watch.follow([*addresses, *domains], FakeResolver(entries))
    await watch.wait_tested(timedelta(seconds=1))
    await watch.close()
    told = report_lists({"dnsbls": addresses, "domain_lists": domains}, watch.lists)
    assert [(each["setting"], each["name"], each["state"], each["state_ipv6"]) for each in told] == [
        ("dnsbls", "a.example", "ill", "untested"),
        ("domain_lists", "a.example", "well", "not served"),
    ]
    assert [each["what"].partition(" (")[0] for each in told] == ["it does not list its test entry 127.0.0.2", ""]


async def test_an_ill_list_is_told_with_what_is_wrong_since_when_and_what_to_do() -> None:
    watched = await make()
    watched.tester.health.versions[4].take(ILL, NOON + timedelta(hours=1))
    watched.tester.health.last_error = (NOON + timedelta(minutes=90), "SERVFAIL")
    told = report(watched)
    assert (told["state"], told["since"], told["what"]) == (
        "ill",
        "2026-11-23T13:00:00+00:00",
        "it is empty; remove it",
    )
    assert (told["last_error"], told["last_error_at"]) == ("SERVFAIL", "2026-11-23T13:30:00+00:00")


async def test_of_a_list_that_is_ill_for_ipv6_clients_alone_that_is_told() -> None:
    watched = await make()
    watched.tester.health.versions[4].take(Diagnosis(), NOON)
    watched.tester.health.versions[6].take(ILL, NOON + timedelta(hours=2))
    told = report(watched)
    assert (told["state"], told["state_ipv6"]) == ("well", "ill")
    assert (told["since"], told["what"]) == ("2026-11-23T14:00:00+00:00", "it is empty; remove it")


async def test_answers_are_counted_by_what_they_mean() -> None:
    watched = await make()
    watched.answers.update({Meaning.CLEAR: 7, Meaning.LISTED: 3, Meaning.SILENT: 1})
    assert report(watched)["answers"] == {"listed": 3, "clear": 7, "silent": 1}


@pytest.mark.parametrize(
    ("seconds", "median", "p95"),
    [([0.3], 0.3, 0.3), ([0.1, 0.3], 0.2, 0.29), ([each / 100 for each in range(101)], 0.5, 0.95)],
)
async def test_latency(seconds: list[float], median: float, p95: float) -> None:
    watched = await make()
    watched.seconds.extend(seconds)
    told = report(watched)
    assert told["median_seconds"] == pytest.approx(median)
    assert told["p95_seconds"] == pytest.approx(p95)


async def test_latency_is_that_of_the_last_thousand_answers() -> None:
    watched = await make()
    watched.seconds.extend([9.0] * 1000 + [0.1] * 1000)
    assert report(watched)["p95_seconds"] == pytest.approx(0.1)


@pytest.mark.parametrize("zone", [f"{KEY}.zen.dq.spamhaus.net", f"{KEY.lower()}.unknown.example"])
async def test_a_customer_s_key_is_not_told(zone: str) -> None:
    """Neither as it is configured nor in what went wrong."""
    address, watch = parse_address("192.0.2.1"), ListWatch(FakeClock())
    assert address
    (dns_list,) = lists = parse_dns_lists(f"{zone}=127.0.0.[2..11]*3")
    failing = {
        (f"{octets}.{dns_list.zone}", "A"): ResolverError("", "A", f"no answer for {octets}.{dns_list.zone}")
        for octets in ("1.2.0.192", "2.0.0.127")
    }
    resolver = FakeResolver(failing)
    watch.follow(lists, resolver)
    for _ in range(20):
        await asyncio.sleep(0)
    (after_test,) = report_lists({"dnsbls": lists}, watch.lists)
    query_list(watch.lists[dns_list.zone], address, resolver, lambda _: None)
    for _ in range(20):
        await asyncio.sleep(0)
    (after_answer,) = report_lists({"dnsbls": lists}, watch.lists)
    await watch.close()
    assert after_test["state"] == "ill"
    assert after_answer["last_error"].startswith("no answer for 1.2.0.192.********.")
    assert KEY.lower() not in json.dumps([after_test, after_answer]).lower()


class TestMerged:
    """What several workers tell of the same lists."""

    FIRST = ListReport(
        name="bl.example",
        setting="dnsbls",
        entries="bl.example*2",
        state="well",
        state_ipv6="not served",
        since="2026-11-23T12:00:00+00:00",
        what="",
        last_error="SERVFAIL",
        last_error_at="2026-11-23T14:00:00+00:00",
        answers={"listed": 3, "clear": 7},
        median_seconds=0.02,
        p95_seconds=None,
    )

    def _merge(self, *reports: ListReport) -> ListReport:
        (told,) = merged_lists([[each] for each in reports])
        return told

    def test_one_alone_is_as_it_is(self) -> None:
        assert self._merge(self.FIRST) == self.FIRST

    def test_answers_are_summed(self) -> None:
        told = self._merge(self.FIRST, {**self.FIRST, "answers": {"clear": 1, "silent": 2}})
        assert told["answers"] == {"listed": 3, "clear": 8, "silent": 2}

    @pytest.mark.parametrize("worse", ["untested", "ill", "dead"])
    def test_a_list_is_well_only_where_it_is_well_everywhere(self, worse: str) -> None:
        """What is wrong, and since when, is told by the worker where it is so."""
        ill: ListReport = {**self.FIRST, "state": worse, "since": "2026-11-23T13:00:00+00:00", "what": "it is empty"}
        for told in (self._merge(self.FIRST, ill), self._merge(ill, self.FIRST)):
            assert (told["state"], told["since"], told["what"]) == (worse, ill["since"], "it is empty")

    def test_it_is_ill_for_ipv6_clients_where_it_is_so_for_one(self) -> None:
        told = self._merge(self.FIRST, {**self.FIRST, "state_ipv6": "ill", "what": "it lists the world"})
        assert (told["state"], told["state_ipv6"], told["what"]) == ("well", "ill", "it lists the world")

    def test_the_last_error_is_the_last_of_all(self) -> None:
        later: ListReport = {**self.FIRST, "last_error": "late", "last_error_at": "2026-11-23T15:00:00+00:00"}
        never: ListReport = {**self.FIRST, "last_error": "", "last_error_at": None}
        assert self._merge(self.FIRST, later, never)["last_error"] == "late"

    def test_latency_is_that_of_the_slowest(self) -> None:
        told = self._merge(self.FIRST, {**self.FIRST, "median_seconds": 0.01, "p95_seconds": 0.5})
        assert (told["median_seconds"], told["p95_seconds"]) == (0.02, 0.5)

    def test_lists_of_different_settings_stand_apart(self) -> None:
        """While a reload is under way one worker may know more lists than another."""
        other: ListReport = {**self.FIRST, "setting": "dnswls"}
        told = merged_lists([[self.FIRST], [other, self.FIRST]])
        assert [(each["setting"], each["answers"]["clear"]) for each in told] == [("dnsbls", 14), ("dnswls", 7)]
