"""core.exemptions: a line of a list file means the same alone and among others, and only SettingsError is raised.

What is found depends neither on the case of ASCII letters nor on whether a name has U-labels or A-labels.
"""

import contextlib
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

from bley.core.errors import MOST_FAULTS, Fault, SettingsError
from bley.core.exemptions.entries import is_mail_address, is_name
from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, Names
from bley.core.mail import LONGEST_VALUE, NAME_ENDING, Address
from bley.core.names.domains import a_labels, with_a_labels
from tests.fuzz.fields import SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.step_time import in_time

_ADDRESSES: list[Address] = [
    IPv4Address("192.0.2.1"),
    IPv4Address("192.168.1.77"),
    IPv4Address("0.0.0.0"),
    IPv6Address("2001:db8::1"),
    IPv6Address("::1"),
]
_FILE = "list"
_LONGEST_NAME = 253  # RFC 1035 2.3.4
_MOST_LINES = MOST_FAULTS
"""More faults are not shown."""

_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

_Find = Callable[[Iterable[tuple[str, str]]], tuple[tuple[Fault, ...], str | None]]
"""The faults of files, or the entry in them that exempts."""


def check(data: bytes) -> None:
    """Check a file, then an address, the client's name and a mail address that are looked up in it."""
    fields = Fields(data)
    text, address, name, mail = (
        fields.octets().decode("utf-8", "surrogateescape"),
        fields.pick(_ADDRESSES),
        fields.text()[:LONGEST_VALUE],
        fields.text()[:LONGEST_VALUE],
    )
    name = name.rstrip(NAME_ENDING)  # as Request.verified_name

    def find_client(files: Iterable[tuple[str, str]]) -> tuple[tuple[Fault, ...], str | None]:
        try:
            exemptions = read_clients(files)
        except SettingsError as error:
            return error.faults, None
        return (), _find_client(exemptions, address, name)

    def find_mail(files: Iterable[tuple[str, str]]) -> tuple[tuple[Fault, ...], str | None]:
        try:
            exemptions = read_mail_addresses(files)
        except SettingsError as error:
            return error.faults, None
        return (), _find_mail(exemptions, mail)

    def find_sender(files: Iterable[tuple[str, str]]) -> tuple[tuple[Fault, ...], str | None]:
        try:
            senders = read_senders(files)
        except SettingsError as error:
            return error.faults, None
        by_spf = _find_mail(senders.if_spf_passes, mail)
        assert by_spf is None or mail.rpartition("@")[2], "SPF of no domain exempts"
        return (), _find_mail(senders, mail) or by_spf

    for find in (find_client, find_mail, find_sender):
        with contextlib.suppress(_PutAsideError):
            _check_lines(text, find)
    if is_mail_address(mail):
        assert find_mail([(_FILE, mail)]) == ((), f"{_FILE}:1:{mail}"), "a mail address does not exempt itself"
    if is_name(name) and len(name) <= _LONGEST_NAME:
        assert find_client([(_FILE, name)])[1] or not name.strip("."), "a name does not exempt itself"


def _find_client(exemptions: ClientExemptions, address: Address, name: str) -> str | None:
    return _found(
        exemptions, [name, name.translate(_LOWER), a_labels(name)], lambda form: exemptions.find(address, form)
    )


def _find_mail(exemptions: MailExemptions, mail: str) -> str | None:
    return _found(exemptions, [mail, mail.translate(_LOWER), with_a_labels(mail)], exemptions.find)


def _found(exemptions: Names, forms: list[str], find: Callable[[str], str | None]) -> str | None:
    """Return the entry, the same for each form. Each expression has a time limit, so only one alone is timed."""
    found = find(forms[0]) if len(exemptions.expressions) > 1 else in_time(lambda: find(forms[0]))
    in_lower_case = find(forms[1])
    if exemptions.disabled:
        raise _PutAsideError
    assert in_lower_case == found, "case matters"
    if not exemptions.expressions:  # which see the text as received
        assert find(forms[2]) == found, "another entry for A-labels"
    return found


