"""Clients for which the mail server found no name: a real bley and a real DNS server."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.dns_server import SILENT, Delay, DnsServer, Rcode, Records, Zone
from tests.integration.running_bley import Bley, request_options
from tests.integration.test_workers import fetch

PTR = "7.100.51.198.in-addr.arpa"
PTR6 = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
ALIAS = f"7.0-127.{PTR[2:]}"
HERE: Records = {"A": ["198.51.100.7"], "AAAA": ["2001:db8::7"]}
POINTED: Records = {"PTR": ["mx.example.net."]}
MAIL = {"helo_name": "mx.example.net", "sender": "a@example.com", "recipient": "b@example.org"}
NONE, UNVERIFIED = "client-has-no-name", "client-name-unverified"


def explained(folder: Path, zone: Zone, changes: Mapping[str, str], seconds: float = 30) -> dict[str, Any]:
    """Return what `bley explain` shows; only a hang takes these seconds, or a name that is silent."""
    with DnsServer(zone) as dns:
        bley = Bley(folder, resolver=dns.address, check_names="1", check_timeout=f"{seconds}s")
        mail = {"client_address": "198.51.100.7", **MAIL, **changes}
        document: dict[str, Any] = json.loads(bley.run("explain", "--json", *request_options(**mail)))
    return document


def scores(document: Mapping[str, Any]) -> dict[str, int | None]:
    return {check: finding["score"] for check, finding in document["findings"].items() if check != "s_eq_r"}


@pytest.mark.parametrize(
    ("zone", "found"),
    [
        pytest.param({}, {"helo": 2, "dyn": 0, NONE: 1}, id="it has none"),
        pytest.param({PTR: {}}, {"helo": 2, "dyn": 0, NONE: 1}, id="it has other records"),
        pytest.param({"mx.example.net": HERE}, {"helo": 1, "dyn": 0, NONE: 1}, id="HELO leads to it"),
        pytest.param({PTR: POINTED}, {"helo": 2, "dyn": 0, UNVERIFIED: 0}, id="its name does not exist"),
        pytest.param(
            {PTR: {"PTR": ["a.example.com.", r"x\032y.example.", "localhost."]}, "mx.example.net": HERE},
            {"helo": 1, "dyn": 0, UNVERIFIED: 0},
            id="only HELO leads to it",
        ),
        pytest.param({PTR: Rcode("SERVFAIL")}, {"helo": None, "dyn": None, NONE: None}, id="SERVFAIL"),
        pytest.param(
            {PTR: POINTED, "mx.example.net": Rcode("REFUSED")}, {"helo": None, "dyn": None, NONE: None}, id="REFUSED"
        ),
        pytest.param({"mx.example.net": Rcode("SERVFAIL")}, {"helo": None, "dyn": 0, NONE: 1}, id="HELO fails"),
    ],
)
def test_a_client_whose_name_is_not_verified(tmp_path: Path, zone: Zone, found: dict[str, int | None]) -> None:
    document = explained(tmp_path, zone, {})
    assert scores(document) == found
    assert document["triplet"]["client"] == "198.51.100.0/24"
    assert document["outcome"] == ("greylist" if sum(score or 0 for score in found.values()) >= 2 else "pass")


@pytest.mark.parametrize("zone", [{PTR: SILENT}, {PTR: POINTED, "mx.example.net": SILENT}, {"*": SILENT}])
def test_a_silent_dns_is_no_evidence(tmp_path: Path, zone: Zone) -> None:
    document = explained(tmp_path, zone, {"helo_name": "friend"}, seconds=0.5)
    assert scores(document) == {"helo": None, "dyn": None, NONE: None, "helo-not-fqdn": None}
    assert document["outcome"] == "pass"


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        pytest.param({PTR: POINTED, "mx.example.net": HERE}, {}, id="PTR and A"),
        pytest.param({PTR: {"PTR": ["MX.Example.NET."]}, "mx.example.net": HERE}, {}, id="in capitals"),
        pytest.param(
            {PTR: {"PTR": ["a.example.", "mx.example.net.", "z.example."]}, "mx.example.net": HERE}, {}, id="of several"
        ),
        pytest.param(
            {
                PTR: {"CNAME": [f"{ALIAS}."]},
                ALIAS: POINTED,
                "mx.example.net": {"CNAME": ["a.example."]},
                "a.example": HERE,
            },
            {},
            id="by aliases",
        ),
        pytest.param({PTR: Delay(0.1, POINTED), "mx.example.net": Delay(0.1, HERE)}, {}, id="one after the other"),
        pytest.param({PTR6: POINTED, "mx.example.net": HERE}, {"client_address": "2001:db8::7"}, id="IPv6"),
        pytest.param(
            {PTR: POINTED, "mx.example.net": HERE}, {"client_address": "::ffff:198.51.100.7"}, id="IPv4-mapped"
        ),
    ],
)
def test_a_name_that_leads_back_is_the_client_s(tmp_path: Path, zone: Zone, changes: dict[str, str]) -> None:
    document = explained(tmp_path, zone, changes)
    assert scores(document) == {"helo": 0, "dyn": 0}
    assert (document["request"]["client_name"], document["verified_name"]) == ("unknown", "mx.example.net")
    assert document["triplet"]["client"] == "example.net"


def test_a_private_address_may_have_a_name_in_the_local_dns(tmp_path: Path) -> None:
    zone: Zone = {"7.0.168.192.in-addr.arpa": {"PTR": ["mail.lan."]}, "mail.lan": {"A": ["192.168.0.7"]}}
    document = explained(tmp_path, zone, {"client_address": "192.168.0.7", "helo_name": "mail.lan"})
    assert document["verified_name"] == "mail.lan"
    assert scores(document) == {"helo": 0, "dyn": 0}


def test_the_steps_name_it(tmp_path: Path) -> None:
    with DnsServer({PTR: POINTED, "mx.example.net": HERE}) as dns:
        bley = Bley(tmp_path, resolver=dns.address, check_names="1")
        shown = bley.run("explain", *request_options(client_address="198.51.100.7", **MAIL))
    assert "name        mx.example.net leads to the client's address and back, but the mail server did not" in shown


def test_with_check_names_off_the_mail_server_is_believed(tmp_path: Path) -> None:
    with DnsServer({PTR: POINTED, "mx.example.net": HERE}) as dns, Bley(tmp_path, resolver=dns.address) as bley:
        assert bley.ask(client_address="198.51.100.7", **MAIL).startswith("action=DEFER_IF_PERMIT")
        (decision,) = bley.decisions(at_least=1)
        assert decision["helo"] == "2"
        assert dns.questions == []


def test_the_log_and_the_metrics_tell(tmp_path: Path) -> None:
    settings = {"check_names": "1", "web_listen": "127.0.0.1:0"}
    unverified = {"8.100.51.198.in-addr.arpa": {"PTR": ["mx.example.net."]}}
    failing = {"9.100.51.198.in-addr.arpa": Rcode("SERVFAIL")}
    zone: Zone = {PTR: POINTED, "mx.example.net": HERE, **unverified, **failing}
    with DnsServer(zone) as dns, Bley(tmp_path, resolver=dns.address, **settings) as bley:
        for host in (7, 8, 9):
            bley.ask(client_address=f"198.51.100.{host}", **MAIL | {"recipient": f"{host}@example.org"})
        verified, elsewhere, unknown = bley.decisions(at_least=3)
        assert (verified["client_name"], verified["verified_name"]) == ("unknown", "mx.example.net")
        assert f" {UNVERIFIED}=0" in bley.log()
        assert f" {NONE}=?" in bley.log()
        assert [each["action"] for each in (verified, elsewhere, unknown)] == ["pass", "greylist", "pass"]
        metrics = fetch(bley, "/metrics")
    for sample in (
        "bley_verified_names_total",
        f'bley_findings_total{{finding="{UNVERIFIED}"}}',
        f'bley_unknown_findings_total{{check="{NONE}"}}',
    ):
        assert f"\n{sample} 1.0\n" in metrics
