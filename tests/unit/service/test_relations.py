"""Relations, through the nine steps: who is never delayed because of earlier mail."""

import pytest

from bley.core.evidence import Finding, found
from bley.core.findings import Check, FindingKind
from bley.core.greylist import Record, Sighting, Status
from bley.core.mail import Request, Triplet
from bley.service import relations
from tests.fakes import NOON
from tests.unit.service.test_service import BAD, GOOD, REQUEST, TRIPLET, World

FAIL, PASS, UNKNOWN = found(FindingKind.SPF_FAIL, "fail"), Finding(0, "pass"), Finding(None, "no answer in time")
NAME = "mx.example.net"
PAIR, CLIENT = Triplet("example.net", "@example.com", ""), Triplet("example.net", "", "")


async def _pair(world: World, **changes: str) -> None:
    """Let mail of the pair pass on two days."""
    good, world.checks.evidence = world.checks.evidence, GOOD
    for number in range(2):
        await world.decide(**{"client_name": NAME, "recipient": f"first{number}@example.org", **changes})
        world.clock.advance(days=1)
    world.checks.evidence = good


class TestPair:
    async def test_a_stranger_of_a_pair_passes_at_once(self) -> None:
        world = World()
        await _pair(world)
        decision = await world.decide(client_name=NAME)
        assert (decision.reason, decision.defers) == ("known-pair", False)
        assert decision.relation.startswith("mail of example.com came from example.net and passed")
        assert decision.evidence == {Check.SPF: PASS}
        assert world.store.records[TRIPLET._replace(client="example.net")].status is Status.CLEAN

    async def test_it_is_known_by_itself_then(self) -> None:
        world = World()
        await _pair(world)
        await world.decide(client_name=NAME)
        assert (await world.decide(client_name=NAME)).reason == "known"

    async def test_a_single_day_is_not_enough(self) -> None:
        world = World(cache_valid="0")
        world.checks.evidence = GOOD
        for number in range(5):
            await world.decide(client_name=NAME, recipient=f"first{number}@example.org")
            world.clock.advance(hours=1)
        world.checks.evidence = BAD
        assert (await world.decide(client_name=NAME)).reason == "helo"

    async def test_one_day_is_enough_for_mail_that_waited(self) -> None:
        """Its retry shows a server; a second stranger of the same day waits too."""
        world = World(cache_valid="0")
        assert (await world.decide(client_name=NAME)).reason == "helo"
        world.clock.advance(minutes=6)
        assert (await world.decide(client_name=NAME)).reason == "waited"
        assert (await world.decide(client_name=NAME, recipient="c@example.org")).reason == "helo"
        world.clock.advance(days=1)
        assert (await world.decide(client_name=NAME, recipient="d@example.org")).reason == "known-pair"

    async def test_mail_that_waited_counts_although_other_mail_of_the_pair_passed_before(self) -> None:
        world = World(GOOD, cache_valid="0")
        await world.decide(client_name=NAME, recipient="c@example.org")
        world.checks.evidence = BAD
        await world.decide(client_name=NAME)
        world.clock.advance(minutes=6)
        await world.decide(client_name=NAME)
        assert world.store.relations[PAIR].status is Status.PAIR

    async def test_a_restart_does_not_record_a_pair_of_the_last_hour_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World(GOOD, cache_valid="0")
        await world.decide(client_name=NAME)
        world.service.clear_caches()
        sightings: list[Sighting] = []
        monkeypatch.setattr(world.store, "record_later", sightings.append)
        await world.decide(client_name=NAME)
        assert PAIR not in [each.triplet for each in sightings]
        world.service.clear_caches()
        world.clock.advance(hours=1)
        await world.decide(client_name=NAME)
        assert PAIR in [each.triplet for each in sightings]

    async def test_a_rented_machine_is_an_origin_of_its_own(self) -> None:
        """Its neighbors on the network have other owners, and its two addresses have one."""
        world = World()
        await _pair(world, client_name="vps1.example.net")
        assert (await world.decide(client_name="vps2.example.net")).reason == "helo"
        world.clock.advance(minutes=2)
        moved = await world.decide(client_name="VPS1.example.net", client_address="2001:db8::1")
        assert moved.reason == "known-pair"

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"sender": "a@example.edu"}, id="another domain's mail"),
            pytest.param({"client_name": "mx.example.edu"}, id="another origin"),
            pytest.param({"client_name": "198-51-100-7.dsl.example.net"}, id="an access line of the origin"),
            pytest.param({"sender": ""}, id="the null sender"),
        ],
    )
    async def test_other_mail_is_judged(self, changes: dict[str, str]) -> None:
        world = World()
        await _pair(world)
        assert (await world.decide(**{"client_name": NAME, **changes})).reason == "helo"

    @pytest.mark.parametrize(("spf", "reason"), [(FAIL, "helo"), (UNKNOWN, "known-pair"), (PASS, "known-pair")])
    async def test_mail_that_spf_forbids_is_judged(self, spf: Finding, reason: str) -> None:
        world = World()
        await _pair(world)
        world.checks.spf = spf
        assert (await world.decide(client_name=NAME)).reason == reason

    async def test_mail_of_a_listed_domain_is_judged(self) -> None:
        """A domain that was clean on its first days may be listed since."""
        world = World(domain_lists="dbl.example")
        await _pair(world)
        assert (await world.decide(client_name=NAME, recipient="c@example.org")).reason == "known-pair"
        world.checks.lists_domain = True
        assert (await world.decide(client_name=NAME)).reason == "helo"

    async def test_without_use_spf_it_is_not_queried(self) -> None:
        world = World(use_spf="0")
        await _pair(world)
        assert (await world.decide(client_name=NAME)).reason == "known-pair"
        assert world.checks.spf_asked == 0

    async def test_it_outweighs_that_the_client_was_judged_bad(self) -> None:
        world = World()
        await _pair(world)
        assert (await world.decide(client_name=NAME, sender="a@example.edu")).reason == "helo"
        assert (await world.decide(client_name=NAME, sender="b@example.edu")).reason == "client-bad"
        assert (await world.decide(client_name=NAME)).reason == "known-pair"

    async def test_a_private_network_has_no_pairs(self) -> None:
        """All mail through a gateway would be of one origin."""
        world = World()
        await _pair(world, client_address="192.168.0.7", client_name="unknown")
        assert world.store.relations == {}

    async def test_mail_without_a_name_is_of_its_network(self) -> None:
        world = World()
        await _pair(world, client_name="unknown")
        assert (await world.decide(client_address="198.51.100.99")).reason == "known-pair"

    async def test_the_subdomains_of_the_sender_are_one(self) -> None:
        world = World()
        await _pair(world, sender="a@bounces1.example.com")
        assert (await world.decide(client_name=NAME, sender="a@bounces2.example.com")).reason == "known-pair"

    async def test_known_mail_teaches_at_most_once_an_hour(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[Triplet] = []
        world = World(GOOD)
        record = world.store.record_later

        def write(sighting: Sighting) -> None:
            written.append(sighting.triplet)
            record(sighting)

        monkeypatch.setattr(world.store, "record_later", write)
        for number in range(10):
            await world.decide(client_name=NAME, recipient=f"b{number}@example.org")
        assert written.count(PAIR) == 1
        world.clock.advance(hours=1)
        await world.decide(client_name=NAME, recipient="c@example.org")
        assert written.count(PAIR) == 2

    async def test_it_is_learned_again_after_it_was_forgotten(self) -> None:
        world = World(GOOD)
        await world.decide(client_name=NAME)
        world.store.relations.clear()
        world.service.clear_caches()
        await world.decide(client_name=NAME, recipient="c@example.org")
        assert PAIR in world.store.relations

    async def test_a_recipient_may_want_every_stranger_to_wait(self) -> None:
        world = World()
        await _pair(world)
        world.reload(classic="1")
        assert (await world.decide(client_name=NAME)).reason == "classic"

    async def test_a_name_that_only_the_checks_find_counts(self) -> None:
        world = World()
        await _pair(world)
        world.checks.verified = NAME
        assert (await world.decide(client_address="203.0.112.9")).reason == "known-pair"


class TestClient:
    @staticmethod
    async def wait(world: World, number: int) -> str:
        """Let a mail of the origin wait, and come back an hour after the one before."""
        changes = {"client_name": NAME, "sender": f"x@s{number}.example", "recipient": f"b{number}@example.org"}
        first = await world.decide(**changes)
        world.clock.advance(hours=1)
        await world.decide(**changes)
        return first.reason.value

    async def test_an_origin_whose_deferrals_came_back_five_times_is_known(self) -> None:
        world = World(cache_valid="0")
        assert [await self.wait(world, number) for number in range(6)] == ["helo"] * 5 + ["known-client"]
        assert world.store.relations[CLIENT].attempts == 5

    async def test_one_an_hour_counts(self) -> None:
        world = World(cache_valid="0")
        changes = [{"client_name": NAME, "sender": f"x@s{number}.example"} for number in range(10)]
        for each in changes:
            assert (await world.decide(**each)).reason == "helo"
        world.clock.advance(minutes=6)
        for each in changes:
            assert (await world.decide(**each)).reason == "waited"
        assert world.store.relations[CLIENT].attempts == 1

    async def test_its_mail_keeps_it_known(self) -> None:
        world = World(cache_valid="0", auto_known="1")
        await self.wait(world, 0)
        for number in range(1, 4):
            world.clock.advance(days=30)
            assert await self.wait(world, number) == "known-client"
        world.clock.advance(days=41)
        assert await self.wait(world, 9) == "helo"


class TestCorrespondent:
    SUBMISSION = REQUEST._replace(sasl_username="bob", sender="B+tag@example.org", recipient="A@Example.com")

    async def test_the_answer_of_a_stranger_passes_at_once(self) -> None:
        world = World()
        assert (await world.service.decide(self.SUBMISSION)).reason == "authenticated"
        decision = await world.decide()
        assert (decision.reason, decision.relation) == (
            "correspondent",
            "<b@example.org> wrote to <a@example.com>, last on 2026-11-23",
        )

    async def test_only_to_the_user_who_wrote(self) -> None:
        world = World()
        await world.service.decide(self.SUBMISSION)
        assert (await world.decide(recipient="c@example.org")).reason == "helo"

    async def test_for_correspondent_days(self) -> None:
        world = World(correspondent_days="7")
        await world.service.decide(self.SUBMISSION)
        world.clock.advance(days=8)
        assert (await world.decide()).reason == "helo"

    async def test_0_days_learn_nothing(self) -> None:
        world = World(correspondent_days="0")
        await world.service.decide(self.SUBMISSION)
        assert world.store.relations == {}

    async def test_with_a_privacy_key_addresses_are_hashed(self) -> None:
        world = World(privacy_key=b"k" * 32)
        await world.service.decide(self.SUBMISSION)
        assert (await world.decide()).reason == "correspondent"
        assert "a@example.com" not in str(world.store.relations)

    async def test_a_stolen_password_teaches_a_bounded_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(relations, "_MOST_OF_A_USER", 3)
        monkeypatch.setattr(relations, "_MOST_USERS", 2)
        world = World()

        async def write(user: str, number: int) -> None:
            request = self.SUBMISSION._replace(sasl_username=user, recipient=f"x{number}@example.com")
            await world.service.decide(request)

        for number in range(9):
            await write("bob", number)
            await write("ann", 100 + number)
            await write("eve", 200 + number)
        assert len(world.store.relations) == 6
        world.clock.advance(days=1)
        await write("eve", 300)
        assert len(world.store.relations) == 7


class TestPool:
    """SPF permits both clients, and the mail waited under the first."""

    OTHER = "203.0.112.9"

    @pytest.mark.parametrize(
        ("spf", "minutes", "reason"),
        [
            pytest.param(PASS, 6, "known-by-spf", id="the wait is over"),
            pytest.param(PASS, 4, "helo", id="it is not"),
            pytest.param(UNKNOWN, 6, "helo", id="SPF is unknown"),
            pytest.param(FAIL, 6, "helo", id="SPF forbids it"),
        ],
    )
    async def test_a_retry_from_another_client(self, spf: Finding, minutes: int, reason: str) -> None:
        world = World()
        await world.decide()
        world.clock.advance(minutes=minutes)
        world.checks.spf = spf
        decision = await world.decide(client_address=self.OTHER)
        assert decision.reason == reason

    async def test_the_first_wait_counts_where_the_second_client_waits_too(self) -> None:
        world = World()
        await world.decide()
        world.clock.advance(minutes=3)
        assert (await world.decide(client_address=self.OTHER)).reason == "helo"
        world.clock.advance(minutes=3)
        assert (await world.decide(client_address=self.OTHER)).reason == "known-by-spf"
        assert (await world.decide(client_address=self.OTHER)).reason == "known"

    @pytest.mark.parametrize("world", [World(known_by_spf="0"), World(use_spf="0")], ids=["itself", "with SPF"])
    async def test_it_can_be_switched_off(self, world: World) -> None:
        await world.decide()
        world.clock.advance(minutes=6)
        assert (await world.decide(client_address=self.OTHER)).reason == "helo"
        assert world.checks.spf_asked == 0

    async def test_other_mail_is_another(self) -> None:
        world = World()
        await world.decide()
        world.clock.advance(minutes=6)
        assert (await world.decide(client_address=self.OTHER, recipient="c@example.org")).reason == "helo"


async def test_a_store_without_relations_costs_no_query_for_spf() -> None:
    world = World()
    await world.decide()
    assert world.checks.spf_asked == 0


async def test_what_is_deferred_is_recorded_for_its_pool_only() -> None:
    world = World()
    request: Request = REQUEST
    await world.decide()
    pool = Triplet("pool", request.sender, request.recipient)
    assert world.store.relations == {pool: Record(Status.POOL, NOON, NOON, 0, request.client_address)}
