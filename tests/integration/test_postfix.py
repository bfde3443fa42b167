"""A real Postfix with bley in real sessions: the replies to the client, and the delivered mail."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dns_server import SILENT, DnsServer, Zone
from tests.integration.postfix import Postfix
from tests.integration.running_bley import Bley
from tests.integration.servers import Reply, reachable_folder

DEFERRED = Reply(450, "4.7.1 <b@example.org>: Recipient address rejected: greylisted, try again later")
ACCEPTED = 250
GOOD = {"client_address": "192.0.2.25", "client_name": "mx.example.com", "helo_name": "mx.example.com"}
BAD = {"client_address": "198.51.100.7", "helo_name": "friend"}
LINE = {"client_address": "198.51.100.7", "client_name": "198-51-100-7.dsl.example.net"}
POOL = {"client_address": "198.51.100.9", "client_name": "x198-51-100.example.net"}


@contextmanager
def asking(bley: Bley) -> Iterator[Postfix]:
    with bley, Postfix(f"inet:127.0.0.1:{bley.port}") as postfix:
        yield postfix


def rcpt(postfix: Postfix, *, sender: str = "a@example.com", recipient: str = "b@example.org", **client: str) -> Reply:
    """Return the reply to the one recipient of a message, which is delivered if possible."""
    with postfix.session(**client) as smtp:  # type: ignore[arg-type]
        [reply] = smtp.send(sender, [recipient])
    return reply


def test_a_clean_client_passes_at_once(tmp_path: Path) -> None:
    """With a verified name and a matching HELO there is no delay, and no header."""
    bley = Bley(tmp_path)
    with asking(bley) as postfix:
        assert rcpt(postfix, **GOOD).code == ACCEPTED
        [message] = postfix.wait_delivered(1)
    assert "X-Greylist" not in message
    [decision] = bley.decisions()
    assert decision["action"] == "pass"
    assert decision["reason"] == "clean"
    assert decision["helo"] == "0"


@pytest.mark.parametrize(
    ("why", "client", "sender"),
    [
        ("helo", {"client_address": "198.51.100.7", "helo_name": "friend"}, "a@example.com"),
        ("helo", {"client_address": "198.51.100.7", "helo_name": "mx.example.com"}, "a@example.com"),
        ("helo", GOOD | {"helo_name": "mx.example.local"}, "a@example.com"),
        ("helo", GOOD | {"helo_name": "[192.0.2.26]"}, "a@example.com"),
        ("dynamic", LINE | {"helo_name": "home.example.net"}, "a@example.com"),
        ("client-has-no-name", {"client_address": "198.51.100.9", "helo_name": "[198.51.100.9]"}, "a@example.com"),
        ("sender-is-recipient", POOL | {"helo_name": POOL["client_name"]}, "b@example.org"),
        ("helo", {"client_address": "2001:db8::7", "helo_name": "[IPv6:2001:db8::8]"}, ""),
    ],
    ids=[
        "no-name",
        "unverified",
        "other-domain",
        "other-literal",
        "dynamic",
        "literal",
        "sender-is-recipient",
        "null-sender-v6",
    ],
)
def test_a_suspicious_stranger_is_deferred(tmp_path: Path, why: str, client: dict[str, str], sender: str) -> None:
    """The client gets 450 4.7.1 with our text; the log names the finding that tipped the verdict."""
    bley = Bley(tmp_path)
    with asking(bley) as postfix:
        assert rcpt(postfix, sender=sender, **client) == DEFERRED
    [decision] = bley.decisions()
    assert (decision["action"], decision["reason"], decision["why"]) == ("greylist", "new", why)
    assert decision["wait"] == "300"


@pytest.mark.parametrize(
    ("reject_msg", "text"),
    [
        ("4.7.0 wait %(wait)s s", "4.7.0 {}: wait 300 s"),
        ("5.7.1 later", "4.7.1 {}: later"),
        ("x" * 400, "4.7.1 {}: " + "x" * 400),
    ],
    ids=["status", "permanent", "longest"],
)
def test_the_text_may_have_a_status(tmp_path: Path, reject_msg: str, text: str) -> None:
    """access(5): Postfix takes an enhanced status code before the text, and makes it one of a deferral."""
    with asking(Bley(tmp_path, reject_msg=reject_msg)) as postfix:
        reply = rcpt(postfix, **BAD)
    assert reply == Reply(450, text.format("<b@example.org>: Recipient address rejected"))
    assert len(f"450 {reply.text}\r\n") <= 512, "RFC 5321 4.5.3.1.5"


@pytest.mark.parametrize(
    "client",
    [
        GOOD | {"helo_name": "[192.0.2.25]"},
        GOOD | {"client_address": "2001:db8::7", "helo_name": "[IPv6:2001:db8::7]"},
        GOOD | {"client_address": "2001:db8::7", "helo_name": "[IPv6:2001:DB8:0:0::7]"},
        GOOD | {"helo_name": "mail.example.net"},
        GOOD | {"helo_name": "MX.Example.COM"},
        GOOD | {"helo_name": "out3.example.com"},
    ],
    ids=["ipv4-literal", "ipv6-literal", "ipv6-literal-written-otherwise", "other-mail-server", "case", "same-domain"],
)
def test_a_fitting_helo_passes(tmp_path: Path, client: dict[str, str]) -> None:
    """RFC 5321 4.1.3: an address literal of the client's own address is no mismatch."""
    with asking(Bley(tmp_path)) as postfix:
        assert rcpt(postfix, **client).code == ACCEPTED


