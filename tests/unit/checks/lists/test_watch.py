"""Lists as they are watched: when they are asked, when they are tested, and what the operator is told."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address

import pytest

from bley.checks.lists.report import report_lists
from bley.checks.lists.watch import ListWatch
from bley.core.dnslists.health import ListState
from bley.core.dnslists.lists import Answer, Meaning, parse_dns_lists, query_name
from bley.core.errors import ResolverError
from bley.core.mail import Address
from tests.fakes import Data, FakeClock, FakeResolver, queried_list, query_list

pytestmark = pytest.mark.leaps

ZONE = "bl.example"
DEAD = "dnsbl.sorbs.net"
CLIENT, CLIENT_IPV6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")
ENTRY, CLEAR = ip_address("127.0.0.2"), ip_address("127.0.0.1")
ENTRY_IPV6, CLEAR_IPV6 = ip_address("::ffff:7f00:2"), ip_address("::ffff:7f00:1")

LISTED = ("127.0.0.2",)
FAILING = ResolverError("", "A", "SERVFAIL")
SILENCE = ResolverError("", "A", "no answer in time", is_silence=True)
REFUSING = ("127.255.255.254",)
PARKED = ("203.0.113.80",)

WELL, ILL, UNTESTED, NOT_SERVED = ListState.WELL, ListState.ILL, ListState.UNTESTED, ListState.NOT_SERVED


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)


class World:
    """A watch, a DNS in which every list is well for IPv4, and time that is told."""

    def __init__(self, *zones: str) -> None:
        self.clock, self.resolver = FakeClock(), FakeResolver()
        self.watch = ListWatch(self.clock)
        self.suspicions = 0
        loop = asyncio.get_running_loop()
        self._loop_time, self._passed = loop.time, 0.0
        loop.time = self._time  # type: ignore[method-assign]
        for zone in zones:
            self.answer(ENTRY, LISTED, zone)

    def _time(self) -> float:
        return self._loop_time() + self._passed

    def answer(self, address: Address, answer: tuple[Data, ...] | ResolverError, zone: str = ZONE) -> None:
        self.resolver.zone[query_name(address, zone), "A"] = answer

    async def follow(self, *zones: str) -> None:
        self.watch.follow(parse_dns_lists(", ".join(zones)), self.resolver, probe_dns=self._suspect)
        await settle()

    def _suspect(self) -> None:
        self.suspicions += 1

    async def wait(self, **duration: float) -> None:
        before = self.clock.now
        self.clock.advance(**duration)
        self._passed += (self.clock.now - before).total_seconds()
        await settle()

    async def ask(self, address: Address = CLIENT, zone: str = ZONE, times: int = 1) -> list[Answer]:
        answers: list[Answer] = []
        for _ in range(times):
            query_list(self.watch.lists[zone], address, self.resolver, answers.append)
            await settle()
        return answers

    def tests(self, zone: str = ZONE) -> int:
        """How often the list was tested."""
        return self.resolver.questions.count((query_name(ENTRY, zone), "A"))

    def states(self, zone: str = ZONE) -> tuple[ListState, ListState]:
        """How the list stands for IPv4 and for IPv6 clients."""
        healths = self.watch.lists[zone].tester.health.versions
        return healths[4].state, healths[6].state


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(ZONE, "other.example")
    yield world
    await world.watch.close()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What bley logs, whatever another test has made of its logger."""
    logger = logging.getLogger("bley")
    was = logger.propagate
    logger.propagate = True
    yield caplog
    logger.propagate = was


