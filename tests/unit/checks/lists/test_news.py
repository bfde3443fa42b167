"""The log of the lists' health: each fault once, under the name of the party that is at fault."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address

import pytest

from bley.checks.lists.watch import ListWatch
from bley.core.dnslists.lists import parse_dns_lists, query_name
from bley.ports import ResourceRecord, RrType
from tests.fakes import FakeClock, FakeResolver, query_list

pytestmark = pytest.mark.leaps

ZEN, SPAMCOP, OTHER = "zen.spamhaus.org", "bl.spamcop.net", "bl.example"
ZONES = (ZEN, SPAMCOP, OTHER)
ENTRY, CLIENT = ip_address("127.0.0.2"), ip_address("192.0.2.1")
REWRITES = (
    "DNS: the resolver 192.0.2.53 answers 203.0.113.99 for names that do not exist; "
    "until that ends, zen.spamhaus.org, bl.spamcop.net, bl.example count 0; "
    "use a resolver of your own, such as unbound (setting resolver): see docs/lists.md"
)


async def settle() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


class Resolver(FakeResolver):
    """A resolver with one answer for all names below a zone."""

    def __init__(self) -> None:
        super().__init__()
        self.below: dict[str, tuple[str, ...]] = {}

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        for zone, answer in self.below.items():
            if name.endswith(f".{zone}"):
                return FakeResolver({(name, rrtype): answer}).resolve(name, rrtype)
        return super().resolve(name, rrtype)


class World:
    """Three lists that are well, with their resolver, and a time that the test advances."""

    def __init__(self) -> None:
        self.clock, self.resolver = FakeClock(), Resolver()
        self.flushes = 0
        loop = asyncio.get_running_loop()
        self._loop_time, self._passed = loop.time, 0.0
        loop.time = lambda: self._loop_time() + self._passed  # type: ignore[method-assign]
        self.mend()

    def mend(self) -> None:
        self.resolver.invented = frozenset()
        self.resolver.zone = {(query_name(ENTRY, zone), "A"): ("127.0.0.2",) for zone in ZONES}

    def rewrite(self, *addresses: str) -> None:
        """Answer these addresses for all other names."""
        self.resolver.invented = frozenset(addresses)

    def filter(self, *zones: str, answer: tuple[str, ...] = ()) -> None:
        """Answer this for the test entry and for addresses that are not listed."""
        for zone in zones:
            for address in ("127.0.0.2", "127.0.0.1"):
                self.resolver.zone[query_name(ip_address(address), zone), "A"] = answer

    async def start(self, *, names_resolver: bool = True) -> None:
        self.watch = ListWatch(self.clock, names_resolver=names_resolver)
        self.watch.follow(parse_dns_lists(" ".join(ZONES)), self.resolver, flush_cache=self._flush)
        await settle()

    def _flush(self) -> None:
        self.flushes += 1

    async def wait(self, **duration: float) -> None:
        before = self.clock.now
        self.clock.advance(**duration)
        self._passed += (self.clock.now - before).total_seconds()
        await settle()

    async def client(self, zone: str, answer: str) -> None:
        """Query the list about a client, with this answer."""
        self.resolver.zone[query_name(CLIENT, zone), "A"] = (answer,)
        query_list(self.watch.lists[zone], CLIENT, self.resolver, lambda _: None)
        await settle()

    def why(self, zone: str) -> str:
        answer = self.watch.lists[zone].unasked_answer(4)
        return answer.why.partition("UTC: ")[2] if answer else "it is queried"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.watch.close()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("bley"), "propagate", True)
    return caplog


@pytest.mark.parametrize("address", ["203.0.113.99", "0.0.0.0", "127.0.0.1", "127.0.0.2", "192.168.1.1"])
async def test_resolver_that_rewrites_is_named_once_and_no_list(
    world: World, log: pytest.LogCaptureFixture, address: str
) -> None:
    """Also if the address looks like a listing: no list counts, so none lists every client."""
    world.rewrite(address)
    await world.start()
    await world.wait(hours=3)
    assert log.messages == [REWRITES.replace("203.0.113.99", address)]
    assert world.watch.news.resolver_fault
    for zone in ZONES:
        assert world.why(zone) == f"the resolver 192.0.2.53 answers {address} for names that do not exist"


async def test_lists_count_again_soon_after_the_resolver_is_well(world: World, log: pytest.LogCaptureFixture) -> None:
    world.rewrite("203.0.113.99")
    await world.start()
    await world.wait(hours=3)
    world.mend()
    await world.wait(minutes=5)
    assert log.messages == [REWRITES, "DNS: the resolver 192.0.2.53 answers right again, after 3:05:00"]
    assert [world.why(zone) for zone in ZONES] == ["it is queried"] * 3
    assert world.flushes
    assert not world.watch.news.resolver_fault


async def test_resolver_that_begins_to_rewrite_is_found_by_the_next_client(
    world: World, log: pytest.LogCaptureFixture
) -> None:
    """As behind a captive portal. All lists are tested at once, those without a client too."""
    await world.start()
    await world.wait(minutes=10)
    world.rewrite("203.0.113.99")
    await world.client(ZEN, "203.0.113.99")
    assert log.messages == [REWRITES]
    world.mend()
    await world.wait(minutes=1)
    assert log.messages[1:] == ["DNS: the resolver 192.0.2.53 answers right again, after 0:01:00"]


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (("0.0.0.0",), "it answers 0.0.0.0 for them"),
        (("127.0.0.1",), "it answers 127.0.0.1 for them"),
        ((), "it does not find their test entries"),
    ],
)
async def test_resolver_that_filters_lists_is_named_once(
    world: World, log: pytest.LogCaptureFixture, answer: tuple[str, ...], what: str
) -> None:
    world.filter(ZEN, SPAMCOP, answer=answer)
    await world.start()
    await world.wait(hours=3)
    (message,) = log.messages
    assert message.startswith(f"DNS: the resolver 192.0.2.53 filters DNS lists: {what}; until that ends, zen.spam")
    assert world.why(ZEN) == world.why(SPAMCOP) == f"the resolver 192.0.2.53 filters DNS lists: {what}"
    assert world.why(OTHER) == "it is queried"
    world.mend()
    await world.wait(minutes=5)
    assert log.messages[1:] == ["DNS: the resolver 192.0.2.53 answers right again, after 3:05:00"]
    assert world.why(ZEN) == world.why(SPAMCOP) == "it is queried"


async def test_one_list_that_recovers_clears_the_resolver_and_leaves_the_blame_with_the_other(
    world: World, log: pytest.LogCaptureFixture
) -> None:
    world.filter(ZEN, SPAMCOP)
    await world.start()
    world.mend()
    world.filter(SPAMCOP)
    await world.wait(minutes=5)
    assert [message.partition(":")[0] for message in log.messages[1:]] == ["bl.spamcop.net is set aside", "DNS"]
    assert world.why(ZEN) == "it is queried"


async def test_resolver_that_begins_to_filter_is_found_by_the_next_client(
    world: World, log: pytest.LogCaptureFixture
) -> None:
    await world.start()
    await world.wait(minutes=10)
    world.filter(ZEN, SPAMCOP, answer=("0.0.0.0",))
    await world.client(ZEN, "0.0.0.0")
    (message,) = log.messages
    assert message.startswith("DNS: the resolver 192.0.2.53 filters DNS lists: it answers 0.0.0.0 for them;")


@pytest.mark.parametrize("zone", [ZEN, OTHER])
async def test_one_list_alone_is_to_blame(world: World, log: pytest.LogCaptureFixture, zone: str) -> None:
    """A parked domain, while other names that do not exist have no address."""
    world.filter(zone, answer=("203.0.113.9",))
    await world.start()
    (message,) = log.messages
    assert message.startswith(
        f"{zone} is set aside: it answers 203.0.113.9, which is no return code: its domain is parked"
    )
    assert not world.watch.news.resolver_fault


async def test_list_that_is_ill_itself_is_logged_besides(world: World, log: pytest.LogCaptureFixture) -> None:
    world.rewrite("203.0.113.99")
    world.resolver.below[OTHER] = ("127.255.255.254",)
    await world.start()
    other, resolver = log.messages
    assert other.startswith("bl.example is set aside: it refuses our queries")
    assert "zen.spamhaus.org, bl.spamcop.net count 0" in resolver


async def test_of_several_workers_one_names_the_resolver(world: World, log: pytest.LogCaptureFixture) -> None:
    world.rewrite("203.0.113.99")
    await world.start(names_resolver=False)
    world.mend()
    await world.wait(minutes=1)
    assert log.messages == []
    assert world.why(ZEN) == "it is queried"


async def test_fault_of_one_list_tests_the_others_at_most_once_a_minute(world: World) -> None:
    await world.start()
    entry = (query_name(ENTRY, ZEN), "A")
    await world.wait(minutes=2)
    for number in range(3):
        world.resolver.below[OTHER] = ("203.0.113.9",)
        await world.client(OTHER, "203.0.113.9")
        del world.resolver.below[OTHER]
        world.watch.lists[OTHER].tester.request_test()
        await world.wait(seconds=20)
        assert world.resolver.questions.count(entry) == 2, number


async def test_list_that_a_reload_removes_holds_back_no_news(world: World, log: pytest.LogCaptureFixture) -> None:
    await world.start()
    world.filter(OTHER)
    world.watch.news.begin_test(SPAMCOP)
    world.watch.follow(parse_dns_lists(f"{ZEN} {OTHER}"), world.resolver)
    await settle()
    assert [message.partition(":")[0] for message in log.messages] == ["bl.example is set aside"]


async def test_dead_list_holds_back_no_news_after_a_reload(world: World, log: pytest.LogCaptureFixture) -> None:
    """No test of it ever ends, since it is not tested."""
    await world.start()
    lists = parse_dns_lists(f"{ZEN} {OTHER} dnsbl.sorbs.net")
    world.watch.follow(lists, world.resolver)
    await settle()
    world.filter(OTHER)
    world.watch.follow(lists, world.resolver)
    await settle()
    assert [message.partition(":")[0] for message in log.messages] == ["bl.example is set aside"]


async def test_late_answer_of_a_removed_list_holds_back_no_news(world: World, log: pytest.LogCaptureFixture) -> None:
    await world.start()
    removed = world.watch.lists[SPAMCOP]
    world.watch.follow(parse_dns_lists(f"{ZEN} {OTHER}"), world.resolver)
    await settle()
    world.resolver.zone[query_name(CLIENT, SPAMCOP), "A"] = ("203.0.113.80",)
    query_list(removed, CLIENT, world.resolver, lambda _: None)
    await settle()
    world.filter(OTHER)
    world.watch.lists[OTHER].tester.request_test()
    await settle()
    assert "bl.example is set aside" in [message.partition(":")[0] for message in log.messages]
