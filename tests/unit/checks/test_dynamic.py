"""Does a client's name look like an access line?"""

from ipaddress import ip_address

import pytest

from bley.checks.dynamic import check_dynamic, dynamic_sign, server_domain
from bley.core.evidence import Finding

SOMEWHERE = "203.0.113.99"


@pytest.mark.parametrize(
    ("name", "address", "sign"),
    [
        ("123.32.85.217.dynamic.example.net", "217.85.32.123", "has the address 123.32.85.217 in it"),
        ("dyndsl-085-032-023-123.ewe-ip-backbone.de", "85.32.23.123", "has the address 085-032-023-123 in it"),
        (
            "HSI-KBW-078-043-123-011.hsi4.kabel-badenwuerttemberg.de",
            "78.43.123.11",
            "has the address 078-043-123-011 in it",
        ),
        (
            "AMontsouris-159-1-80-123.w92-321.abo.wanadoo.fr",
            "92.138.80.123",
            "has the address 159-1-80-123 in it",
        ),
        ("p578ABBAA.dip.t-dialin.net", "87.138.187.170", "has the address 578abbaa in it"),
        ("p578ABBAA.dip.t-dialin.net", SOMEWHERE, "has 'dip' in it"),
        ("e179123404.adsl.alicedsl.de", "85.179.123.4", "has 'adsl' in it"),
        ("color-123.dsl.example.net", SOMEWHERE, "has 'dsl' in it"),
        ("mx.dyn.example.net", SOMEWHERE, "has 'dyn' in it"),
        ("host203000113099.example.net", SOMEWHERE, "has the address 203000113099 in it"),
        ("192-0-2-1.example.co.uk.", "192.0.2.1", "has the address 192-0-2-1 in it"),
        ("pool7.ppp.example.net", SOMEWHERE, "has 'pool' in it"),
        ("cpe.2001db8.example.net", "2001:db8::1", "has 'cpe' in it"),
        ("mobile.home.dyndns.org", SOMEWHERE, "has 'mobile' in it"),
        ("mail-192-0-2-1.dsl.example.net", "192.0.2.1", "has 'dsl' in it"),
    ],
)
def test_looks_dynamic(name: str, address: str, sign: str) -> None:
    assert dynamic_sign(name, ip_address(address)) == sign


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("mail.example.com", SOMEWHERE),
        ("mail.dynamicpower.example.com", SOMEWHERE),
        ("host.example.com", SOMEWHERE),
        ("v1234207132567817.yourvserver.net", SOMEWHERE),
        ("vps-1018888-4321.united-hoster.de", SOMEWHERE),
        ("static.88-198-123-123.clients.your-server.de", "88.198.123.123"),
        ("port-83-236-123-123.static.qsc.de", "83.236.123.123"),
        ("mx.liverpool.ac.uk", SOMEWHERE),
        ("mail3.dynamics.com", SOMEWHERE),
        ("out.dynect.net", SOMEWHERE),
        ("smtp.diplomatie.gouv.fr", SOMEWHERE),
        ("mta1.cablevision.com", SOMEWHERE),
        ("mail-192-0-2-1.example.com", "192.0.2.1"),
        ("static.dsl.example.net", SOMEWHERE),
        ("dsl.example", SOMEWHERE),
        ("dyndns.org", SOMEWHERE),
        ("mx1-2-3.example.com", SOMEWHERE),
        ("1-2-3-4567.example.com", SOMEWHERE),
        ("localhost", SOMEWHERE),
        ("", SOMEWHERE),
        (".", SOMEWHERE),
    ],
)
def test_does_not_look_dynamic(name: str, address: str) -> None:
    assert dynamic_sign(name, ip_address(address)) == ""


def test_own_address_is_looked_for_in_ipv4_only() -> None:
    """In the name of an IPv6 host any hexadecimal digits would be found."""
    assert dynamic_sign("h20010db8000000000000000000000001.example.net", ip_address("2001:db8::1")) == ""


def test_score_and_detail() -> None:
    somewhere = ip_address(SOMEWHERE)
    assert check_dynamic("x.dsl.example.net", somewhere) == Finding(1, "x.dsl.example.net has 'dsl' in it")
    assert check_dynamic("mx.example.net", somewhere) == Finding(0, "mx.example.net does not look dynamic")
    assert check_dynamic("", somewhere) == Finding(0, "no name, so none that looks dynamic")


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("o1.sg.example.com", "example.com"),
        ("o2.sg.example.com", "example.com"),
        ("x.dsl.example.com", ""),
        ("com", ""),
        ("", ""),
    ],
)
def test_server_domain(name: str, domain: str) -> None:
    """Servers of one domain are one client; an access line shares nothing with its neighbours."""
    assert server_domain(name, ip_address(SOMEWHERE)) == domain