def test_deferred_too_early_waited_known(tmp_path: Path) -> None:
    """The life of a triplet, with the header in the first delivered message only."""
    bley = Bley(tmp_path)
    with asking(bley) as postfix:
        assert rcpt(postfix, **BAD) == DEFERRED
        assert rcpt(postfix, **BAD) == DEFERRED
        bley.end_waits()
        assert rcpt(postfix, **BAD).code == ACCEPTED
        assert rcpt(postfix, **BAD).code == ACCEPTED
        waited, known = postfix.wait_delivered(2)
    assert [decision["reason"] for decision in bley.decisions()] == ["new", "early", "waited", "known"]
    assert waited["X-Greylist"].startswith("delayed ")
    assert " seconds by bley-3" in waited["X-Greylist"]
    assert waited["X-Greylist"].endswith("+0000")
    assert "X-Greylist" not in known


def test_a_retry_from_the_same_pool_passes(tmp_path: Path) -> None:
    """`greylist_by = smart`: hosts of one registered domain are one client."""
    bley = Bley(tmp_path)
    with asking(bley) as postfix:
        o1 = {"client_address": "192.0.2.1", "client_name": "o1.sg.example.com", "helo_name": "friend"}
        o2 = {"client_address": "203.0.113.2", "client_name": "o2.sg.example.com", "helo_name": "friend"}
        assert rcpt(postfix, **o1) == DEFERRED
        bley.end_waits()
        assert rcpt(postfix, **o2).code == ACCEPTED


def test_the_null_sender_is_a_sender_like_others(tmp_path: Path) -> None:
    """Bounces of a clean client pass; sender is recipient never holds for an empty sender."""
    with asking(Bley(tmp_path)) as postfix:
        assert rcpt(postfix, sender="", **GOOD).code == ACCEPTED
        assert rcpt(postfix, sender="", **BAD) == DEFERRED


def test_smtputf8_addresses_are_kept_apart(tmp_path: Path) -> None:
    """jürgen and jörgen are two senders, each with its own wait, and are logged unchanged."""
    bley = Bley(tmp_path)
    with asking(bley) as postfix:
        assert rcpt(postfix, sender="jürgen@exämple.com", recipient="jörg@example.org", **BAD).code == 450
        bley.end_waits()
        assert rcpt(postfix, sender="jörgen@exämple.com", recipient="jörg@example.org", **BAD).code == 450
        assert rcpt(postfix, sender="Jürgen@exämple.com", recipient="Jörg+x@example.org", **BAD).code == ACCEPTED
        [message] = postfix.wait_delivered(1)
    assert "X-Greylist" in message
    assert "sender=jürgen@exämple.com, recipient=jörg@example.org" in bley.log()


