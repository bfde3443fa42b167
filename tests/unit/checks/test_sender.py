"""Is the sender the recipient, or a service of the client?"""

import pytest

from bley.checks.sender import check_mail_to_oneself, check_service
from bley.core.findings import FindingKind
from bley.core.mail import Request


@pytest.mark.parametrize(
    ("sender", "recipient", "is_found"),
    [
        ("jane@example.org", "Jane@Example.org.", True),
        ("jane@example.org", "john@example.org", False),
        ("", "", False),
    ],
)
def test_mail_to_oneself(sender: str, recipient: str, *, is_found: bool) -> None:
    finding = check_mail_to_oneself(Request(sender=sender, recipient=recipient), counts_alone=True)
    assert (finding.kind is FindingKind.SENDER_IS_RECIPIENT) is is_found


@pytest.mark.parametrize(
    ("sender", "client_name", "helo_name", "is_found"),
    [
        pytest.param("root@host.example.com", "host.example.com", "host.example.com", True, id="the name"),
        pytest.param("WWW-Data@Host.Example.com.", "host.example.com", "friend", True, id="the name in another form"),
        pytest.param("apache@host.example.com", "unknown", "host.example.com", True, id="HELO"),
        pytest.param("www-data@example.com", "host.example.com", "host.example.com", False, id="its domain"),
        pytest.param("root@example.org", "host.example.com", "host.example.com", False, id="another domain"),
        pytest.param("jane@host.example.com", "host.example.com", "host.example.com", False, id="a person"),
        pytest.param("root", "", "", False, id="no domain"),
        pytest.param("root@", "unknown", "", False, id="an empty domain"),
        pytest.param("", "host.example.com", "host.example.com", False, id="the null sender"),
    ],
)
def test_service(sender: str, client_name: str, helo_name: str, *, is_found: bool) -> None:
    finding = check_service(Request(sender=sender, client_name=client_name, helo_name=helo_name))
    assert bool(finding) is is_found


@pytest.mark.parametrize(
    ("sender", "is_found"),
    [
        pytest.param("jane@vps12345.example.com", True, id="the name"),
        pytest.param("jane@example.com", False, id="its domain"),
        pytest.param("", False, id="the null sender"),
    ],
)
def test_a_host_that_nobody_named_has_accounts_of_services_only(sender: str, *, is_found: bool) -> None:
    name = "vps12345.example.com"
    finding = check_service(Request(sender=sender, client_name=name, helo_name=name), is_named=False)
    assert bool(finding) is is_found


def test_the_finding_names_the_account() -> None:
    finding = check_service(Request(sender="root@host.example.com", client_name="host.example.com"))
    assert finding
    assert finding.detail == "root is an account of host.example.com"
