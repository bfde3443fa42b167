"""Strangers behind one local address: real daemon, real DNS server."""

from pathlib import Path

import pytest

from tests.dns_server import DnsServer
from tests.integration.running_bley import Bley, request_options
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


def test_own_host_is_no_gateway(tmp_path: Path) -> None:
    with DnsServer({}) as dns, Bley(tmp_path, **on(dns, cache_valid=0)) as bley:
        strangers = Strangers(bley)
        for _ in range(12):
            strangers.mail(GATEWAY, helo="app.example.org")
        at_web_place(bley)
        assert "bley_hidden_clients 0.0" in fetch(bley, "/metrics")[1]
        assert "hides the real clients" not in bley.log()
