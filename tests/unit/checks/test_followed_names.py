"""The names that bley follows are resolved in the background: when, how many at once, and what a reload changes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_address

import pytest
import pytest_asyncio

from bley.checks.followed_names import FollowedNames
from bley.core.errors import ResolverError
from bley.core.exemptions.list_files import read_clients
from bley.core.exemptions.lookup import ClientExemptions
from tests.fakes import SILENT, FakeResolver

pytestmark = pytest.mark.leaps

HOME, OFFICE = "home.example.org", "office.example.org"
A_MOMENT = timedelta(seconds=1)


def _clients(*names: str) -> ClientExemptions:
    return read_clients([("clients", "\n".join(f"dyn:{name}" for name in names))])


def _entry(clients: ClientExemptions, address: str) -> str | None:
    """Return the entry that exempts a client without a verified name."""
    return clients.find(ip_address(address), "")


@pytest_asyncio.fixture
async def followed() -> AsyncIterator[FollowedNames]:
    followed = FollowedNames()
    yield followed
    await followed.close()


async def test_the_addresses_of_a_name_are_exempt(followed: FollowedNames, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    resolver = FakeResolver({(HOME, "A"): ["198.51.100.7"], (HOME, "AAAA"): ["2001:db8::7"]})
    clients = _clients(HOME)
    followed.switch(clients, resolver)
    assert _entry(clients, "198.51.100.7") is None, "the first answer is not awaited"
    await followed.wait_resolved(A_MOMENT)
    for address in ("198.51.100.7", "2001:db8::7"):
        assert _entry(clients, address) == f"clients:1:dyn:{HOME}"
    assert _entry(clients, "198.51.100.8") is None
    assert caplog.messages == [f"clients:1:dyn:{HOME}: exempts 198.51.100.7, 2001:db8::7"]
    assert followed.troubles == []


async def test_a_new_address_is_followed_by_the_ttl(followed: FollowedNames) -> None:
    resolver = FakeResolver({(HOME, "A"): ["198.51.100.7"]}, ttl_seconds=120)
    clients = _clients(HOME)
    followed.switch(clients, resolver)
    await followed.wait_resolved(A_MOMENT)
    resolver.zone[HOME, "A"] = ["198.51.100.9"]
    await asyncio.sleep(119)
    assert (_entry(clients, "198.51.100.7"), len(resolver.questions)) == (f"clients:1:dyn:{HOME}", 2)
    await asyncio.sleep(2)
    assert _entry(clients, "198.51.100.7") is None
    assert _entry(clients, "198.51.100.9")
    assert len(resolver.questions) == 4


async def test_a_reload_resolves_all_names_at_once_and_keeps_their_addresses(followed: FollowedNames) -> None:
    resolver = FakeResolver({(HOME, "A"): ["198.51.100.7"], (OFFICE, "A"): ["203.0.113.7"]})
    followed.switch(_clients(HOME), resolver)
    await followed.wait_resolved(A_MOMENT)
    clients = _clients(OFFICE, HOME)
    followed.switch(clients, resolver)
    assert _entry(clients, "198.51.100.7") == f"clients:2:dyn:{HOME}"
    await asyncio.sleep(1)
    assert _entry(clients, "203.0.113.7") == f"clients:1:dyn:{OFFICE}"
    assert [name for name, _ in resolver.questions].count(HOME) == 4


async def test_a_name_that_a_reload_removes_is_resolved_no_more(followed: FollowedNames) -> None:
    resolver = FakeResolver({(HOME, "A"): ["198.51.100.7"]})
    followed.switch(_clients(HOME), resolver)
    await followed.wait_resolved(A_MOMENT)
    clients = _clients()
    followed.switch(clients, resolver)
    await asyncio.sleep(7200)
    assert (_entry(clients, "198.51.100.7"), len(resolver.questions)) == (None, 2)


async def test_names_are_resolved_ten_at_once(followed: FollowedNames) -> None:
    """A dead server does not make a hundred of them wait for each other."""
    names = [f"h{number}.example.org" for number in range(25)]
    resolver = FakeResolver(dict.fromkeys([(name, "A") for name in names], SILENT))
    followed.switch(_clients(*names), resolver)
    await followed.wait_resolved(A_MOMENT)
    assert len(resolver.questions) == 20
    assert len(followed.troubles) == 25
    assert followed.troubles[0] == f"clients:1:dyn:{names[0]}: does not resolve: no answer yet"


async def test_a_name_is_warned_of_once_and_once_when_it_is_back(
    followed: FollowedNames, caplog: pytest.LogCaptureFixture
) -> None:
    resolver = FakeResolver({(HOME, "A"): ResolverError(HOME, "A", "SERVFAIL")})
    followed.switch(_clients(HOME), resolver)
    await asyncio.sleep(600)
    assert followed.troubles == [f"clients:1:dyn:{HOME}: does not resolve: A: SERVFAIL"]
    resolver.zone[HOME, "A"] = ["198.51.100.7"]
    await asyncio.sleep(600)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"clients:1:dyn:{HOME}: does not resolve (A: SERVFAIL): exempts no client",
        f"clients:1:dyn:{HOME}: resolves again: exempts 198.51.100.7",
    ]


async def test_of_several_workers_one_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    followed = FollowedNames(logs=False)
    followed.switch(_clients(HOME), FakeResolver())
    await followed.wait_resolved(A_MOMENT)
    await followed.close()
    assert (len(followed.troubles), caplog.messages) == (1, [])


async def test_the_first_of_two_names_with_an_address_is_shown(followed: FollowedNames) -> None:
    resolver = FakeResolver({(HOME, "A"): ["198.51.100.7"], (OFFICE, "A"): ["198.51.100.7"]})
    clients = _clients(OFFICE, HOME)
    followed.switch(clients, resolver)
    await followed.wait_resolved(A_MOMENT)
    assert _entry(clients, "198.51.100.7") == f"clients:1:dyn:{OFFICE}"


async def test_a_bug_does_not_end_the_following(followed: FollowedNames, caplog: pytest.LogCaptureFixture) -> None:
    resolver = FakeResolver({(HOME, "A"): ["not an address", 5]})  # type: ignore[list-item]
    resolver.zone[HOME, "AAAA"] = 7  # type: ignore[assignment]
    clients = _clients(HOME)
    followed.switch(clients, resolver)
    await followed.wait_resolved(A_MOMENT)
    assert f"{HOME} could not be resolved; please report it" in caplog.text
    resolver.zone.update({(HOME, "A"): ["198.51.100.7"], (HOME, "AAAA"): []})
    await asyncio.sleep(60.1)
    assert _entry(clients, "198.51.100.7")
