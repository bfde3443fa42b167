"""Whether the lists or the resolver are at fault."""

from collections.abc import Mapping
from ipaddress import IPv4Address

import pytest

from bley.core.dnslists.health import WELL, Diagnosis, ListFault, diagnose_answer
from bley.core.dnslists.known import find_known_list
from bley.core.dnslists.lists import Answer, Meaning, interpret, parse_dns_lists
from bley.core.dnslists.resolver_fault import ResolverFault, find_resolver_fault, rewritten

SERVER = "192.0.2.53"
INVENTED = frozenset({"203.0.113.99"})
ZEN, SPAMCOP, DNSWL, PSBL = "zen.spamhaus.org", "bl.spamcop.net", "list.dnswl.org", "psbl.surriel.com"
ONE, OTHER = "bl.one.example", "bl.other.example"

EMPTIED, FAILED, SILENT = "emptied", "SERVFAIL", ""


def diagnosis(zone: str, answer: str) -> Diagnosis:
    """Return the diagnosis of a list with this answer: an address, or one of the words."""
    facts = find_known_list(zone)
    if answer == EMPTIED:
        return Diagnosis(ListFault.EMPTIED, "it does not list its test entry")
    if answer in (FAILED, SILENT):
        return diagnose_answer(facts, Answer(Meaning.FAILED if answer else Meaning.SILENT, why=answer))
    return diagnose_answer(facts, interpret(facts, [answer]))


def fault_of(answers: Mapping[str, str]) -> ResolverFault | None:
    ill = [(parse_dns_lists(zone)[0], diagnosis(zone, answer)) for zone, answer in answers.items()]
    return find_resolver_fault(ill, SERVER)


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        ({ZEN: "0.0.0.0", SPAMCOP: "0.0.0.0"}, "it answers 0.0.0.0 for them"),
        ({ZEN: "127.0.0.1", SPAMCOP: "127.0.0.1"}, "it answers 127.0.0.1 for them"),
        ({ZEN: "10.10.34.36", DNSWL: "10.10.34.36"}, "it answers 10.10.34.36 for them"),
        ({ZEN: "203.0.113.9", SPAMCOP: "203.0.113.9"}, "it answers 203.0.113.9 for them"),
        ({ONE: "0.0.0.0", OTHER: "0.0.0.0"}, "it answers 0.0.0.0 for them"),
        ({ZEN: EMPTIED, SPAMCOP: EMPTIED}, "it does not find their test entries"),
        ({ZEN: FAILED, SPAMCOP: SILENT, DNSWL: FAILED}, "or cannot reach them"),
    ],
)
def test_lists_of_different_operators_do_not_die_in_the_same_way_at_once(answers: Mapping[str, str], what: str) -> None:
    """No domain is parked at a local address; and what is known to be alive is not dead twice."""
    fault = fault_of(answers)
    assert fault
    assert fault.keys == set(answers)
    assert what in fault.what
    assert str(fault).startswith("the resolver 192.0.2.53 filters DNS lists")
    assert all(zone in str(fault) for zone in answers)
    assert "use a resolver of your own, such as unbound (setting resolver)" in str(fault)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({}, id="none is ill"),
        pytest.param({ZEN: "203.0.113.9"}, id="one alone"),
        pytest.param({ZEN: "0.0.0.0"}, id="one alone, at no address of the Internet"),
        pytest.param({ZEN: EMPTIED}, id="one alone is emptied"),
        pytest.param({ZEN: "0.0.0.0", "sbl.spamhaus.org": "0.0.0.0"}, id="of one operator"),
        pytest.param({ZEN: "203.0.113.9", SPAMCOP: "203.0.113.10"}, id="parked at different places"),
        pytest.param({ONE: "203.0.113.9", OTHER: "203.0.113.9"}, id="unknown ones, parked at the same place"),
        pytest.param({ZEN: "203.0.113.9", OTHER: "203.0.113.9"}, id="one known and one unknown, the same"),
        pytest.param({ONE: EMPTIED, OTHER: EMPTIED}, id="unknown ones are emptied"),
        pytest.param({ZEN: EMPTIED, SPAMCOP: FAILED}, id="in different ways"),
        pytest.param({ONE: FAILED, OTHER: FAILED}, id="unknown ones fail"),
        pytest.param({ZEN: "127.255.255.254", SPAMCOP: "127.255.255.254"}, id="the lists themselves refuse"),
    ],
)
def test_what_lists_do_on_their_own_is_not_blamed_on_the_resolver(answers: Mapping[str, str]) -> None:
    assert fault_of(answers) is None


def test_other_ill_lists_are_still_to_blame() -> None:
    fault = fault_of({ZEN: EMPTIED, SPAMCOP: EMPTIED, ONE: EMPTIED, PSBL: "127.255.255.254"})
    assert fault
    assert fault.keys == {ZEN, SPAMCOP}


def test_many_lists_are_counted_rather_than_named() -> None:
    fault = fault_of({f"bl.{number}.example": "0.0.0.0" for number in range(8)})
    assert fault
    assert fault.names == "bl.0.example, bl.1.example, bl.2.example, bl.3.example, bl.4.example and 3 more"


PARKED = diagnose_answer(find_known_list(ONE), interpret(find_known_list(ONE), ["203.0.113.99"]))
EVERY = Diagnosis(ListFault.LISTS_ALL, "it lists every address")


@pytest.mark.parametrize(
    ("own", "unlisted", "invented", "fault"),
    [
        pytest.param(PARKED, "203.0.113.99", INVENTED, ListFault.REWRITTEN, id="the invented address"),
        pytest.param(PARKED, "203.0.113.98", INVENTED, ListFault.REWRITTEN, id="another one of several"),
        pytest.param(EVERY, "127.0.0.2", {"127.0.0.2"}, ListFault.REWRITTEN, id="one that looks like a listing"),
        pytest.param(WELL, "127.0.0.2", {"127.0.0.2"}, ListFault.REWRITTEN, id="without an address that is clear"),
        pytest.param(PARKED, "203.0.113.99", (), ListFault.PARKED, id="nothing is invented: parked"),
        pytest.param(EVERY, "127.0.0.2", INVENTED, ListFault.LISTS_ALL, id="listings that are not invented"),
        pytest.param(WELL, "127.0.0.4", (), None, id="a listing"),
    ],
)
def test_list_is_not_to_blame_for_addresses_that_the_resolver_invents(
    own: Diagnosis, unlisted: str, invented: frozenset[str], fault: ListFault | None
) -> None:
    answer = Answer(Meaning.LISTED, (IPv4Address(unlisted),))
    diagnosed = rewritten(own, [answer], SERVER, invented)
    assert diagnosed.fault is fault
    if fault is ListFault.REWRITTEN:
        (address,) = invented
        assert diagnosed.what == f"the resolver 192.0.2.53 answers {address} for names that do not exist"
        found = find_resolver_fault([(parse_dns_lists(ONE)[0], diagnosed)], SERVER)
        assert found
        assert found.what == diagnosed.what, "one list is enough"