class _PutAsideError(Exception):
    """An expression took too long and is disabled: nothing can be compared."""


def _check_lines(text: str, find: _Find) -> None:
    """Check that the faults of a file are those of its lines, and that a valid file exempts what its lines exempt."""
    lines = text.split("\n")
    faults, found = find([(_FILE, text)])
    if len(lines) > _MOST_LINES or "\0" in text:
        assert len(faults) <= (1 if "\0" in text else 2 * MOST_FAULTS), "too many faults are shown"
        return
    alone = [find([(_FILE, line)]) for line in lines]
    expected = [(number, _text(fault)) for number, (of_line, _) in enumerate(alone, 1) for fault in of_line]
    assert [(fault.line, _text(fault)) for fault in faults] == expected, "other faults than those of its lines"
    assert all(str(fault).isprintable() for fault in faults), "a fault that a terminal would take for a command"
    if not faults:
        assert (found is not None) == any(entry is not None for _, entry in alone), "other entries than its lines'"
        assert found is None or int(found.split(":")[1]) <= len(lines), "an entry of no line"


def _text(fault: Fault) -> str:
    """Return its text without the part that depends on the depth of the stack."""
    return fault.text.partition("recursion depth exceeded")[0]


def _seed(text: str, address: int = 0, name: str = "mx.example.com", mail: str = "jane@example.org") -> bytes:
    return SEPARATOR.join([text.encode(), bytes([address]), name.encode(), mail.encode()])


HARNESS = Harness(
    check,
    seeds=[
        _seed("example.com\n192.0.2.1\n192.0.2.0/24\n192.168.1\n2001:db8::/32 # ours\n::ffff:192.0.2.0/120\n"),
        _seed("postmaster@\njane@example.org\nexample.org; all of it\n/^j.*e@/\n"),
        _seed("/^mx\\d+\\.example\\.net$/", name="mx1.example.net"),
        _seed("/[[:alpha:]]/\n/(/\n//\n"),
        _seed("/(a+)+$/\n/(a|a)*b/", name="a" * 60, mail="a" * 60 + "@d"),
        _seed("dyn:home.example.org\nDYN: b\u00fccher.example.\ndyn:192.0.2.1\ndyn:*.a\nddns:a.b\nspf:dyn:a.b\n"),
        _seed("wrong line\n1.2.3.4.5\n@\n"),
        _seed("Straße.example\nüber@example.org", name="STRASSE.example", mail="ÜBER@EXAMPLE.org"),
        _seed("xn--bcher-kva.example\n*@bücher.example", name="mx.Bücher.example", mail="jane@BÜCHER.example"),
        _seed("192.0.2.1-192.0.2.9 OK\n192.0.2.1 - 9\n[::1]/128\tpermit\n10/8\n192.168.*.*\nunknown\n", name=""),
        _seed("<>\n'jane@example.org',\n@example.net DUNNO\njane@*\n/^$/i 1\nMAILER-DAEMON", mail=""),
        _seed("192.0.2.1 REJECT\nif !1\nendif\n  OK\nhash:/x\nlsearch;/x\nmx*.example.com\na = b\n^mx\n"),
        _seed("spf:example.org\nSPF:jane@bücher.example OK\nspf:*.example.net\n", mail="jane@bücher.example"),
        _seed("spf:\nspf:jane@\nspf:<>\nspf:/x/\nspf:*\nspf:spf:a@b\nspf: a.b\n"),
        _seed("# Büro\nbücher\n").replace("ü".encode(), b"\xfc"),
    ],
    words=[
        b"\n",
        b"/",
        b"#",
        b";",
        b"@",
        b"::/0",
        b"0.0.0.0/0",
        b" OK",
        b"*.",
        b"<>",
        b"spf:",
        b"xn--",
        "ü".encode(),
        b"-",
        b"!",
        b"if ",
        b"unknown",
        b"\xfc",
        b"/32",
        b".",
        b"\\",
        b"(?i)",
        b"[",
        b"]",
    ],
)