@pytest.mark.parametrize("recipient", ["postmaster@example.org", "Abuse@example.org", "abuse+case7@example.org"])
def test_postmaster_and_abuse_are_never_delayed(tmp_path: Path, recipient: str) -> None:
    """RFC 5321 4.5.1, RFC 2142: a delayed sender can report the delay."""
    bley = Bley(tmp_path)
    with asking(bley) as postfix:
        assert rcpt(postfix, recipient=recipient, **BAD).code == ACCEPTED
    assert [decision["reason"] for decision in bley.decisions()] == ["exempt-recipient"]


LISTS = {
    "whitelist_clients": "# partners\npartner.example\n198.51.100\n2001:db8:7::/48\n/^mx[0-9]+\\.farm\\.example$/\n",
    "whitelist_recipients": "Open@\ndirect@example.org\n",
    "whitelist_senders": "bank.example\nnews@shop.example ; weekly\n",
}


@pytest.mark.parametrize(
    ("reason", "client", "sender", "recipient"),
    [
        ("exempt-client", BAD, "a@example.com", "b@example.org"),
        ("exempt-client", {"client_address": "2001:db8:7::1", "helo_name": "x"}, "a@example.com", "b@example.org"),
        ("exempt-client", GOOD | {"client_name": "out.PARTNER.example"}, "a@example.com", "b@example.org"),
        ("exempt-client", GOOD | {"client_name": "mx7.farm.example"}, "a@example.com", "b@example.org"),
        ("exempt-recipient", {"client_address": "203.0.113.1", "helo_name": "x"}, "a@example.com", "OPEN@example.org"),
        ("exempt-recipient", {"client_address": "203.0.113.1", "helo_name": "x"}, "", "direct+tag@example.org"),
        ("exempt-sender", {"client_address": "203.0.113.1", "helo_name": "x"}, "a@mail.bank.example", "b@example.org"),
        ("exempt-sender", {"client_address": "203.0.113.1", "helo_name": "x"}, "News@Shop.example", "b@example.org"),
    ],
)
def test_who_is_on_a_list_file_passes(
    tmp_path: Path, reason: str, client: dict[str, str], sender: str, recipient: str
) -> None:
    """The files have postgrey's syntax, in any case; the log names the entry by file and line."""
    bley = Bley(tmp_path, LISTS)
    with asking(bley) as postfix:
        assert rcpt(postfix, sender=sender, recipient=recipient, **client).code == ACCEPTED
    [decision] = bley.decisions()
    assert decision["reason"] == reason
    assert f"/whitelist_{reason.removeprefix('exempt-')}s:" in decision["entry"]


def test_several_recipients_of_one_message(tmp_path: Path) -> None:
    """Each recipient has its own triplet; the message that waited bears the header once."""
    bley = Bley(tmp_path)
    with asking(bley) as postfix:
        recipients = ["b@example.org", "c@example.org", "postmaster@example.org"]
        with postfix.session(**BAD) as smtp:  # type: ignore[arg-type]
            assert [reply.code for reply in smtp.send("a@example.com", recipients)] == [450, 450, 250]
        bley.end_waits()
        with postfix.session(**BAD) as smtp:  # type: ignore[arg-type]
            assert [reply.code for reply in smtp.send("a@example.com", recipients)] == [250, 250, 250]
        messages = postfix.wait_delivered(4)
    headers = [message.get_all("X-Greylist", []) for message in messages]
    assert [len(header) for header in headers] == [0, 1, 1, 1]


def test_who_has_logged_in_passes(tmp_path: Path) -> None:
    bley = Bley(tmp_path)
    with asking(bley) as postfix:
        assert rcpt(postfix, sasl_username="jane", **BAD).code == ACCEPTED
    assert [decision["reason"] for decision in bley.decisions()] == ["authenticated"]


