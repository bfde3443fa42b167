"""Whole list files as other programs have them, written for this test: each is read, or its faults say why not."""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from bley.core.errors import SettingsError
from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders
from bley.core.exemptions.lookup import MailExemptions
from bley.core.mail import parse_address

FILES = Path(__file__).parents[3] / "data" / "list_files"
SOMEWHERE = ip_address("233.252.0.1")


def _text(name: str) -> list[tuple[str, str]]:
    return [(name, FILES.joinpath(name).read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    ("name", "exempt", "others"),
    [
        (
            "postgrey.whitelist_clients",
            {
                "mx.example.com": 6,
                "mail7.pool.example.net": 7,
                "0af-mx9.example.org": 8,
                "192.0.2.17": 9,
                "198.51.100.200": 10,
                "203.0.113.1": 11,
                "2001:db8:1::7": 12,
                "2001:db8:2::25": 13,
                "mx.example.edu": 14,
                "bounces.example.info": 16,
            },
            ["mail.pool.example.net", "192.0.2.18", "2001:db8:2::26", "example.edu"],
        ),
        (
            "sqlgrey.clients_ip_whitelist",
            {"192.0.2.136": 4, "198.51.100.7": 6, "203.0.113.127": 7, "2001:db8:1:2::": 8, "2001:db8:2::25": 9},
            ["192.0.2.209", "203.0.113.128"],
        ),
        (
            "sqlgrey.clients_fqdn_whitelist",
            {"a.example.com": 12, "cs.example.edu": 13, "mail.example.org": 15, "ms-smtp-01.example.net": 16},
            ["mail2.example.org", "scpub.example.net"],
        ),
        (
            "greylistd.whitelist-hosts",
            {
                "192.0.2.1": 6,
                "198.51.100.9": 7,
                "mx.example.org": 8,
                "gluck.example.com": 9,
                "abcrmhc01.example.net": 10,
                "203.0.113.1": 11,
                "10.20.30.40": 12,
                "2001:db8::1": 13,
            },
            ["192.0.2.2", "example.net"],
        ),
        (
            "postscreen_access.cidr",
            {"2001:db8:4fff::1": 3, "2001:db8:20a:202::1": 4, "192.0.2.53": 6, "192.0.2.95": 7, "198.51.101.1": 8},
            ["192.0.2.96", "2001:db8:20a:202::2"],
        ),
        ("mailcow.custom_postscreen_whitelist.cidr", {"192.0.2.9": 6, "2001:db8::9": 7}, ["192.168.0.1"]),
        (
            "mailinabox.client_whitelist",
            {"mx.example.com": 2, "mail.example.net": 3, "192.0.2.7": 4, "198.51.100.12": 5},
            ["example.net"],
        ),
    ],
)
def test_file_of_clients(name: str, exempt: dict[str, int], others: list[str]) -> None:
    """The lines that exempt these clients; no line exempts the others."""
    clients = read_clients(_text(name))

    def line(client: str) -> int:
        address = parse_address(client)
        entry = clients.find(address, "") if address else clients.find(SOMEWHERE, client)
        return int(entry.split(":")[1]) if entry else 0

    assert {client: line(client) for client in exempt} == exempt
    assert [client for client in others if line(client)] == []


@pytest.mark.parametrize(
    ("read", "name", "exempt", "others"),
    [
        (
            read_mail_addresses,
            "postgrey.whitelist_recipients",
            {
                "postmaster@example.net": 2,
                "abuse@example.net": 3,
                "jane@example.org": 4,
                "all@sub.lists.example.org": 5,
                "archive-2@example.net": 6,
            },
            ["joe@example.org"],
        ),
        (
            read_senders,
            "access.senders",
            {
                "": 2,
                "jane@example.org": 3,
                "a@mx.example.com": 4,
                "a@mx.example.net": 5,
                "a@example.edu": 6,
                "postmaster@example.info": 7,
            },
            ["joe@example.org", "a@mx.example.edu"],
        ),
    ],
)
def test_file_of_mail_addresses(
    read: Callable[[list[tuple[str, str]]], MailExemptions], name: str, exempt: dict[str, int], others: list[str]
) -> None:
    found = read(_text(name))
    entries = {address: found.find(address) or "::" for address in exempt}
    assert {address: int(entry.split(":")[1] or 0) for address, entry in entries.items()} == exempt
    assert [address for address in others if found.find(address)] == []


_NO_ACTION = "rejects or defers: a list file only exempts; an access table of Postfix can reject"
_CONDITION = "is a condition of a Postfix table: write only the entries that are exempt"
_NEGATION = "is a negation: a list file only exempts, so narrow the entry that covers this one"
_COLUMNS = (
    "has more than one column: write one entry per line, and comments after '#'; only OK, permit or DUNNO may follow"
    " an entry"
)
_INCLUDES = "names another file or list: a list file cannot include one, but its setting takes several files"
_SETTING = "is a setting: a list file has one entry per line, and bley.conf has the settings"
_PATH = "is not an expression: it ends with '/', without flags; to read a file too, add it to this list's setting"


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        (
            "rejecting.cidr",
            [
                f"2: '192.0.2.66 reject' {_NO_ACTION}",
                f"3: '192.0.2.67 REJECT we know you' {_NO_ACTION}",
                f"4: '192.0.2.68 550 5.7.1 go away' {_NO_ACTION}",
            ],
        ),
        (
            "conditions.cidr",
            [
                f"1: 'if 192.0.2.0/24' {_CONDITION}",
                f"3: 'endif' {_CONDITION}",
                f"4: 'if !198.51.100.0/24' {_CONDITION}",
                f"5: '!203.0.113.0/24 OK' {_NEGATION}",
                f"6: 'endif' {_CONDITION}",
            ],
        ),
        (
            "exim.hosts",
            [
                f"1: '192.0.2.1 : 192.0.2.2' {_COLUMNS}",
                f"2: '+relay_hosts' {_INCLUDES}",
                f"3: '!192.0.2.66' {_NEGATION}",
                f"4: '@[]' {_INCLUDES}",
                f"5: 'net-lsearch;/etc/exim/hosts' {_INCLUDES}",
            ],
        ),
        (
            "main.cf.copy",
            [
                f"1: 'smtpd_banner = $myhostname ESMTP' {_SETTING}",
                f"2: 'mynetworks = 127.0.0.0/8 [::1]/128' {_SETTING}",
                f"3: 'smtpd_client_restrictions = check_client_access hash:/etc/postfix/client_whitelist' {_SETTING}",
                f"4: 'hash:/etc/postfix/client_whitelist' {_INCLUDES}",
                f"5: '/etc/postfix/client_whitelist' {_PATH}",
            ],
        ),
        (
            "greylist.conf.copy",
            [
                f"2: 'racl whitelist addr 192.0.2.0/24' {_COLUMNS}",
                f"3: 'racl whitelist domain example.com' {_COLUMNS}",
                f"4: 'racl greylist default' {_NO_ACTION}",
            ],
        ),
    ],
)
def test_file_that_is_no_list(name: str, faults: list[str]) -> None:
    """Each line with another meaning is a fault, so that it cannot exempt anything."""
    with pytest.raises(SettingsError) as caught:
        read_clients(_text(name))
    assert str(caught.value).split("\n") == [f"{name}:{fault}" for fault in faults]


