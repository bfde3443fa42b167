"""How a supervisor tells of all its workers, from what each tells of itself."""

from bley.status import StateReport, merged
from tests.fakes import WELL_LIST

WELL = StateReport(
    lists=[WELL_LIST],
    dns_is_silent=False,
    store_is_down=False,
    connections=3,
    waiting={"writes": 1, "decisions": 20},
    cached={"triplets": 5, "spf": 0},
    running={"tasks": 4, "spf": 1},
)


def test_one_alone_is_as_it_is() -> None:
    assert merged([WELL]) == WELL


def test_what_is_many_is_summed() -> None:
    told = merged(
        [
            WELL,
            WELL._replace(
                connections=1, waiting={"writes": 0, "decisions": 2}, cached={"triplets": 1}, running={"tasks": 2}
            ),
        ]
    )
    assert told.connections == 4
    assert told.waiting == {"writes": 1, "decisions": 22}
    assert told.cached == {"triplets": 6, "spf": 0}
    assert told.running == {"tasks": 6, "spf": 1}


def test_the_dns_is_silent_and_the_store_down_where_one_finds_it_so() -> None:
    assert not merged([WELL, WELL]).dns_is_silent
    assert not merged([WELL, WELL]).store_is_down
    assert merged([WELL, WELL._replace(dns_is_silent=True)]).dns_is_silent
    assert merged([WELL._replace(store_is_down=True), WELL]).store_is_down


def test_fault_of_the_resolver_is_that_of_the_worker_that_knows_it() -> None:
    assert merged([WELL, WELL]).resolver_fault == ""
    assert merged([WELL, WELL._replace(resolver_fault="it filters")]).resolver_fault == "it filters"


def test_lists_are_merged() -> None:
    (told,) = merged([WELL, WELL]).lists
    assert told["answers"] == {"listed": 6, "clear": 14}


def test_helo_names_of_all_workers_find_a_gateway() -> None:
    """Each worker sees a part of the strangers."""
    first = WELL._replace(helo_names=(("172.18.0.1", frozenset("abc")), ("10.0.0.1", frozenset("a"))))
    second = WELL._replace(helo_names=(("172.18.0.1", frozenset("cde")), ("10.0.0.1", frozenset("a"))))
    assert first.hidden_clients == second.hidden_clients == []
    assert merged([first, second]).hidden_clients == ["172.18.0.1"]
