"""Addresses of gateways, from which strangers with many HELO names come."""

import logging
from datetime import datetime, timedelta
from ipaddress import ip_address

import pytest

from bley.service.hidden_clients import HiddenClients
from tests.fakes import NOON

DOCKER, OTHER, PUBLIC = "172.18.0.1", "10.0.0.7", "203.0.113.5"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("bley"), "propagate", True)
    return caplog


class World:
    """Strangers, and a time that the test advances."""

    def __init__(self) -> None:
        self.now: datetime = NOON
        self.clients = HiddenClients()

    def come(self, *helo_names: str, address: str = DOCKER, **pause: float) -> None:
        """Let a stranger with each of these HELO names come, each after this pause."""
        for helo_name in helo_names:
            self.now += timedelta(**pause)
            self.clients.observe(ip_address(address), helo_name, self.now)

    def hidden(self) -> list[str]:
        return [address for address, names in self.clients.helo_names(self.now) if len(names) >= 5]


def names(number: int, first: int = 0) -> list[str]:
    return [f"mail{each}.example.net" for each in range(first, first + number)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        (DOCKER, "private"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("100.64.0.1", "shared (CGNAT)"),
        ("fd00::1", "private"),
        ("fe80::1", "link-local"),
        ("::1", "loopback"),
    ],
)
def test_five_helo_names_of_one_local_address_are_a_gateway(
    world: World, log: pytest.LogCaptureFixture, address: str, scope: str
) -> None:
    world.come(*names(4), address=address)
    assert log.messages == world.hidden() == []
    world.come(*names(9), address=address)
    (message,) = log.messages
    assert message.startswith(f"{address} is a {scope} address, but strangers with 5 HELO names came from it within an")
    assert "trusted_networks" in message
    assert world.hidden() == [address]


@pytest.mark.parametrize(
    "helo_names",
    [
        pytest.param(names(1) * 50, id="one host"),
        pytest.param(["MX.Example.net", "mx.example.net", "mx.example.net."] * 9, id="one name in several forms"),
        pytest.param(names(4) * 50, id="a few hosts"),
        pytest.param([f"host{number}" for number in range(50)], id="names without a domain, as containers have"),
        pytest.param([f"pc{number}.local" for number in range(50)], id="names of a local network"),
        pytest.param([f"[192.168.0.{number}]" for number in range(50)], id="their addresses"),
        pytest.param([""] * 50, id="none"),
    ],
)
def test_hosts_of_ones_own_are_no_gateway(world: World, log: pytest.LogCaptureFixture, helo_names: list[str]) -> None:
    world.come(*helo_names)
    assert log.messages == world.hidden() == []


def test_address_literals_of_the_internet_are_names_of_its_hosts(world: World) -> None:
    world.come(*(f"[192.0.2.{number}]" for number in range(5)))
    assert world.hidden() == [DOCKER]


def test_names_of_more_than_an_hour_ago_do_not_count(world: World, log: pytest.LogCaptureFixture) -> None:
    world.come(*names(40), minutes=15)
    assert log.messages == world.hidden() == []
    world.come(*names(40), minutes=14)
    assert world.hidden() == [DOCKER]


def test_each_address_is_counted_by_itself(world: World, log: pytest.LogCaptureFixture) -> None:
    world.come(*names(4))
    world.come(*names(4, first=4), address=OTHER)
    assert log.messages == []


def test_warning_is_repeated_once_a_day(world: World, log: pytest.LogCaptureFixture) -> None:
    world.come(*names(99), minutes=10)
    assert len(log.messages) == 1
    world.come(*names(99), minutes=10)
    assert len(log.messages) == 2


def test_gateway_is_reported_until_it_was_none_for_a_day(world: World) -> None:
    world.come(*names(5))
    world.come(*names(1) * 20, hours=1)
    assert world.hidden() == [DOCKER]
    world.come(*names(1) * 4, hours=1)
    assert world.hidden() == []


def test_last_64_local_addresses_are_counted(world: World) -> None:
    world.come(*names(4), address=OTHER)
    for number in range(63):
        world.come(*names(1), address=f"10.1.0.{number}")
    world.come(*names(5), address=OTHER)
    assert world.hidden() == [OTHER]
    for number in range(64):
        world.come(*names(1), address=f"10.1.0.{number}")
    assert world.hidden() == []
    assert len(world.clients.helo_names(world.now)) == 64


class TestWorkers:
    """Each process sees a part of the strangers, and reports it to one that logs."""

    def worlds(self) -> tuple[World, World, World]:
        first, second, supervisor = World(), World(), World()
        for worker in (first, second):
            worker.clients = HiddenClients(
                lambda address, helo_names: supervisor.come(*helo_names, address=str(address))
            )
        return first, second, supervisor

    def test_names_of_all_are_added_and_logged_once(self, log: pytest.LogCaptureFixture) -> None:
        first, second, supervisor = self.worlds()
        first.come(*names(3))
        assert log.messages == []
        second.come(*names(3, first=2))
        assert len(log.messages) == 1
        assert supervisor.hidden() == [DOCKER]
        for worker in (first, second):
            worker.come(*names(50))
        assert len(log.messages) == 1

    def test_worker_that_sees_all_reports_each_name_once_and_the_gateway_once_a_day(self) -> None:
        world, reports = World(), list[int]()
        world.clients = HiddenClients(lambda _, helo_names: reports.append(len(helo_names)))
        world.come(*names(3) * 9)
        assert reports == [1, 1, 1]
        world.come(*names(200), minutes=10)
        assert reports == [1, 1, 1, 1, 5, 5]


class TestPublicAddress:
    """A public address is a gateway only if no stranger had another one for a day."""

    def test_all_strangers_of_a_day_with_twenty_helo_names(self, world: World, log: pytest.LogCaptureFixture) -> None:
        world.come(*names(60), address=PUBLIC, minutes=20)
        assert log.messages == world.hidden() == []
        world.come(*names(30), address=PUBLIC, minutes=20)
        (message,) = log.messages
        assert message.startswith(f"{PUBLIC} sent all strangers of the last day, with 20 HELO names or more: ")
        assert world.hidden() == [PUBLIC]

    def test_any_other_stranger_is_enough_to_clear_it(self, world: World, log: pytest.LogCaptureFixture) -> None:
        world.come(*names(99), address=PUBLIC, minutes=20)
        world.come("mx.example.org", address="198.51.100.1")
        assert world.hidden() == []
        world.come(*names(60), address=PUBLIC, minutes=20)
        assert world.hidden() == []
        assert len(log.messages) == 1

    def test_local_stranger_after_it_keeps_its_own_names(self, world: World) -> None:
        world.come(*names(99), address=PUBLIC, minutes=20)
        world.come("mx.example.org")
        assert dict(world.clients.helo_names(world.now)) == {DOCKER: {"mx.example.org"}}

    def test_storm_of_one_spammer_is_none(self, world: World, log: pytest.LogCaptureFixture) -> None:
        world.come(*names(5000), address=PUBLIC, seconds=10)
        assert log.messages == world.hidden() == []

    def test_large_provider_with_one_name_is_none(self, world: World) -> None:
        world.come(*names(1) * 500, address=PUBLIC, minutes=20)
        assert world.hidden() == []

    def test_memory_of_it_is_bounded(self, world: World) -> None:
        world.come(*names(500), address=PUBLIC, minutes=20)
        ((_, remembered),) = world.clients.helo_names(world.now)
        assert remembered == set(names(20, first=480))