def test_the_answer_to_a_user_passes_at_once(tmp_path: Path) -> None:
    """A user who has logged in writes to a stranger whose HELO does not fit: the submission service queries bley."""
    laptop = {"client_address": "192.0.2.9", "helo_name": "laptop", "sasl_username": "bob"}
    with Bley(tmp_path) as bley:
        policy = f"inet:127.0.0.1:{bley.port}"
        restrictions = f"check_policy_service {{ {policy}, default_action=DUNNO }}, permit_mynetworks, reject"
        submission = {"smtpd_recipient_restrictions": restrictions, "mynetworks": "192.0.2.0/24"}
        with Postfix(policy, main_cf=submission) as postfix:
            assert rcpt(postfix, sender="b@example.org", recipient="a@example.com", **laptop).code == ACCEPTED
        with Postfix(policy) as postfix:
            assert rcpt(postfix, **BAD).code == ACCEPTED
            other = DEFERRED.text.replace("b@example.org", "c@example.org")
            assert rcpt(postfix, recipient="c@example.org", **BAD) == Reply(450, other)
    reasons = [decision.get("why", decision["reason"]) for decision in bley.decisions()]
    assert reasons == ["authenticated", "correspondent", "helo"]


def test_a_trusted_network_passes(tmp_path: Path) -> None:
    bley = Bley(tmp_path, trusted_networks="198.51.100.0/24")
    with asking(bley) as postfix:
        assert rcpt(postfix, **BAD).code == ACCEPTED
    assert [decision["reason"] for decision in bley.decisions()] == ["trusted-network"]


def test_observe_delays_nobody_and_tells_whom_it_would(tmp_path: Path) -> None:
    bley = Bley(tmp_path, mode="observe")
    with asking(bley) as postfix:
        assert rcpt(postfix, **BAD).code == ACCEPTED
    [decision] = bley.decisions()
    assert (decision["action"], decision["why"]) == ("would-defer", "helo")


def test_client_memory(tmp_path: Path) -> None:
    """Within cache_valid the same client gets the same answer for another recipient, without new checks."""
    bley = Bley(tmp_path, cache_valid="60s")
    with asking(bley) as postfix:
        assert rcpt(postfix, **BAD) == DEFERRED
        assert rcpt(postfix, recipient="c@example.org", **BAD).code == 450
        assert rcpt(postfix, **GOOD).code == ACCEPTED
        assert rcpt(postfix, recipient="c@example.org", **GOOD | {"helo_name": "now-a-bad-one"}).code == ACCEPTED
    assert [decision.get("why", decision["reason"]) for decision in bley.decisions()] == [
        "helo",
        "client-bad",
        "clean",
        "client-good",
    ]


def test_a_unix_socket_serves_postfix_too(tmp_path: Path) -> None:
    with reachable_folder() as folder:
        place = f"unix:{folder}/bley.sock"
        with (
            Bley(tmp_path, listen_addr=f"127.0.0.1, {place}", listen_mode="0666") as bley,
            Postfix(place) as postfix,
        ):
            assert bley.places == [f"127.0.0.1:{bley.port}", place]
            assert rcpt(postfix, **BAD) == DEFERRED


ZONE: Zone = {
    "2.0.0.127.bl.example": {"A": ["127.0.0.2"]},
    "2.0.0.127.wl.example": {"A": ["127.0.0.2"]},
    "7.100.51.198.bl.example": {"A": ["127.0.0.4"], "TXT": ["listed"]},
    "8.100.51.198.bl.example": {"A": ["127.0.0.1"]},
    "9.100.51.198.bl.example": {"A": ["127.255.255.254"]},
    "10.100.51.198.bl.example": {"A": ["127.0.0.99"]},
    "11.100.51.198.bl.example": {"A": ["203.0.113.80"]},
    "7.100.51.198.wl.example": {"A": ["127.0.5.2"]},
    "12.100.51.198.bl.example": {"A": ["127.0.0.4"]},
    "12.100.51.198.wl.example": SILENT,
    "strict.example": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]},
    "soft.example": {"TXT": ["v=spf1 mx ~all"], "MX": ["10 mx.soft.example"]},
    "mx.soft.example": {"A": ["192.0.2.77"]},
    "mx.null.example": {"TXT": ["v=spf1 -all"]},
}


def listed(number: int) -> dict[str, str]:
    """Return a client at 198.51.100.`number` with no other finding."""
    name = f"mx{number}.example.com"
    return {"client_address": f"198.51.100.{number}", "client_name": name, "helo_name": name}


