"""The names of a client for which the MTA found none: the queries, and what the answers show."""

import asyncio
from collections.abc import Sequence

import pytest

from bley.checks.names import ClientNames, NameQueries
from bley.core.errors import ResolverError
from bley.core.findings import FindingKind
from bley.core.mail import Request, parse_address
from bley.ports import ResourceRecord, RrType
from tests.fakes import SILENT, FakeResolver, Zone

pytestmark = pytest.mark.leaps

PTR = "1.2.0.192.in-addr.arpa"
PTR6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
HERE, ELSEWHERE = ["192.0.2.1"], ["198.51.100.7"]
SERVFAIL = ResolverError("", "A", "SERVFAIL")
NONE, UNVERIFIED = FindingKind.CLIENT_HAS_NO_NAME, FindingKind.CLIENT_NAME_UNVERIFIED


def zone(pointed: Sequence[str] | ResolverError | str = (), **addresses: Sequence[str] | ResolverError | str) -> Zone:
    """Return a DNS with these PTR records of 192.0.2.1, and these addresses: `mx` for mx.example.com."""
    entries: dict[tuple[str, str], Sequence[str] | ResolverError | str] = {
        (f"{name}.example.com", "A"): found for name, found in addresses.items()
    }
    return {**entries, (PTR, "PTR"): pointed}


class World:
    """A DNS, and one client's queries to it."""

    def __init__(self, zone: Zone, helo: str = "", address: str = "192.0.2.1") -> None:
        self.resolver, self.answers = FakeResolver(zone), 0
        parsed = parse_address(address)
        assert parsed
        self.queries = NameQueries(Request(helo_name=helo), parsed, self.resolver, self._count)

    def _count(self) -> None:
        self.answers += 1

    async def names(self) -> ClientNames:
        """Return the names after everything that needs no time."""
        for _ in range(20):
            await asyncio.sleep(0)
        return self.queries.names


def shown(names: ClientNames) -> tuple[str, str]:
    """Return what is found about the client's name and about the HELO name: the name, a kind, `?`, or nothing."""

    def word(verified: str, finding: object) -> str:
        if verified or finding is None:
            return verified
        return str(getattr(finding, "kind", None) or "?")

    return word(names.verified, names.missing), word("", names.helo)


@pytest.mark.parametrize(
    ("dns", "found"),
    [
        pytest.param(zone([]), NONE, id="no PTR record"),
        pytest.param(zone(["."]), NONE, id="the root is no name"),
        pytest.param(zone(SERVFAIL), "?", id="the reverse zone fails"),
        pytest.param(zone(SILENT), "?", id="the reverse zone is silent"),
        pytest.param(zone(["mx.example.com"], mx=HERE), "mx.example.com", id="it leads back"),
        pytest.param(zone(["MX.Example.COM."], mx=HERE), "mx.example.com", id="case and a final dot"),
        pytest.param(zone(["mx.example.com"], mx=[*ELSEWHERE, *HERE]), "mx.example.com", id="one of several addresses"),
        pytest.param(zone(["mx.example.com"], mx=ELSEWHERE), UNVERIFIED, id="it leads elsewhere"),
        pytest.param(zone(["mx.example.com"]), UNVERIFIED, id="it leads nowhere"),
        pytest.param(zone(["mx.example.com"], mx=SERVFAIL), "?", id="its domain fails"),
        pytest.param(zone(["mx.example.com"], mx=SILENT), "?", id="its domain is silent"),
        pytest.param(zone(["a.example.com", "mx.example.com"], mx=HERE), "mx.example.com", id="the second leads back"),
        pytest.param(
            zone(["a.example.com", "mx.example.com"], a=SERVFAIL, mx=HERE), "mx.example.com", id="the first fails"
        ),
        pytest.param(zone(["a.example.com", "b.example.com"], a=ELSEWHERE, b=SERVFAIL), "?", id="the second may"),
        pytest.param(zone(["localhost"]), UNVERIFIED, id="localhost"),
        pytest.param(zone(["192.0.2.1"]), UNVERIFIED, id="an address is no name"),
        pytest.param(zone(["a\\032b.example.com", "x" * 64 + ".example", "."]), UNVERIFIED, id="no host names"),
        pytest.param(zone(["a" * 1000]), UNVERIFIED, id="a name of a thousand characters"),
    ],
)
async def test_a_client_s_name(dns: Zone, found: str) -> None:
    assert shown(await World(dns).names()) == (found, "")


@pytest.mark.parametrize(
    ("dns", "helo", "found"),
    [
        pytest.param(zone(mx=HERE), "mx.example.com", (NONE, "helo-resolves"), id="it resolves"),
        pytest.param(zone(mx=HERE), "MX.example.com.", (NONE, "helo-resolves"), id="case and a final dot"),
        pytest.param(zone(mx=ELSEWHERE), "mx.example.com", (NONE, ""), id="to another address"),
        pytest.param(zone(), "mx.example.com", (NONE, ""), id="it does not exist"),
        pytest.param(zone(mx=SERVFAIL), "mx.example.com", (NONE, "?"), id="its domain fails"),
        pytest.param(zone(mx=SILENT), "mx.example.com", (NONE, "?"), id="its domain is silent"),
        pytest.param(zone(SERVFAIL, mx=HERE), "mx.example.com", ("?", "helo-resolves"), id="only the PTR fails"),
        pytest.param(
            zone(["mx.example.com"], mx=HERE),
            "mx.example.com",
            ("mx.example.com", "helo-resolves"),
            id="it is the name",
        ),
        pytest.param(zone(["a.example.com"], mx=HERE), "mx.example.com", (UNVERIFIED, "helo-resolves"), id="both"),
    ],
)
async def test_a_helo_name(dns: Zone, helo: str, found: tuple[str, str]) -> None:
    assert shown(await World(dns, helo).names()) == found


