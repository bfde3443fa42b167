"""Does the HELO name fit the client, and what is wrong with it?"""

from ipaddress import ip_network

import pytest

from bley.checks.helo import OwnIdentity, check_dynamic_helo, check_helo, faults_of_mismatch
from bley.checks.names import SILENT, ClientNames
from bley.core.evidence import Finding, found
from bley.core.findings import FindingKind
from bley.core.mail import Request, parse_address

NO_NAME = "unknown"


@pytest.mark.parametrize(
    ("score", "helo_name", "client_name", "client_address"),
    [
        pytest.param(0, "mx.example.com", "mx.example.com", "192.0.2.1", id="equal"),
        pytest.param(0, "MX.Example.com.", "mx.EXAMPLE.com", "192.0.2.1", id="equal but for case and dot"),
        pytest.param(0, "localhost", "localhost", "127.0.0.1", id="equal, without a domain"),
        pytest.param(1, "smtp.example.com", "mx.example.com", "192.0.2.1", id="same domain"),
        pytest.param(1, "example.co.uk", "a.b.example.co.uk", "192.0.2.1", id="same domain, two labels of suffix"),
        pytest.param(1, "[192.0.2.1]", NO_NAME, "192.0.2.1", id="literal"),
        pytest.param(1, "[192.0.2.1]", "mx.example.com", "192.0.2.1", id="literal, although it has a name"),
        pytest.param(1, "[IPv6:2001:db8::1]", NO_NAME, "2001:db8::1", id="IPv6 literal"),
        pytest.param(1, "[ipv6:2001:0DB8:0:0::1]", NO_NAME, "2001:db8::1", id="IPv6 literal, written in another way"),
        pytest.param(1, "[192.0.2.1]", NO_NAME, "::ffff:192.0.2.1", id="IPv4-mapped"),
        pytest.param(1, "[IPv6:::ffff:192.0.2.1]", NO_NAME, "192.0.2.1", id="IPv4-mapped literal"),
        pytest.param(2, "www.example.net", "web.example.com", "192.0.2.1", id="another name"),
        pytest.param(2, "other.co.uk", "web.example.co.uk", "192.0.2.1", id="same suffix, which is nobody's"),
        pytest.param(1, "mx.example.net", "web.example.com", "192.0.2.1", id="another mail server's name"),
        pytest.param(1, "example.net", "smtp-33.example.com", "192.0.2.1", id="another name of a mail server"),
        pytest.param(2, "mx.example.net", "x.dsl.example.com", "192.0.2.1", id="a mail server's name on a line"),
        pytest.param(2, "mx.example.net", "vps-1.example.com", "192.0.2.1", id="on a rented machine"),
        pytest.param(2, "mx.example.net", "vm3231222.example.com", "192.0.2.1", id="on a numbered machine"),
        pytest.param(2, "mx.example.net", "example.com", "192.0.2.1", id="on a host named like its domain"),
        pytest.param(2, "mx.example.net", "jane.dyndns.org", "192.0.2.1", id="on a host of dynamic DNS"),
        pytest.param(2, "x.dsl.example.net", "mx.example.com", "192.0.2.1", id="a line's name on a mail server"),
        pytest.param(2, "mx.example.local", "mx.example.com", "192.0.2.1", id="a name in no public DNS"),
        pytest.param(2, "mx", "mx.example.com", "192.0.2.1", id="a name without a domain"),
        pytest.param(2, "localhost", "mx.example.com", "192.0.2.1", id="localhost"),
        pytest.param(2, "other", "mx", "192.0.2.1", id="neither has a domain"),
        pytest.param(2, "other.dyndns.org", "home.dyndns.org", "192.0.2.1", id="neighbours below a private suffix"),
        pytest.param(2, "mx.example.com", NO_NAME, "192.0.2.1", id="client without a name"),
        pytest.param(2, "unknown", NO_NAME, "192.0.2.1", id="unknown never matches"),
        pytest.param(2, "", "", "192.0.2.1", id="nothing is no match"),
        pytest.param(2, "", "mx.example.com", "192.0.2.1", id="no HELO"),
        pytest.param(2, "192.0.2.1", NO_NAME, "192.0.2.1", id="an address is no literal"),
        pytest.param(2, "[192.0.2.2]", NO_NAME, "192.0.2.1", id="a literal of another"),
        pytest.param(2, "[IPv6:2001:db8::2]", NO_NAME, "2001:db8::1", id="an IPv6 literal of another"),
        pytest.param(2, "[example.com]", NO_NAME, "192.0.2.1", id="brackets around a name"),
        pytest.param(2, "[192.0.2.1", NO_NAME, "192.0.2.1", id="half a literal"),
    ],
)
def test_score(score: int, helo_name: str, client_name: str, client_address: str) -> None:
    address = parse_address(client_address)
    assert address is not None
    assert check_helo(Request(helo_name=helo_name, client_name=client_name), address).score == score


