"""An entry `spf:` in the list of senders, in a running bley with a DNS server."""

from pathlib import Path

import pytest

from tests.dns_server import SILENT, DnsServer, Zone
from tests.integration.running_bley import Bley, request_options

ZONE: Zone = {"gmail.example": {"TXT": ["v=spf1 ip4:203.0.113.0/24 -all"]}, "slow.example": SILENT}
GENUINE = {
    "client_address": "203.0.113.9",
    "helo_name": "friend",
    "sender": "jane@gmail.example",
    "recipient": "b@example.org",
}
FORGED = GENUINE | {"client_address": "192.0.2.1"}
DEFERRED = "action=DEFER_IF_PERMIT greylisted, try again later"


@pytest.mark.parametrize("use_spf", ["1", "0"])
def test_a_forged_sender_is_judged_and_a_genuine_one_exempt(tmp_path: Path, use_spf: str) -> None:
    tmp_path.joinpath("senders").write_text("spf:gmail.example\n", encoding="utf-8")
    with (
        DnsServer(ZONE) as dns,
        Bley(tmp_path, resolver=dns.address, use_spf=use_spf, whitelist_senders_file="senders") as bley,
    ):
        assert bley.ask(**FORGED) == DEFERRED
        assert bley.ask(**GENUINE) == "action=DUNNO"
        assert bley.ask(**GENUINE | {"sender": "jane@sub.gmail.example"}) == DEFERRED, "it has no SPF record"
        explained = bley.run("explain", *request_options(**FORGED))
        assert "reason=exempt-sender" in bley.log()
    assert f"exempt      no, SPF does not pass: {tmp_path}/senders:1:spf:gmail.example\n" in explained
    assert "fail: SPF fail - not authorized (gmail.example)" in explained
    why = bley.run("why", "jane@gmail.example")  # after its stop, so that all decisions are stored
    assert f"exempt-sender ({tmp_path}/senders:1:spf:gmail.example)" in why


def test_a_domain_that_does_not_answer_exempts_nobody(tmp_path: Path) -> None:
    tmp_path.joinpath("senders").write_text("spf:slow.example\n", encoding="utf-8")
    with (
        DnsServer(ZONE) as dns,
        Bley(tmp_path, resolver=dns.address, check_timeout="1s", whitelist_senders_file="senders") as bley,
    ):
        assert bley.ask(**GENUINE | {"sender": "jane@slow.example"}) == DEFERRED
