"""A name whose addresses bley follows: which addresses are exempt, for how long, and what the operator is told."""

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from bley.core.exemptions.followed_name import AddressAnswer, FollowedName

FAILING = AddressAnswer(failure="A: SERVFAIL")
NONE = AddressAnswer()
DAY = 86_400.0


def _answer(*addresses: str, ttl: float = 300) -> AddressAnswer:
    return AddressAnswer(frozenset(map(ip_address, addresses)), ttl)


class Following:
    """A name, the time, and the news."""

    def __init__(self) -> None:
        self.name, self.now = FollowedName(), 1000.0

    def take(self, ipv4: AddressAnswer, ipv6: AddressAnswer = NONE, after: float = 60) -> str:
        """Return the news of an answer some seconds later; a warning in capitals."""
        self.now += after
        news = self.name.take({4: ipv4, 6: ipv6}, self.now)
        if news is None:
            return ""
        return f"WARNING {news.text}" if news.is_warning else news.text

    @property
    def exempt(self) -> list[str]:
        return sorted(map(str, self.name.addresses))


def test_the_addresses_of_both_versions_are_exempt_until_they_change() -> None:
    name = Following()
    both = "198.51.100.7", "2001:db8::7"
    assert name.take(_answer(both[0]), _answer(both[1])) == "exempts 198.51.100.7, 2001:db8::7"
    assert name.exempt == sorted(both)
    assert name.take(_answer(both[0]), _answer(both[1])) == ""
    assert name.take(_answer("198.51.100.9")) == "exempts 198.51.100.9, 2001:db8::7, and no longer 198.51.100.7"
    assert name.take(_answer("198.51.100.9")) == "exempts 198.51.100.9, and no longer 2001:db8::7"
    assert name.name.trouble == ""


@pytest.mark.parametrize(("ttl", "interval"), [(0, 60), (59, 60), (61, 61), (3600, 3600), (604_800, 3600)])
def test_the_interval_is_the_ttl_within_bounds(ttl: float, interval: float) -> None:
    name = Following()
    name.take(_answer("198.51.100.7", ttl=ttl), _answer("2001:db8::7", ttl=700_000))
    assert name.name.interval == interval


@pytest.mark.parametrize("answer", [FAILING, NONE])
def test_without_an_address_the_next_try_is_after_a_minute(answer: AddressAnswer) -> None:
    name = Following()
    assert name.name.interval == 60
    name.take(_answer("198.51.100.7"))
    name.take(answer)
    assert name.name.interval == 60


def test_a_name_that_never_resolved_is_warned_of_once() -> None:
    name = Following()
    assert name.take(FAILING) == "WARNING does not resolve (A: SERVFAIL): exempts no client"
    assert name.take(FAILING) == name.take(NONE) == ""
    assert name.name.trouble == "it has no address"
    assert name.take(_answer("198.51.100.7")) == "WARNING resolves again: exempts 198.51.100.7"


def test_a_failure_keeps_the_addresses_for_a_day() -> None:
    """The first failure of a name is no news: the next answer mostly comes."""
    name = Following()
    name.take(_answer("198.51.100.7"))
    assert name.take(FAILING, FAILING) == ""
    kept = "exempts 198.51.100.7, until 24 hours after the last answer"
    assert name.take(FAILING, FAILING) == f"WARNING does not resolve (A: SERVFAIL): {kept}"
    assert name.take(FAILING, FAILING, after=DAY - 180) == ""
    assert name.exempt == ["198.51.100.7"]
    assert name.take(FAILING, FAILING) == "WARNING does not resolve (A: SERVFAIL): exempts no client"
    assert name.exempt == []
    assert name.take(FAILING, FAILING) == ""


def test_a_failure_that_ends_at_once_is_no_news() -> None:
    name = Following()
    name.take(_answer("198.51.100.7"))
    assert name.take(FAILING) == name.take(_answer("198.51.100.7")) == name.take(FAILING) == ""


def test_a_name_without_address_exempts_nobody_from_the_second_answer_on() -> None:
    """Some clients of dynamic DNS delete the old record a moment before they add the new one."""
    name = Following()
    name.take(_answer("198.51.100.7"))
    assert name.take(NONE) == ""
    assert name.exempt == ["198.51.100.7"]
    assert name.take(NONE) == "WARNING does not resolve (it has no address): exempts no client"
    assert name.exempt == []


def test_a_failure_of_one_version_keeps_its_addresses() -> None:
    """Some servers never answer about IPv6."""
    name = Following()
    name.take(_answer("198.51.100.7"), _answer("2001:db8::7"))
    assert name.take(_answer("198.51.100.7"), FAILING, after=DAY - 1) == ""
    assert name.exempt == ["198.51.100.7", "2001:db8::7"]
    assert name.take(_answer("198.51.100.7"), FAILING) == "exempts 198.51.100.7, and no longer 2001:db8::7"


def _numbered(count: int, prefix: str) -> Sequence[str]:
    return [f"{prefix}{number}" for number in range(1, count + 1)]


def test_too_many_addresses_are_refused() -> None:
    """Whoever owns the name must not exempt half the Internet."""
    name = Following()
    most = _answer(*_numbered(8, "198.51.100.")), _answer(*_numbered(8, "2001:db8::"))
    name.take(*most)
    assert len(name.exempt) == 16
    more = _answer(*_numbered(9, "203.0.113.")), most[1]
    why = "it has 17 addresses, more than 16"
    assert name.take(*more) == ""
    assert name.take(*more).startswith(f"WARNING does not resolve ({why}): exempts 198.51.100.1, ")
    assert Following().take(*more) == f"WARNING does not resolve ({why}): exempts no client"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "127.0.0.1 is a loopback address"),
        ("10.0.0.1", "10.0.0.1 is a private address"),
        ("0.0.0.0", "0.0.0.0 is an unspecified address"),
        ("fe80::1", "fe80::1 is a link-local address"),
        ("100.64.0.1", "100.64.0.1 is a shared (CGNAT) address"),
    ],
)
def test_an_address_of_no_host_of_the_internet_is_refused(address: str, why: str) -> None:
    """It may be that of a gateway, behind which strangers are hidden."""
    name = Following()
    assert name.take(_answer(address)) == f"WARNING does not resolve ({why}): exempts no client"
    assert name.take(_answer(address, "198.51.100.7")) == "WARNING resolves again: exempts 198.51.100.7"