@pytest.mark.parametrize(
    ("helo_name", "client_name", "detail"),
    [
        ("mx.example.com", "mx.example.com", "mx.example.com is the client's name"),
        ("[192.0.2.1]", NO_NAME, "[192.0.2.1] is the client's address"),
        (
            "a.example.com",
            "b.example.com",
            "a.example.com is in example.com like the client's name b.example.com",
        ),
        ("a.example.com", "b.example.net", "a.example.com is not the client's name, b.example.net"),
        (
            "mx.example.com",
            "b.example.net",
            "mx.example.com is a mail server's name, but not the client's, b.example.net",
        ),
        ("a.example.com", NO_NAME, "a.example.com is not the client's name, which is unknown"),
        ("", "b.example.net", "no HELO is not the client's name, b.example.net"),
    ],
)
def test_detail_is_for_people(helo_name: str, client_name: str, detail: str) -> None:
    address = parse_address("192.0.2.1")
    assert address is not None
    assert check_helo(Request(helo_name=helo_name, client_name=client_name), address).detail == detail


CLIENT, OURS = "192.0.2.1", OwnIdentity("mx.example.org", (ip_network("127.0.0.0/8"), ip_network("198.51.100.0/24")))


@pytest.mark.parametrize("helo_name", ["mx.example.org", "example.net"])
def test_a_mail_server_with_a_name_of_ours_is_a_mismatch(helo_name: str) -> None:
    """Our host name, and the recipient's domain."""
    address = parse_address(CLIENT)
    assert address is not None
    request = Request(helo_name=helo_name, client_name="smtp.example.com", recipient="jane@example.net")
    assert check_helo(request, address, us=OURS).kind is FindingKind.HELO_MISMATCH
    assert check_helo(request._replace(helo_name="mx.example.edu"), address, us=OURS).score == 1


def _faults(helo_name: str, client_name: str = NO_NAME, client_address: str = CLIENT) -> set[str]:
    """What is found wrong with the HELO name by itself."""
    address = parse_address(client_address)
    assert address is not None
    request = Request(helo_name=helo_name, client_name=client_name, recipient="jane@Example.ORG")
    is_mismatch = check_helo(request, address).kind is FindingKind.HELO_MISMATCH
    found_in_it = {kind.value for kind, _ in faults_of_mismatch(request, OURS)} if is_mismatch else set()
    return found_in_it | ({"helo-looks-dynamic"} if check_dynamic_helo(request, address) else set())


@pytest.mark.parametrize(
    ("helo_name", "faults"),
    [
        pytest.param("friend", {"helo-not-fqdn"}, id="no dot"),
        pytest.param("FRIEND.", {"helo-not-fqdn"}, id="no dot but the last"),
        pytest.param("192.0.2.1", {"helo-bare-address"}, id="its own address without brackets"),
        pytest.param("192.0.2.7", {"helo-bare-address"}, id="another's"),
        pytest.param("2001:db8::1", {"helo-bare-address"}, id="IPv6"),
        pytest.param("localhost", {"helo-not-fqdn", "helo-is-local"}, id="localhost"),
        pytest.param("localhost.localdomain", {"helo-is-local"}, id="localdomain"),
        pytest.param("pc.LOCAL.", {"helo-is-local"}, id="local"),
        pytest.param("speedtouch.lan", {"helo-is-local"}, id="lan"),
        pytest.param("local.example.com", set(), id="local is not the last label"),
        pytest.param("dsl-192-0-2-1.example.com", {"helo-looks-dynamic"}, id="an access line"),
        pytest.param("x.2-100.example.com", set(), id="what may be a server's number"),
        pytest.param("example.org", {"helo-claims-us"}, id="the recipient's domain"),
        pytest.param("EXAMPLE.org.", {"helo-claims-us"}, id="in another case"),
        pytest.param("mx.example.org", {"helo-claims-us"}, id="our own name"),
        pytest.param("mail.example.org", set(), id="another host of the recipient's domain"),
        pytest.param("[198.51.100.7]", {"helo-claims-us"}, id="a literal of a network of ours"),
        pytest.param("198.51.100.7", {"helo-bare-address", "helo-claims-us"}, id="the same without brackets"),
        pytest.param("[127.0.0.1]", {"helo-claims-us"}, id="the loopback"),
        pytest.param("[192.0.2.7]", set(), id="a literal of another"),
        pytest.param("[IPv6:2001:db8::7]", set(), id="an IPv6 literal of another"),
        pytest.param("mail.example.com", set(), id="a proper name, of another"),
        pytest.param("", set(), id="no HELO"),
    ],
)
def test_faults_of_a_helo_that_does_not_fit(helo_name: str, faults: set[str]) -> None:
    assert _faults(helo_name) == faults


