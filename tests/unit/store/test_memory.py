"""The store in memory, which other tests use, does what every store does."""

from bley.core.decision import Decision, DecisionEntry
from bley.core.greylist import Lifetimes, Record, Sighting, Status, merged
from bley.core.mail import Request, Triplet
from bley.core.reasons import Reason
from bley.store.memory import MemoryStore
from tests.fakes import NOON

_TRIPLET = Triplet("c", "s", "r")
_SIGHTING = Sighting(_TRIPLET, Status.GREYLISTED, NOON, Lifetimes(), 1)


async def test_sightings_are_merged() -> None:
    store = MemoryStore()
    assert (await store.find([_TRIPLET])).records == {}
    await store.record(_SIGHTING)
    store.record_later(_SIGHTING._replace(status=Status.CLEAN))
    record = merged(merged(None, _SIGHTING), _SIGHTING._replace(status=Status.CLEAN))
    assert (await store.find([_TRIPLET])).records == {_TRIPLET: record}


async def test_a_domain_is_found_by_its_network() -> None:
    store = MemoryStore()
    named = Sighting(Triplet("example.com", "s", "r"), Status.CLEAN, NOON, Lifetimes(), network="192.0.2.0/24")
    await store.record(named)
    found = await store.find([Triplet("192.0.2.0/24", "s", "r")])
    assert found.records == {named.triplet: Record(Status.CLEAN, NOON, NOON)}
    assert found.domains["192.0.2.0/24"] == {"example.com": NOON}
    assert (await store.find([Triplet("192.0.2.0/24", "s", "other")])).records == {}


async def test_decisions_are_kept_in_their_order() -> None:
    store = MemoryStore()
    decisions = [
        DecisionEntry(NOON, "pass", Decision(Request(), reason), "s", "r") for reason in (Reason.CLEAN, Reason.KNOWN)
    ]
    for decision in decisions:
        store.add_decision(decision)
    await store.close()
    assert store.decisions == decisions