class TestFirstTest:
    @pytest.mark.parametrize(
        ("entry", "is_down", "meaning", "why"),
        [
            (LISTED, False, Meaning.LISTED, ""),
            ((), False, Meaning.SET_ASIDE, "since 2026-11-23 12:00 UTC: it does not list its test entry 127.0.0.2 "),
            (LISTED, True, Meaning.SET_ASIDE, "not tested yet"),
        ],
        ids=["well", "ill", "the DNS is down"],
    )
    async def test_answers_wait_for_it_and_are_believed_when_it_finds_the_list_well(
        self, world: World, entry: tuple[str, ...], is_down: bool, meaning: Meaning, why: str
    ) -> None:
        (dns_list,), answers = parse_dns_lists(ZONE), list[Answer]()
        queried = queried_list(dns_list, world.clock)
        world.answer(CLIENT, LISTED)
        world.answer(ENTRY, entry)
        assert queried.unasked_answer(4) is None
        query_list(queried, CLIENT, world.resolver, answers.append)
        await settle()
        assert answers == []
        world.resolver.is_down = is_down
        watching = asyncio.create_task(queried.tester.run(lambda: world.resolver))
        await settle()
        assert [answer.meaning for answer in answers] == [meaning]
        assert answers[0].why.startswith(why)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.parametrize(("is_down", "suspicions"), [(True, 1), (False, 0)])
async def test_where_a_test_says_nothing_of_the_list_the_dns_is_suspected(
    world: World, is_down: bool, suspicions: int
) -> None:
    world.resolver.is_down = is_down
    await world.follow(ZONE)
    assert world.suspicions == suspicions


class TestAnswers:
    async def test_a_well_list_s_answers_come_as_they_are_and_are_counted(self, world: World) -> None:
        await world.follow(ZONE)
        watched = world.watch.lists[ZONE]
        assert watched.unasked_answer(4) is None
        assert await world.ask() == [Answer(Meaning.CLEAR)]
        world.answer(CLIENT, FAILING)
        assert await world.ask() == [Answer(Meaning.FAILED, why="SERVFAIL")]
        assert watched.answers == {Meaning.CLEAR: 1, Meaning.FAILED: 1}
        assert watched.tester.health.last_error == (world.clock.now, "SERVFAIL")
        assert len(watched.seconds) == 1, "only what told something has a latency"
        assert 0 <= watched.seconds[0] < 5

    async def test_who_asks_about_the_same_client_at_the_same_time_gets_the_same_answer(self, world: World) -> None:
        """It is asked for, counted, and held against the list once: a zone in both settings is one list."""
        await world.follow(ZONE)
        world.answer(CLIENT, REFUSING)
        watched, answers = world.watch.lists[ZONE], list[Answer]()
        for _ in range(3):
            query_list(watched, CLIENT, world.resolver, answers.append)
        await settle()
        assert [answer.meaning for answer in answers] == [Meaning.REFUSED] * 3
        assert watched.answers == {Meaning.REFUSED: 1}
        assert world.resolver.questions.count((query_name(CLIENT, ZONE), "A")) == 1
        await world.ask()
        assert watched.answers == {Meaning.REFUSED: 2}, "afterwards it is asked anew"

    async def test_an_ill_list_has_an_answer_without_being_asked(self, world: World) -> None:
        world.answer(ENTRY, ())
        await world.follow(ZONE)
        for version in (4, 6):
            instead = world.watch.lists[ZONE].unasked_answer(version)
            assert instead is not None
            assert instead.meaning is Meaning.SET_ASIDE
            assert instead.why.startswith("since 2026-11-23 12:00 UTC: it does not list its test entry")

    async def test_a_dead_list_is_never_asked_nor_tested(self, world: World) -> None:
        await world.follow(DEAD)
        await world.wait(hours=5)
        await world.follow(DEAD)
        assert world.resolver.questions == []
        assert world.states(DEAD) == (ListState.DEAD, ListState.DEAD)
        assert world.watch.lists[DEAD].unasked_answer(4) == Answer(
            Meaning.SET_ASIDE, why="dead since 2024-06-05: it was emptied and closed by its operator"
        )