@pytest.mark.parametrize("column", ["OK", "ok", "permit", "DUNNO", "permit_auth_destination", "RELAY", "1722470400"])
@pytest.mark.parametrize("entry", ["example.com", "/^mx[.]example/", "^mx[.]example", "192.0.2.0 - 192.0.2.9"])
def test_second_column_that_permits(entry: str, column: str) -> None:
    """Its entry is shown without it."""
    clients = read_clients([("list", f"{entry}\t{column}")])
    found = clients.find(ip_address("192.0.2.7"), "mx.example.com") or ""
    assert found.replace("/", "") == f"list:1:{entry}".replace("/", "").replace(" ", "")


@pytest.mark.parametrize("column", ["REJECT", "reject_unlisted_sender", "450 later", "4.7.1 x", "HOLD", "defer", "550"])
def test_second_column_that_does_not_permit(column: str) -> None:
    for entry in ("example.com", "/^mx/"):
        with pytest.raises(SettingsError, match=r"rejects or defers"):
            read_clients([("list", f"{entry} {column}")])


@pytest.mark.parametrize("word", ["ok", "OK", "permit", "dunno", "reject", "if", "endif", "hold", "discard", "defer"])
def test_word_that_is_no_host(word: str) -> None:
    """Of a continued line of Postfix, only the action would become an entry."""
    for read in (read_clients, read_mail_addresses, read_senders):
        with pytest.raises(SettingsError, match=r"is (an action|a condition)"):
            read([("list", f"192.0.2.1\n   {word}")])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("include /etc/postgrey/more", _INCLUDES),
        (".include clients.local", _INCLUDES),
        ("include:_spf.example.com", _INCLUDES),
        ("proxy:hash:/etc/postfix/clients", _INCLUDES),
        ("https://example.com/list.txt", _INCLUDES),
        ("whitelist_clients_file = more", _SETTING),
        ("whitelist=more", _SETTING),
        ("[bley]", _SETTING),
    ],
)
def test_line_about_something_else(line: str, why: str) -> None:
    for read in (read_clients, read_mail_addresses, read_senders):
        with pytest.raises(SettingsError) as caught:
            read([("list", line)])
        assert str(caught.value) == f"list:1: {line!r} {why}"
