"""What does a host's name say of it: an access line, a rented machine, or a server?"""

from ipaddress import ip_address
from pathlib import Path

import pytest

from bley.core.names.host_kind import HostKind, dynamic_sign, has_mail_word, judge_host_name, server_domain

SOMEWHERE = "203.0.113.99"
NAMES = Path(__file__).parents[3] / "names"
FILES = {"dynamic": HostKind.DYNAMIC, "server": HostKind.NAMED, "rented": HostKind.RENTED}


def names(file: str) -> list[tuple[str, str, str]]:
    """Name, address and reason in each line of a file of names."""
    lines = (NAMES / f"{file}.txt").read_text().splitlines()
    rows = [tuple(cell.strip() for cell in line.split("|")) for line in lines if not line.startswith("#")]
    return [(name, address, reason) for name, address, reason in rows]


@pytest.mark.parametrize("file", FILES)
def test_there_are_enough_names_of_each_kind_each_with_its_reason(file: str) -> None:
    rows = names(file)
    assert len({name for name, _, _ in rows}) == len(rows) >= 150
    assert all(reason for _, _, reason in rows)


@pytest.mark.parametrize(
    ("name", "address", "kind"),
    [(name, address, kind) for file, kind in FILES.items() for name, address, _ in names(file)],
)
def test_names_of_real_hosts_are_what_they_are(name: str, address: str, kind: HostKind) -> None:
    assert judge_host_name(name.lower(), ip_address(address)).kind is kind


@pytest.mark.parametrize(
    ("name", "address", "sign"),
    [
        ("123.32.85.217.dynamic.example.net", "217.85.32.123", "has the address 123.32.85.217 in it"),
        ("dyndsl-085-032-023-123.ewe-ip-backbone.de", "85.32.23.123", "has the address 085-032-023-123 in it"),
        ("AMontsouris-159-1-80-123.w92-321.abo.wanadoo.fr", "92.138.80.123", "has the address 159-1-80-123 in it"),
        ("p578ABBAA.dip.t-dialin.net", "87.138.187.170", "has the address 578abbaa in it"),
        ("p578ABBAA.dip.t-dialin.net", SOMEWHERE, "has 'dip' in it"),
        ("e179123404.adsl.alicedsl.de", "85.179.123.4", "has 'adsl' in it"),
        ("color-123.dsl.example.net", SOMEWHERE, "has 'dsl' in it"),
        ("host203000113099.example.net", SOMEWHERE, "has the address 203000113099 in it"),
        ("host198051100099.example.net", SOMEWHERE, "has the address 198051100099 in it"),
        ("192-0-2-1.example.co.uk.", "192.0.2.1", "has the address 192-0-2-1 in it"),
        ("cpe.2001db8.example.net", "2001:db8::1", "has 'cpe' in it"),
        ("mail-192-0-2-1.dsl.example.net", "192.0.2.1", "has 'dsl' in it"),
        ("v0951.v.pppool.de", SOMEWHERE, "is in pppool.de, which has lines only"),
        ("ip113-99.example.net", SOMEWHERE, "has 113-99 of its address in it"),
    ],
)
def test_the_sign_is_told_in_words(name: str, address: str, sign: str) -> None:
    assert dynamic_sign(name, ip_address(address)) == sign


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(
            "192-0-2-1.smtp-out.example.com", HostKind.NAMED, id="a mail server's word speaks for what is below"
        ),
        pytest.param("smtp-out.192-0-2-1.example.com", HostKind.DYNAMIC, id="and not for what is above"),
        pytest.param("server.192-0-2-1.example.com", HostKind.DYNAMIC, id="nor does a server's"),
        pytest.param(
            "192-0-2-1.server.example.com", HostKind.RENTED, id="a server that is numbered by machine is rented"
        ),
        pytest.param("static.192-0-2-1.example.com", HostKind.RENTED, id="static speaks for the whole name"),
        pytest.param("192-0-2-1.static.example.com", HostKind.RENTED, id="wherever it stands"),
        pytest.param("static.dsl.example.com", HostKind.RENTED, id="a static line of any kind"),
        pytest.param("static.dyn.example.com", HostKind.DYNAMIC, id="but where the address is lent"),
        pytest.param("dyn.static.example.com", HostKind.RENTED, id="the label nearer to the domain has the say"),
        pytest.param("dsl.example", HostKind.NAMED, id="the domain says nothing"),
        pytest.param("localhost", HostKind.NAMED, id="no domain"),
        pytest.param("", HostKind.NAMED, id="no name"),
        pytest.param(".", HostKind.NAMED, id="a dot"),
        pytest.param("mx1-2-3.example.com", HostKind.NAMED, id="three numbers of another"),
        pytest.param("1-2-3-4567.example.com", HostKind.NAMED, id="numbers that are no octets"),
        pytest.param("1-2-3-400.example.com", HostKind.NAMED, id="a number that is no octet"),
        pytest.param("job202401011230.example.com", HostKind.NAMED, id="twelve digits that are no octets"),
        pytest.param("dsl." * 70 + "example.com", HostKind.NAMED, id="too long for a name"),
        pytest.param("äadsl.example.com", HostKind.NAMED, id="a word with letters of any script before it"),
    ],
)
def test_which_label_has_the_say(name: str, kind: HostKind) -> None:
    assert judge_host_name(name, ip_address("192.0.2.1")).kind is kind


def test_a_host_that_is_called_by_a_bare_word_is_no_certain_line() -> None:
    """Somebody named it: a mobile site, a Blackboard server."""
    names_and_certainty = {
        "bb.example.edu": False,
        "mobile.example.com": False,
        "bb7.example.edu": True,
        "x.bb.example.edu": True,
        "mx.dyn.example.net": True,
        "mobile.dsl.example.net": True,
    }
    for name, is_certain in names_and_certainty.items():
        assert judge_host_name(name, ip_address(SOMEWHERE)).kind is HostKind.DYNAMIC
        assert judge_host_name(name, ip_address(SOMEWHERE)).is_certain is is_certain, name


def test_a_line_is_certain_by_a_word_or_by_its_whole_address() -> None:
    """A part of the address may be a server's number too."""
    address = ip_address("192.0.2.199")
    lines = ["x.dsl.example.net", "192-0-2-199.example.net", "2-199.example.net", "0-2-199.example.net"]
    assert [judge_host_name(name, address).is_certain for name in lines] == [True, True, False, False]


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("o1.sg.example.com", "example.com"),
        ("o2.sg.example.com", "example.com"),
        ("O2.SG.Example.com.", "example.com"),
        ("x.dsl.example.com", ""),
        ("static.203-0-113-99.clients.your-server.de", ""),
        ("vps-12345.vps.ovh.net", ""),
        ("com", ""),
        ("", ""),
    ],
)
def test_server_domain(name: str, domain: str) -> None:
    """Servers of one domain are one client; lines and rented machines share nothing with their neighbours."""
    assert server_domain(name, ip_address(SOMEWHERE)) == domain


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("mail.example.com", True),
        ("gwsmtp1.example.com", True),
        ("mx.sflc.info", True),
        ("host.mailout.example.com", True),
        ("libero.it", False),
        ("mailgun.net", False),
        ("mxvm1.example.com", False),
        ("", False),
    ],
)
def test_a_mail_word_counts_in_every_label_but_the_domain(name: str, is_one: bool) -> None:
    assert has_mail_word(name) is is_one