@pytest.mark.parametrize(
    ("helo_name", "client_name", "faults"),
    [
        pytest.param("mx.example.org", "mx.example.org", set(), id="our own server, relaying to itself"),
        pytest.param("example.org", "smtp.example.org", set(), id="a server of the recipient's domain"),
        pytest.param("localhost", "localhost", set(), id="localhost by name"),
        pytest.param("[192.0.2.1]", NO_NAME, set(), id="its own address as a literal"),
        pytest.param("x.dsl.example.com", "x.dsl.example.com", {"helo-looks-dynamic"}, id="an access line"),
    ],
)
def test_a_helo_that_fits_can_only_look_dynamic(helo_name: str, client_name: str, faults: set[str]) -> None:
    """What leads to the client's address is its name, whatever it is."""
    assert _faults(helo_name, client_name) == faults


def test_without_our_name_nobody_claims_it() -> None:
    """A short host name, or none that is known, is no claim."""
    request = Request(helo_name="mx", recipient="jane@")
    for us in (OwnIdentity(), OwnIdentity("mx")):
        assert [kind for kind, _ in faults_of_mismatch(request, us)] == ["helo-not-fqdn"]


RESOLVES = found(FindingKind.HELO_RESOLVES, "it leads to the client")
NONE = found(FindingKind.CLIENT_HAS_NO_NAME, "it has none")
UNKNOWN = Finding(None, "the DNS fails")


@pytest.mark.parametrize(
    ("helo_name", "client_name", "names", "kind", "score"),
    [
        pytest.param("mx.example.com", NO_NAME, ClientNames(NONE, RESOLVES), "helo-resolves", 1, id="it resolves"),
        pytest.param("mx.example.com", NO_NAME, ClientNames(NONE, UNKNOWN), None, None, id="it may resolve"),
        pytest.param("mx.example.com", NO_NAME, ClientNames(NONE), "helo-mismatch", 2, id="it does not"),
        pytest.param("mx.example.com", NO_NAME, ClientNames(UNKNOWN), None, None, id="it may be the client's name"),
        pytest.param("mx.example.com", NO_NAME, ClientNames(UNKNOWN, RESOLVES), None, None, id="0 or 1"),
        pytest.param("friend", NO_NAME, SILENT, None, None, id="a silent DNS"),
        pytest.param("[192.0.2.1]", NO_NAME, SILENT, "helo-half-match", 1, id="a literal needs no name"),
        pytest.param("mx.example.com", "mx.example.com", ClientNames(None, RESOLVES), None, 0, id="it is the name"),
        pytest.param(
            "a.example.com", "b.example.com", ClientNames(None, UNKNOWN), "helo-half-match", 1, id="it is in the domain"
        ),
        pytest.param(
            "mx.example.com", "mx.example.net", ClientNames(None, RESOLVES), "helo-resolves", 1, id="another name"
        ),
    ],
)
def test_what_the_dns_says_about_names_counts(
    helo_name: str, client_name: str, names: ClientNames, kind: str | None, score: int | None
) -> None:
    """Unknown is what an answer could still make a better match."""
    address = parse_address(CLIENT)
    assert address is not None
    finding = check_helo(Request(helo_name=helo_name, client_name=client_name), address, names)
    assert (finding.kind, finding.score) == (kind, score)


def test_u_labels_and_a_labels_are_one_name() -> None:
    """RFC 5890 2.3.2.1."""
    address = parse_address(CLIENT)
    assert address is not None
    request = Request(helo_name="MX.bücher.example.", client_name="mx.xn--bcher-kva.example")
    assert check_helo(request, address).score == 0
    assert check_helo(request._replace(helo_name="smtp.Bücher.example"), address).score == 1
