"""What lists say of a client, from what the DNS answers."""

import asyncio
from datetime import timedelta

import pytest

from bley.checks.dnsl import check_dns_lists
from bley.core.dnslists import parse_dns_lists
from bley.core.errors import ResolverError
from bley.core.evidence import Finding
from bley.core.mail import parse_address
from tests.fakes import SILENT, FakeResolver, Zone

CLIENT = parse_address("192.0.2.1")
CLIENT_IPV6 = parse_address("2001:db8::1")
SECOND = timedelta(seconds=1)
ZONE: Zone = {
    ("1.2.0.192.bl.example", "A"): ["127.0.0.4"],
    ("1.2.0.192.other.example", "A"): ["127.0.0.99", "127.0.0.3"],
    ("1.2.0.192.refusing.example", "A"): ["127.255.255.254"],
    ("1.2.0.192.parked.example", "A"): ["203.0.113.80"],
    ("1.2.0.192.failing.example", "A"): ResolverError("1.2.0.192.failing.example", "A", "SERVFAIL"),
    ("1.2.0.192.silent.example", "A"): SILENT,
    ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example", "A"): ["127.0.0.2"],
}


async def find(lists: str, within: timedelta = SECOND) -> Finding:
    assert CLIENT
    return await check_dns_lists(CLIENT, parse_dns_lists(lists), FakeResolver(ZONE), within)


@pytest.mark.parametrize(
    ("lists", "score", "detail"),
    [
        ("nobody.example", 0, "nobody.example does not list it"),
        ("bl.example", 1, "bl.example lists it: 127.0.0.4 (weight 1)"),
        ("bl.example*3", 3, "bl.example lists it: 127.0.0.4 (weight 3)"),
        ("bl.example=127.0.0.[5..9]", 0, "bl.example does not count 127.0.0.4"),
        ("other.example=127.0.0.[2..11]", 1, "other.example lists it: 127.0.0.99 127.0.0.3 (weight 1)"),
        ("refusing.example", None, "refusing.example refused: 127.255.255.254"),
        ("parked.example", None, "parked.example refused: 203.0.113.80"),
        ("failing.example", None, "failing.example unknown: SERVFAIL"),
    ],
)
async def test_one_list(lists: str, score: int | None, detail: str) -> None:
    """An answer that means "you may not ask", and a failure, are unknown, never a listing."""
    assert await find(lists) == Finding(score, detail)


async def test_weights_add_up() -> None:
    assert (await find("bl.example*2, other.example*3, nobody.example*9")).score == 5
    assert (await find("bl.example*2, other.example*-3")).score == -1


async def test_the_known_count_although_others_are_unknown() -> None:
    finding = await find("bl.example, failing.example, refusing.example")
    assert finding.score == 1
    assert (await find("nobody.example, failing.example")).score == 0


async def test_a_silent_list_costs_no_more_than_the_time_given() -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    finding = await find("silent.example, bl.example", timedelta(milliseconds=50))
    assert loop.time() - begun < 0.5
    assert finding == Finding(1, "silent.example unknown: no answer in time, bl.example lists it: 127.0.0.4 (weight 1)")


async def test_all_lists_are_asked_at_once() -> None:
    """Each is asked before the first has answered."""
    resolver = FakeResolver(ZONE)
    assert CLIENT
    lists = parse_dns_lists("silent.example, bl.example, other.example")
    task = asyncio.create_task(check_dns_lists(CLIENT, lists, resolver, SECOND))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(resolver.questions) == 3
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_ipv6_client_is_asked_for_by_nibbles() -> None:
    """RFC 5782 2.4."""
    assert CLIENT_IPV6
    finding = await check_dns_lists(CLIENT_IPV6, parse_dns_lists("bl.example"), FakeResolver(ZONE), SECOND)
    assert finding.score == 1
