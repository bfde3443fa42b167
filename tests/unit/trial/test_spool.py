"""The spool: the facts of all mails, in the order of time."""

from bley.trial.facts import HAM, Facts
from bley.trial.spool import Spool


def _facts(at: int, sender: str) -> Facts:
    return Facts(HAM, at, "192.0.2.1", "unknown", "h\udce4", sender, "b@example.org", "place", 3, True)


def test_facts_come_in_the_order_of_time_then_of_arrival() -> None:
    given = [_facts(9, "a"), _facts(5, "b" * 9000), _facts(9, "c"), _facts((1 << 33) - 1, "d"), _facts(1, "e")]
    with Spool() as spool:
        for facts in given:
            spool.add(facts)
        assert len(spool) == len(given)
        assert list(spool.in_order()) == sorted(given, key=lambda facts: facts.at)
