"""A public resolver is named, since DNS lists refuse it; also one behind systemd-resolved."""

from pathlib import Path

import pytest

from bley.commands.doctor.finding import Level
from bley.commands.doctor.resolver import examine_resolver, judge_servers
from bley.settings.settings import Settings


@pytest.mark.parametrize(
    ("server", "level"),
    [
        ("127.0.0.1", Level.WELL),
        ("[::1]:5353", Level.WELL),
        ("192.168.1.1", Level.WELL),
        ("fe80::1%eth0", Level.WELL),
        ("8.8.8.8", Level.WARNING),
        ("8.8.4.4:53", Level.WARNING),
        ("1.1.1.2", Level.WARNING),
        ("9.9.9.9", Level.WARNING),
        ("2606:4700:4700::1111", Level.WARNING),
        ("[2001:4860:4860::8888]:53", Level.WARNING),
        ("185.12.64.1", Level.WARNING),
        ("145.253.2.11", Level.NOTE),
    ],
)
def test_servers(server: str, level: Level) -> None:
    assert [finding.level for finding in judge_servers([server], "resolver", has_lists=True)] == [level]


def test_without_dns_lists_a_public_resolver_does_no_harm() -> None:
    [finding] = judge_servers(["8.8.8.8"], "resolver", has_lists=False)
    assert finding.level is Level.NOTE


def test_the_servers_behind_the_stub_of_systemd_are_judged(tmp_path: Path) -> None:
    behind = tmp_path / "resolv.conf"
    behind.write_text("nameserver 1.1.1.1\n")
    [finding] = examine_resolver(Settings(resolver=("127.0.0.53",)), behind)
    assert finding.level is Level.WARNING
    assert "1.1.1.1" in finding.what
    assert "systemd-resolved" in finding.what
