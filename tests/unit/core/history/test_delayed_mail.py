"""Triplets that are suspected to wait wrongly, and the sender domains of delayed mail."""

from datetime import timedelta

import pytest

from bley.core.greylist import Record, Status
from bley.core.history.delayed_mail import (
    NO_DELAYED_MAIL,
    DelayedMail,
    DomainMail,
    MostDelayed,
    domain_mail,
    first_waiting,
    most_delayed,
)
from bley.core.mail import Triplet
from tests.fakes import NOON

PASSED = DomainMail(undelayed=9, came_back=3)
WAITING = {
    "mail.example.com": "example.com",
    "gmail.com": "gmail.com",
    "example.org": "example.org",
    "new.example": "new.example",
    "forged.example": "forged.example",
}
DELAYED = DelayedMail(
    MostDelayed(NOON, 0, []),
    WAITING,
    {
        "example.com": PASSED,
        "gmail.com": PASSED,
        "example.org": PASSED._replace(is_ours=True),
        "new.example": DomainMail(deferred=9),
        "forged.example": DomainMail(undelayed=1233, deferred=5000, came_back=1),
    },
    28,
)


def _waiting(sender: str, attempts: int = 0, minutes: int = 0) -> tuple[Triplet, Record]:
    seen = NOON - timedelta(minutes=minutes)
    return Triplet("192.0.2.0/24", sender, "jane@example.org"), Record(Status.GREYLISTED, seen, seen, attempts)


def test_domains_are_ranked_by_the_mail_that_came_back() -> None:
    sums = {
        ("from-delay-300", "b.example"): 2,
        ("from-delay-longer", "b.example"): 3,
        ("from-delay-60", "a.example"): 4,
    }
    found = most_delayed(NOON, sums, 1)
    assert found.came_back == 9
    (first,) = found.domains
    assert (first.name, first.came_back, first.median_delay_seconds) == ("b.example", 5, None)
    assert most_delayed(NOON, sums, 2).domains[1].median_delay_seconds == 60


def test_the_mail_of_a_domain_is_added_up() -> None:
    """A mail is deferred once; mail to the domain that passes shows that it is ours."""
    sums = {
        ("from-pass", "a.example"): 5,
        ("from-delay-60", "a.example"): 1,
        ("from-delay-300", "a.example"): 2,
        ("from-helo", "a.example"): 3,
        ("from-client-bad", "a.example"): 4,
        ("from-early", "a.example"): 90,
        ("to-pass", "b.example"): 1,
    }
    mail = domain_mail(sums)
    assert mail == {"a.example": DomainMail(5, 7, 3), "b.example": DomainMail(is_ours=True)}
    assert mail["a.example"].passed == 8
    assert not mail["a.example"].comes_back


def test_most_retries_are_first_then_the_groups_of_domains_then_the_latest() -> None:
    senders = [
        _waiting("a@x.example", 0, 1),
        _waiting("b@y.example", 0, 2),
        _waiting("c@z.example", 1, 3),
        _waiting("", 0),
    ]
    senders += [_waiting("d@x.example", 0, 0), _waiting("e@z.example", 5, 9)]

    def first(groups: list[list[str]] | None, limit: int = 9) -> list[str]:
        return [triplet.sender[:1] for triplet, _ in first_waiting(senders, limit, groups)]

    assert first([["y.example"], ["x.example"]]) == ["e", "c", "b", "d", "a"]
    assert first([["x.example"], ["y.example"]], 4) == ["e", "c", "d", "a"]
    assert first([]) == ["e", "c"]
    assert first(None) == ["e", "c", "", "d", "a", "b"]


def test_only_the_domains_with_the_most_mail_are_suspected() -> None:
    names = [f"{number}.example" for number in range(1000)]
    mail = {name: DomainMail(undelayed=number) for number, name in enumerate(names)}
    likely, forged = DelayedMail(MostDelayed(NOON, 0, []), dict(zip(names, names, strict=True)), mail, 28).suspected
    assert (likely, forged) == (names[:499:-1], [])


def test_domains_that_others_forge_come_last() -> None:
    """Most mail that waits with a sender of a large provider, of our own or of a forged domain is spam."""
    assert DELAYED.suspected == [["mail.example.com"], ["forged.example", "gmail.com", "example.org"]]
    some = [_waiting("a@gmail.com"), _waiting("b@mail.example.com"), _waiting("c@example.org", 1)]
    ranked = sorted(some, key=DELAYED.rank, reverse=True)
    assert [triplet.sender[:1] for triplet, _ in ranked] == ["c", "b", "a"]
    assert NO_DELAYED_MAIL.suspected == [[], []]


@pytest.mark.parametrize(
    ("sender", "attempts", "words", "observed"),
    [
        ("a@x.example", 1, "retried once", "came again once"),
        ("a@x.example", 3, "retried 3 times", "came again 3 times"),
        ("", 2, "retried 2 times", "came again 2 times"),
        (
            "a@mail.example.com",
            0,
            "12 mails of example.com passed in 28 days",
            "12 mails of example.com would have passed in 28 days",
        ),
        (
            "a@gmail.com",
            0,
            "12 mails of gmail.com passed in 28 days, a large provider",
            "12 mails of gmail.com would have passed in 28 days, a large provider",
        ),
        (
            "a@example.org",
            1,
            "retried once; 12 mails of example.org passed in 28 days, a domain of yours",
            "came again once; 12 mails of example.org would have passed in 28 days, a domain of yours",
        ),
        (
            "a@forged.example",
            0,
            "1,234 mails of forged.example passed in 28 days, and 4,999 did not come back",
            "1,234 mails of forged.example would have passed in 28 days, and 4,999 did not come back",
        ),
        ("a@new.example", 0, "", ""),
    ],
)
def test_each_has_its_reason(sender: str, attempts: int, words: str, observed: str) -> None:
    waiting = _waiting(sender, attempts)
    assert DELAYED.why(waiting) == words
    assert DELAYED.why(waiting, observes=True) == observed
