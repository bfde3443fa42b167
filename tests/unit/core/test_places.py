"""The records of a triplet in all places of its client count as one, which is carried to the best place."""

from datetime import timedelta

import pytest

from bley.core.greylist import Record, Sighting, Standing, Status, Timing, merged, united
from bley.core.mail import Triplet
from bley.core.places import Located, locate
from tests.fakes import NOON

_NETWORK = "192.0.2.0/24"
_OWN = Triplet(_NETWORK, "s", "r")
_NAMED, _OTHER = _OWN._replace(client="example.com"), _OWN._replace(client="example.net")
_ANY = Triplet(_NETWORK, "ANY", "ANY")
_TIMING = Timing()


def _record(status: Status, minutes_ago: float = 0, attempts: int = 0) -> Record:
    seen = NOON - timedelta(minutes=minutes_ago)
    return Record(status, seen, seen, attempts)


_FRESH, _OLDER = _record(Status.GREYLISTED, 1), _record(Status.GREYLISTED, 9)
_EXPIRED = _record(Status.GREYLISTED, 60 * 24 * 11)
_CLEAN, _TRUSTED = _record(Status.CLEAN, 30), _record(Status.TRUSTED, 20)


def _locate(own: Triplet, **found: Record) -> Located:
    by_name = {"network": _OWN, "named": _NAMED, "other": _OTHER, "wildcard": _ANY}
    return locate(own, _NETWORK, {by_name[name]: record for name, record in found.items()}, _TIMING, NOON)


def test_a_stranger_has_its_own_place() -> None:
    assert _locate(_NAMED) == Located(_NAMED, Standing.NEW)


def test_an_expired_record_is_shown_but_does_not_count() -> None:
    assert _locate(_NAMED, network=_EXPIRED) == Located(_NAMED, Standing.NEW, _EXPIRED, clients=(_NETWORK,))
    assert _locate(_NAMED, network=_EXPIRED, named=_FRESH).record == _FRESH


@pytest.mark.parametrize(
    ("own", "found", "best"),
    [
        (_NAMED, {"network": _CLEAN}, _NAMED),
        (_NAMED, {"other": _CLEAN}, _NAMED),
        (_OWN, {"network": _CLEAN}, _OWN),
        (_OWN, {"network": _TRUSTED, "named": _FRESH}, _NAMED),
        (_OWN, {"other": _FRESH, "named": _CLEAN}, _NAMED),
        (_OWN, {"named": _CLEAN, "other": _CLEAN._replace(last_seen=NOON)}, _OTHER),
    ],
)
def test_a_domain_is_better_than_the_network_and_its_own_is_best(
    own: Triplet, found: dict[str, Record], best: Triplet
) -> None:
    assert _locate(own, **found).stored_as == best


@pytest.mark.parametrize(
    ("found", "is_elsewhere"),
    [
        ({"named": _CLEAN}, False),
        ({"network": _CLEAN}, True),
        ({"named": _FRESH, "network": _CLEAN}, True),
        ({"named": _FRESH, "network": _OLDER}, True),
        ({"named": _OLDER, "network": _FRESH}, False),
    ],
)
def test_it_is_carried_if_the_best_place_does_not_have_it_yet(found: dict[str, Record], is_elsewhere: bool) -> None:
    located = _locate(_NAMED, **found)
    assert located.is_elsewhere is is_elsewhere
    assert located.record
    sighting = Sighting(_NAMED, located.record.status, NOON, _TIMING.lifetimes, first_seen=located.record.first_seen)
    carried = merged(found.get("named"), sighting)
    assert (carried.status, carried.first_seen) == (located.record.status, located.record.first_seen)


def test_the_cause_is_carried_with_the_record() -> None:
    """Where the name was lost, the deferral still has its reason."""
    first = _OLDER._replace(cause="helo")
    assert _locate(_NAMED, named=_FRESH._replace(cause="dnsbl"), network=first).cause == "helo"
    assert _locate(_NAMED, network=_EXPIRED._replace(cause="helo")).cause == ""
    assert _locate(_NAMED).cause == ""


def test_all_records_count_as_one() -> None:
    located = _locate(_NAMED, named=_FRESH, network=_OLDER, other=_record(Status.GREYLISTED, 3, attempts=2))
    assert located.record == united(united(_FRESH, _OLDER), _record(Status.GREYLISTED, 3, attempts=2))
    assert located.standing is Standing.WAITED
    assert set(located.others) == {_OWN, _OTHER}


@pytest.mark.parametrize(
    ("found", "best"),
    [
        ({"wildcard": _CLEAN}, _ANY),
        ({"wildcard": _CLEAN, "named": _FRESH}, _ANY),
        ({"wildcard": _CLEAN, "named": _CLEAN}, _NAMED),
        ({"wildcard": _FRESH, "network": _CLEAN}, _NAMED),
    ],
)
def test_a_record_for_any_counts_where_no_other_is_better(found: dict[str, Record], best: Triplet) -> None:
    assert _locate(_NAMED, **found).stored_as == best