def test_dns_lists(tmp_path: Path) -> None:
    """A listing defers, an allowlist beats it; error codes, other codes and parked domains never count."""
    with DnsServer(ZONE) as dns:
        lists = {"dnsbls": "bl.example=127.0.0.[2..11]*1", "dnswls": ""}
        bley = Bley(tmp_path, resolver=dns.address, greylist_by="address", **lists)
        with asking(bley) as postfix:
            assert rcpt(postfix, **listed(7)) == DEFERRED
            for number in (8, 9, 10, 11, 13):
                assert rcpt(postfix, **listed(number)).code == ACCEPTED, number
            bley.write_settings(dnswls="wl.example=127.0.[0..255].[1..3]", check_timeout="2s", dnsbl_threshold="1")
            bley.reload()
            bley.wait_log("bl.example is well again")  # only one client got the parked answer
            assert rcpt(postfix, recipient="c@example.org", **listed(7)).code == ACCEPTED
            assert rcpt(postfix, recipient="c@example.org", **listed(12)).code == 450, "though the allowlist is silent"
    decisions = bley.decisions()
    assert [decision.get("why", decision["reason"]) for decision in decisions] == [
        *("dnsbl", "clean", "clean", "clean", "clean", "clean"),
        *("trusted", "dnsbl"),
    ]


def test_spf(tmp_path: Path) -> None:
    """fail and softfail count one: with a HELO that fits only half they defer; the null sender's HELO is asked."""
    with DnsServer(ZONE) as dns:
        bley = Bley(tmp_path, resolver=dns.address, use_spf="1", greylist_by="address")
        half = GOOD | {"helo_name": "smtp.example.com"}
        with asking(bley) as postfix:
            assert rcpt(postfix, sender="a@strict.example", **half | {"client_address": "198.51.100.1"}) == DEFERRED
            assert rcpt(postfix, sender="a@strict.example", **half).code == ACCEPTED
            assert rcpt(postfix, sender="a@soft.example", **half) == DEFERRED
            assert rcpt(postfix, sender="a@soft.example", **half | {"client_address": "192.0.2.77"}).code == ACCEPTED
            assert rcpt(postfix, sender="a@none.example", **half).code == ACCEPTED
            null = {"client_address": "198.51.100.9", "client_name": "a.null.example", "helo_name": "mx.null.example"}
            assert rcpt(postfix, sender="", **null) == DEFERRED
    assert [decision.get("why", decision["reason"]) for decision in bley.decisions()] == [
        *("spf", "clean", "spf", "clean", "clean", "spf"),
    ]


def test_silent_dns_delays_no_mail(tmp_path: Path) -> None:
    """The checks are unknown, mail passes at the end of check_timeout, and the log reports it once."""
    with DnsServer(ZONE) as dns:
        dns.silence()
        lists = {"dnsbls": "bl.example, bl2.example, bl3.example", "dnswls": "wl.example, wl2.example"}
        bley = Bley(tmp_path, resolver=dns.address, check_timeout="1s", use_spf="1", **lists)
        with asking(bley) as postfix:
            assert rcpt(postfix, **GOOD).code == ACCEPTED
            bley.wait_log("DNS: no answer")
    [decision] = bley.decisions()
    assert (decision["reason"], decision["dnsbl"], decision["dnswl"]) == ("clean", "?", "?")
    assert bley.log().count("DNS: no answer") == 1


def test_bley_gone_and_back(tmp_path: Path) -> None:
    """Without bley mail passes (default_action=DUNNO); earlier deferrals wait no second time afterwards."""
    bley = Bley(tmp_path)
    with asking(bley) as postfix:
        assert rcpt(postfix, **BAD) == DEFERRED
        assert bley.stop() == 0
        assert rcpt(postfix, recipient="c@example.org", **BAD).code == ACCEPTED
        bley.write_settings(listen_port=bley.port, greylist_period="0")
        bley.start()
        assert rcpt(postfix, **BAD).code == ACCEPTED
    assert "waited" in [decision["reason"] for decision in bley.decisions()]