@pytest.mark.parametrize(
    "helo", ["", "friend", "localhost", "[192.0.2.1]", "192.0.2.1", "pc.local", "a b.example", "a..example", "x" * 300]
)
async def test_a_helo_name_that_cannot_lead_to_the_client_is_not_queried(helo: str) -> None:
    world = World(zone(), helo)
    await world.names()
    assert world.resolver.questions == [(PTR, "PTR")]


async def test_an_internationalized_helo_name_is_queried_by_its_a_labels() -> None:
    world = World({("mx.xn--bcher-kva.example", "A"): HERE}, "mx.Bücher.example")
    assert shown(await world.names()) == (NONE, "helo-resolves")


async def test_an_ipv6_client_is_queried_by_its_own_types() -> None:
    world = World(
        {(PTR6, "PTR"): ["mx.example.com"], ("mx.example.com", "AAAA"): ["2001:0DB8::0001"]},
        "smtp.example.com",
        "2001:db8::1",
    )
    assert shown(await world.names()) == ("mx.example.com", "")
    assert {rrtype for _, rrtype in world.resolver.questions} == {"PTR", "AAAA"}


async def test_an_ipv4_mapped_client_is_one_of_ipv4() -> None:
    world = World(zone(["mx.example.com"], mx=HERE), address="::ffff:192.0.2.1")
    assert shown(await world.names()) == ("mx.example.com", "")


async def test_aliases_are_followed() -> None:
    """The resolver returns the chain: RFC 2317 delegates networks smaller than /24 in this way."""
    chain = [
        ResourceRecord(PTR, "CNAME", f"1.0-127.{PTR[2:]}"),
        ResourceRecord(f"1.0-127.{PTR[2:]}", "PTR", "mx.example.com"),
    ]

    class Aliasing(FakeResolver):
        def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
            answer = super().resolve(name, rrtype)
            if rrtype == "PTR":
                answer.set_result(chain)
            return answer

    address = parse_address("192.0.2.1")
    assert address
    queries = NameQueries(Request(), address, Aliasing(zone(mx=HERE)), lambda: None)
    for _ in range(20):
        await asyncio.sleep(0)
    assert queries.names.verified == "mx.example.com"


async def test_both_questions_are_asked_at_once_and_one_that_both_need_only_once() -> None:
    world = World(zone(["mx.example.com"], mx=HERE), "mx.example.com")
    assert world.resolver.questions == [(PTR, "PTR"), ("mx.example.com", "A")]
    await world.names()
    assert len(world.resolver.questions) == 2


async def test_the_order_of_an_answer_does_not_matter() -> None:
    """The HELO name comes first, then its domain, then the alphabet."""
    pointed = ["a.example.net", "b.example.com", "mx.example.com"]
    dns = {**zone(b=HERE, mx=HERE), ("a.example.net", "A"): HERE}
    for helo, name in (("mx.example.com", pointed[2]), ("x.example.com", pointed[1]), ("x.example.org", pointed[0])):
        for order in (pointed, pointed[::-1]):
            assert (await World({**dns, (PTR, "PTR"): order}, helo).names()).verified == name


async def test_a_stranger_s_zone_causes_at_most_six_queries() -> None:
    world = World(zone([f"{number}.example.com" for number in range(1000, 1256)]), "mx.example.com")
    assert shown(await world.names()) == (UNVERIFIED, "")
    assert len(world.resolver.questions) == 6


async def test_what_is_late_is_unknown_and_causes_no_more_queries() -> None:
    world = World(zone(["mx.example.com"], mx=HERE), "helo.example.com")
    names = world.queries.names
    assert shown(names) == ("?", "?")
    assert names.missing
    assert names.missing.detail == f"{PTR} PTR: no answer in time"
    world.queries.give_up()
    await world.names()
    assert len(world.resolver.questions) == 2


async def test_it_is_complete_when_the_last_answer_is_there() -> None:
    world = World(zone(["mx.example.com"], mx=SILENT), "helo.example.com")
    assert not world.queries.is_complete
    await world.names()
    assert not world.queries.is_complete
    assert world.answers == 2
    world = World(zone(["mx.example.com"], mx=HERE), "helo.example.com")
    await world.names()
    assert world.queries.is_complete
    assert world.answers == 3


@pytest.mark.parametrize(
    ("dns", "detail"),
    [
        (zone(), "192.0.2.1 has no PTR record"),
        (zone(["host.example.com"]), "host.example.com does not lead to 192.0.2.1"),
        (zone(ResolverError(PTR, "PTR", "SERVFAIL")), f"{PTR} PTR: SERVFAIL"),
    ],
)
async def test_detail_is_for_people(dns: Zone, detail: str) -> None:
    names = await World(dns).names()
    assert names.missing
    assert names.missing.detail == detail