class TestIpVersions:
    async def test_a_list_without_ipv6_addresses_is_not_asked_about_ipv6_clients(self, world: World) -> None:
        """Of an unknown one the self-test tells."""
        await world.follow(ZONE)
        assert world.states() == (WELL, NOT_SERVED)
        why = "it has no IPv6 test entry, ::ffff:7f00:2 (RFC 5782 5)"
        assert world.watch.lists[ZONE].unasked_answer(6) == Answer(Meaning.NOT_SERVED, why=why)

    async def test_operator_reads_once_why_ipv6_clients_are_not_looked_up(
        self, world: World, log: pytest.LogCaptureFixture
    ) -> None:
        log.set_level(logging.INFO, "bley")
        await world.follow(ZONE)
        await world.wait(hours=3)
        assert log.messages == [
            (
                "bl.example: IPv6 clients are not looked up: "
                "it has no IPv6 test entry, ::ffff:7f00:2 (RFC 5782 5): see docs/lists.md"
            )
        ]
        (report,) = report_lists({"dnsbls": parse_dns_lists(ZONE)}, world.watch.lists)
        assert f"{ZONE}: {report['what']}: see docs/lists.md" == log.messages[0]

    async def test_where_it_is_known_nothing_needs_to_be_tested(self, world: World) -> None:
        await world.follow("bl.spameatingmonkey.net", "bl.ipv6.spameatingmonkey.net")
        assert world.states("bl.spameatingmonkey.net")[1] is NOT_SERVED
        assert world.watch.lists["bl.ipv6.spameatingmonkey.net"].unasked_answer(4) == Answer(
            Meaning.NOT_SERVED, why="it has no IPv4 addresses"
        )

    async def test_a_list_may_be_ill_for_ipv6_clients_alone(self, world: World, log: pytest.LogCaptureFixture) -> None:
        world.answer(ENTRY_IPV6, LISTED)
        world.answer(CLEAR_IPV6, LISTED)
        await world.follow(ZONE)
        assert world.states() == (WELL, ILL)
        assert world.watch.lists[ZONE].unasked_answer(4) is None
        assert world.watch.lists[ZONE].unasked_answer(6)
        assert log.messages[0].startswith("bl.example for IPv6 clients is set aside: it lists ::ffff:7f00:1, ")

    async def test_who_is_ill_for_ipv4_clients_is_ill_and_both_come_back(self, world: World) -> None:
        world.answer(ENTRY_IPV6, LISTED)
        await world.follow(ZONE)
        assert world.states() == (WELL, WELL)
        world.answer(ENTRY, ())
        await world.wait(hours=1)
        assert world.watch.lists[ZONE].unasked_answer(6)
        world.answer(ENTRY, LISTED)
        await world.wait(minutes=1)
        assert world.watch.lists[ZONE].unasked_answer(6) is None

    async def test_a_list_that_gets_ipv6_addresses_is_asked_about_them(self, world: World) -> None:
        await world.follow(ZONE)
        world.answer(ENTRY_IPV6, LISTED)
        await world.wait(hours=1)
        assert world.states() == (WELL, WELL)
        world.answer(ENTRY_IPV6, ())
        await world.wait(hours=1)
        assert world.states() == (WELL, WELL), "one test takes nothing away"


class TestWarnings:
    async def test_each_change_is_told_once_with_what_to_do(self, world: World, log: pytest.LogCaptureFixture) -> None:
        await world.follow(ZONE)
        await world.wait(hours=1)
        assert log.messages == [], "a list that is well is nothing to tell of"
        world.answer(ENTRY, REFUSING)
        await world.wait(hours=1)
        refused = (
            "bl.example is set aside: it refuses our queries (127.255.255.254: you may not ask); "
            "use a resolver of your own: see docs/lists.md"
        )
        assert log.messages == [refused]
        await world.wait(hours=1)
        assert log.messages == [refused], "nothing has changed"
        world.answer(ENTRY, PARKED)
        await world.wait(hours=1)
        assert len(log.messages) == 2
        assert log.messages[1].startswith("bl.example is set aside: it answers 203.0.113.80, ")
        world.answer(ENTRY, LISTED)
        await world.wait(hours=1)
        assert log.messages[2:] == ["bl.example is well again, after 3:00:00"]
        assert {record.levelno for record in log.records} == {logging.WARNING}
        assert world.states()[0] is WELL

    async def test_a_list_s_own_remedy_is_told(self, world: World, log: pytest.LogCaptureFixture) -> None:
        world.answer(ENTRY, REFUSING, "zen.spamhaus.org")
        await world.follow("zen.spamhaus.org")
        assert "or a free Data Query Service (DQS) key: see docs/lists.md" in log.messages[0]

    async def test_no_key_is_told(self, world: World, log: pytest.LogCaptureFixture) -> None:
        await world.follow("abcdefghijklmnopqrstuvwxyz.zen.dq.spamhaus.net")
        assert log.messages[0].startswith("********.zen.dq.spamhaus.net is set aside: ")


