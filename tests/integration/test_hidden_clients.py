"""Strangers behind one local address: real daemon, real DNS server."""

import socket
from pathlib import Path

import pytest

from tests.dns_server import DnsServer
from tests.integration.postfix import Postfix, SmtpSession
from tests.integration.running_bley import Bley, request_options
from tests.integration.tcp_proxy import TcpProxy
from tests.integration.test_dns_failures import Strangers
from tests.integration.test_lists import at_web_place, entries, fetch, name_of, on

GATEWAY = "172.18.0.1"


@pytest.mark.parametrize("address", [GATEWAY, "fd00::1"])
def test_gateway_is_named_once_and_no_list_is_queried_about_it(tmp_path: Path, address: str) -> None:
    zone = entries("bl.example", address, "::ffff:7f00:2")
    with DnsServer(zone) as dns, Bley(tmp_path, **on(dns, dnsbls="bl.example", cache_valid=0, use_spf=1)) as bley:
        strangers = Strangers(bley)
        for number in range(4):
            assert strangers.mail(address, helo=f"mail{number}.example.com") == "pass clean"
        assert "hides the real clients" not in bley.log()
        for number in range(9):
            strangers.mail(address, helo=f"mail{number}.example.com")
        bley.wait_log(f"{address} is a private address, but strangers with 5 HELO names came from it within an hour")
        assert bley.log().count("hides the real clients") == 1
        assert (name_of(address, "bl.example"), "A") not in dns.questions
        explained = bley.run(
            "explain",
            *request_options(client_address=address, sender="a@example.net", recipient="c@example.org"),
        )
        assert f"bl.example not queried: {address} is a private address" in explained
        assert f"not asked: {address} is a private address" in explained
        at_web_place(bley)
        assert "bley_hidden_clients 1.0" in fetch(bley, "/metrics")[1]
        assert f"the gateway {address} hides the real clients" in fetch(bley, "/")[1]
        assert not [name for name, rrtype in dns.questions if rrtype == "TXT"], "SPF"


def test_of_several_workers_none_sees_enough_and_one_warning_is_logged(tmp_path: Path) -> None:
    with Bley(tmp_path, workers=3, cache_valid=0, use_spf=0) as bley:
        strangers = Strangers(bley)
        for number in range(12):  # each by a connection of its own, which the kernel gives to any worker
            strangers.mail(GATEWAY, helo=f"mail{number}.example.com")
        bley.wait_log(f"{GATEWAY} is a private address, but strangers with 5 HELO names")
        for number in range(12):
            strangers.mail(GATEWAY, helo=f"mail{number}.example.com")
        assert bley.log().count("hides the real clients") == 1


def test_own_host_is_no_gateway(tmp_path: Path) -> None:
    with DnsServer({}) as dns, Bley(tmp_path, **on(dns, cache_valid=0)) as bley:
        strangers = Strangers(bley)
        for _ in range(12):
            strangers.mail(GATEWAY, helo="app.example.org")
        at_web_place(bley)
        assert "bley_hidden_clients 0.0" in fetch(bley, "/metrics")[1]
        assert "hides the real clients" not in bley.log()


def test_real_postfix_behind_a_proxy_that_hides_its_clients(tmp_path: Path) -> None:
    """As behind haproxy without the PROXY protocol: all connections come from the proxy."""
    with (
        Bley(tmp_path, trusted_networks="192.0.2.0/24", cache_valid=0, use_spf=0) as bley,
        Postfix(f"inet:127.0.0.1:{bley.port}") as postfix,
        TcpProxy(postfix.port) as proxy,
    ):
        for number in range(6):
            source = (f"127.0.0.{number + 11}", 0)
            with SmtpSession(socket.create_connection(("127.0.0.1", proxy.port), source_address=source)) as smtp:
                smtp.expect(250, f"EHLO mail{number}.example.net")
                (reply,) = smtp.send(f"u@d{number}.example", ["b@example.org"])
                assert reply.code == 450
        bley.wait_log("127.0.0.1 is a loopback address, but strangers with 5 HELO names came from it within an hour")
        bley.wait_log("client_address=127.0.0.1, sender=u@d5.example,")
        assert bley.log().count("hides the real clients") == 1
