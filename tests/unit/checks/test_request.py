"""The findings about the request itself."""

from ipaddress import ip_address

import pytest

from bley.checks.request import check_request
from bley.core.findings import AnyCheck, Check, FindingKind
from bley.core.mail import Request
from bley.core.scores import BLEY2, parse_scores

REQUEST = Request(
    client_address="192.0.2.1",
    client_name="mx.example.com",
    helo_name="smtp.example.com",
    sender="a@example.com",
    recipient="b@example.org",
)
CLIENT = ip_address(REQUEST.client_address)
RFC: set[AnyCheck] = {Check.HELO, Check.DYNAMIC, Check.SENDER_IS_RECIPIENT}


def _scores(**changes: str) -> dict[str, int | None]:
    return {check.value: finding.score for check, finding in check_request(REQUEST._replace(**changes), CLIENT).items()}


def test_three_findings_are_always_told_and_the_others_where_they_are_found() -> None:
    assert _scores() == {"helo": 1, "dyn": 0, "s_eq_r": 0}
    assert _scores(client_name="unknown", helo_name="localhost") == {
        "helo": 2,
        "dyn": 0,
        "s_eq_r": 0,
        "client-has-no-name": 1,
        "helo-not-fqdn": 1,
        "helo-is-local": 1,
    }


def test_an_access_line_that_says_its_own_name_is_found_twice() -> None:
    """Once as the client's name and once as HELO; a part of the address alone is not enough for HELO."""
    line = "ip-192-0-2-1.dsl.example.com"
    assert _scores(client_name=line, helo_name=line) == {
        "helo": 0,
        "dyn": 1,
        "s_eq_r": 0,
        "helo-looks-dynamic": 1,
    }
    part = "x192-0-2.example.com"
    assert _scores(client_name=part, helo_name=part) == {"helo": 0, "dyn": 1, "s_eq_r": 0}


def test_a_generated_name_and_a_service_are_found_beside_the_first_three() -> None:
    name = "vps12345.example.com"
    assert _scores(client_name=name, helo_name=name, sender=f"root@{name}") == {
        "helo": 0,
        "dyn": 0,
        "s_eq_r": 0,
        "generic-name": 1,
        "serial-name": 1,
        "service-sender": 1,
    }


def test_no_name_counts_unless_the_operator_objects() -> None:
    """The address literal is half a match then, as RFC 5321 4.1.3 has it."""
    request = REQUEST._replace(client_name="unknown", helo_name="[192.0.2.1]")
    findings = check_request(request, CLIENT)
    assert (findings[Check.HELO].score, findings[FindingKind.CLIENT_HAS_NO_NAME].score) == (1, 1)
    assert set(check_request(request, CLIENT, scores=parse_scores("client-has-no-name=0"))) == RFC


@pytest.mark.parametrize(
    ("client_name", "helo_name", "counts"),
    [
        pytest.param("mx.example.com", "mx.example.com", False, id="HELO 0"),
        pytest.param("mx.example.com", "smtp.example.com", False, id="HELO 1"),
        pytest.param("mx.example.com", "[192.0.2.1]", False, id="a literal"),
        pytest.param("unknown", "[192.0.2.1]", True, id="no name"),
        pytest.param("x.dsl.example.com", "mx.example.com", True, id="an access line"),
        pytest.param("mx.example.com", "mx.example.net", False, id="another mail server"),
        pytest.param("mx.example.com", "friend", True, id="a mismatch"),
    ],
)
def test_a_mail_to_oneself_counts_beside_a_fact_about_the_client(
    client_name: str, helo_name: str, *, counts: bool
) -> None:
    request = REQUEST._replace(client_name=client_name, helo_name=helo_name, sender="B@example.org.")
    for scores, counts_by_these in ((parse_scores(""), counts), (BLEY2, True)):
        own = check_request(request, CLIENT, scores=scores)[Check.SENDER_IS_RECIPIENT]
        assert (own.score, own.counts_alone) == (1, counts_by_these)


def test_what_counts_0_is_not_looked_for_but_the_first_three_are_told() -> None:
    request = REQUEST._replace(client_name="unknown", helo_name="localhost", sender="B@example.org.")
    scores = {check.value: finding.score for check, finding in check_request(request, CLIENT, scores=BLEY2).items()}
    assert scores == {"helo": 2, "dyn": 0, "s_eq_r": 1}