class TestDoubts:
    async def test_an_answer_outside_127_sets_the_list_aside_at_once(
        self, world: World, log: pytest.LogCaptureFixture
    ) -> None:
        """This answer does not count any more, and the list is tested."""
        await world.follow(ZONE)
        for address in (CLIENT, ENTRY, CLEAR):
            world.answer(address, PARKED)
        states: list[ListState] = []
        query_list(world.watch.lists[ZONE], CLIENT, world.resolver, lambda _: states.append(world.states()[0]))
        await settle()
        assert states == [ILL]
        assert world.tests() == 2
        assert [message.partition(",")[0] for message in log.messages] == [
            "bl.example is set aside: it answers 203.0.113.80"
        ]

    @pytest.mark.parametrize(
        ("answer", "times", "state"),
        [(FAILING, 3, ILL), (SILENCE, 3, ILL), (REFUSING, 1, WELL), (LISTED, 30, WELL)],
        ids=["failures", "silence", "a refusal", "listings in a row"],
    )
    async def test_odd_answers_bring_a_test_about_at_once(
        self, world: World, answer: tuple[str, ...] | ResolverError, times: int, state: ListState
    ) -> None:
        """Which decides; only who answers no mail is set aside although it passes: others would wait for it."""
        await world.follow(ZONE)
        world.answer(CLIENT, answer)
        await world.ask(times=times - 1)
        assert world.tests() == 1
        await world.ask()
        assert world.tests() == 2
        assert world.states()[0] is state

    async def test_some_listings_and_some_failures_are_nothing_odd(self, world: World) -> None:
        await world.follow(ZONE)
        for _ in range(20):
            world.answer(CLIENT, LISTED)
            await world.ask(times=4)
            world.answer(CLIENT, FAILING)
            await world.ask()
        assert world.tests() == 1

    @pytest.mark.parametrize("ipv6", [NOT_SERVED, ILL])
    async def test_doubts_bring_about_one_test_a_minute_at_the_most(self, world: World, ipv6: ListState) -> None:
        """Whether the list is ill for IPv6 clients or not, about whom nobody asks here."""
        if ipv6 is ILL:
            world.answer(CLEAR_IPV6, LISTED)
        await world.follow(ZONE)
        assert world.states() == (WELL, ipv6)
        world.answer(CLIENT, REFUSING)
        await world.ask(times=10)
        assert world.tests() == 2
        await world.wait(seconds=50)
        await world.ask(times=10)
        assert world.tests() == 2
        await world.wait(seconds=11)
        assert world.tests() == 3, "the doubt is not forgotten"

    async def test_a_doubt_finds_a_list_that_has_died(self, world: World) -> None:
        await world.follow(ZONE)
        world.answer(CLIENT, FAILING)
        world.answer(ENTRY, FAILING)
        await world.ask(times=3)
        assert world.states()[0] is ILL


