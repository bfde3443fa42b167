"""Did a person give the client the name that it sends as HELO?"""

from ipaddress import ip_address

import pytest

from bley.checks.own_name import faults_of_own_name
from bley.core.findings import FindingKind
from bley.core.mail import Request

GENERIC, SERIAL = FindingKind.GENERIC_NAME, FindingKind.SERIAL_NAME


@pytest.mark.parametrize(
    ("client_name", "helo_name", "faults"),
    [
        pytest.param("mx.example.com", "mx.example.com", [], id="a mail server"),
        pytest.param("vps.example.com", "vps.example.com", [GENERIC], id="a rented machine that a person named"),
        pytest.param("vps12345.example.com", "VPS12345.Example.com.", [GENERIC, SERIAL], id="one that nobody named"),
        pytest.param("h12345.example.com", "h12345.example.com", [SERIAL], id="a number"),
        pytest.param(
            "static-192-0-2-1.example.com", "static-192-0-2-1.example.com", [GENERIC, SERIAL], id="a static line"
        ),
        pytest.param("jane.dyndns.org", "jane.dyndns.org", [GENERIC], id="a name of dynamic DNS"),
        pytest.param("mail.jane.dyndns.org", "mail.jane.dyndns.org", [], id="a mail server there"),
        pytest.param("vps12345.example.com", "mx.example.com", [], id="with another HELO"),
        pytest.param("unknown", "unknown", [], id="without a name"),
        pytest.param("", "", [], id="without any name"),
    ],
)
def test_faults(client_name: str, helo_name: str, faults: list[FindingKind]) -> None:
    request = Request(client_name=client_name, helo_name=helo_name)
    assert [kind for kind, _ in faults_of_own_name(request, ip_address("192.0.2.1"))] == faults


def test_the_fault_says_what_it_found() -> None:
    request = Request(client_name="vps12345.example.com", helo_name="vps12345.example.com")
    assert [detail for _, detail in faults_of_own_name(request, ip_address("192.0.2.1"))] == [
        "vps12345.example.com is the name of a static line, a rented machine or dynamic DNS",
        "vps12345.example.com has the number vps12345 in it",
    ]