class TestPauses:
    async def test_a_well_list_is_tested_every_hour(self, world: World) -> None:
        await world.follow(ZONE)
        for hour in range(1, 4):
            await world.wait(minutes=59)
            assert world.tests() == hour
            await world.wait(minutes=1)
            assert world.tests() == hour + 1

    async def test_an_ill_list_is_tested_after_a_minute_then_after_twice_as_long_up_to_an_hour(
        self, world: World
    ) -> None:
        world.answer(ENTRY, ())
        await world.follow(ZONE)
        for number, minutes in enumerate([1, 2, 4, 8, 16, 32, 60, 60], start=1):
            await world.wait(minutes=minutes - 0.1)
            assert world.tests() == number
            await world.wait(minutes=0.1)
            assert world.tests() == number + 1

    async def test_who_was_well_in_between_is_tested_after_a_minute_again(self, world: World) -> None:
        world.answer(ENTRY, ())
        await world.follow(ZONE)
        await world.wait(minutes=1)
        world.answer(ENTRY, LISTED)
        await world.wait(minutes=2)
        assert world.states()[0] is WELL
        world.answer(ENTRY, ())
        await world.wait(hours=1)
        before = world.tests()
        await world.wait(minutes=1)
        assert world.tests() == before + 1

    async def test_while_the_dns_is_down_no_list_is_blamed_and_all_are_tested_again_soon(
        self, world: World, log: pytest.LogCaptureFixture
    ) -> None:
        world.resolver.is_down = True
        await world.follow(ZONE)
        assert world.states() == (UNTESTED, UNTESTED)
        await world.wait(seconds=5)
        assert world.states() == (UNTESTED, UNTESTED)
        world.resolver.is_down = False
        await world.wait(seconds=5)
        assert world.states() == (WELL, NOT_SERVED)
        world.resolver.is_down = True
        await world.ask(times=3)
        await world.wait(hours=1)
        assert world.states() == (WELL, NOT_SERVED)
        assert log.messages == []

    async def test_a_test_that_raises_is_logged_and_done_again(
        self, world: World, log: pytest.LogCaptureFixture
    ) -> None:
        world.answer(ENTRY, ("no address",))
        await world.follow(ZONE)
        assert log.messages == ["bl.example could not be tested; please report it"]
        assert log.records[0].exc_info
        world.answer(ENTRY, LISTED)
        await world.wait(seconds=5)
        assert world.states()[0] is WELL


class TestReload:
    async def test_who_was_there_stays_as_ill_as_it_was_and_is_tested_by_the_new_resolver(
        self, world: World, log: pytest.LogCaptureFixture
    ) -> None:
        world.answer(ENTRY, ())
        await world.follow(ZONE)
        watched, before = world.watch.lists[ZONE], world.tests()
        await world.wait(seconds=30)
        world.resolver = FakeResolver()
        for _ in range(2):
            await world.follow(ZONE)
        assert world.watch.lists[ZONE] is watched
        assert (before, world.tests()) == (1, 2)
        assert watched.tester.health.versions[4].since < world.clock.now
        assert len(log.messages) == 1, "nothing has changed"

    async def test_a_well_list_is_tested_at_once(self, world: World) -> None:
        """Although it was tested for a doubt just now."""
        await world.follow(ZONE)
        world.answer(CLIENT, REFUSING)
        await world.ask()
        assert (world.tests(), world.states()[0]) == (2, WELL)
        world.answer(ENTRY, ())
        await world.follow(ZONE)
        assert world.states()[0] is ILL

    async def test_lists_come_and_go(self, world: World) -> None:
        await world.follow(ZONE, DEAD)
        await world.follow("other.example")
        assert list(world.watch.lists) == ["other.example"]
        assert world.states("other.example")[0] is WELL
        await world.wait(hours=1)
        assert (world.tests(), world.tests("other.example")) == (1, 2)
        await world.follow("other.example", ZONE)
        assert world.states()[0] is WELL
        assert world.tests() == 2


async def test_close_leaves_no_task(world: World) -> None:
    await world.follow(ZONE, "other.example", DEAD)
    assert len(asyncio.all_tasks()) == 3
    await world.watch.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
