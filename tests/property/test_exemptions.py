"""Any text is a valid list file or has faults on its lines."""

from collections.abc import Callable
from ipaddress import ip_address

from hypothesis import assume, example, given
from hypothesis import strategies as st

from bley.core.errors import MOST_FAULTS, Fault, SettingsError
from bley.core.exemptions.first_list import FirstList
from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders

ENTRIES = [
    *("example.com", ".example.com", "192.0.2.1", "192.0.2.5/24", "192.168.1", "192.168.1.", "2001:db8::/32"),
    *(
        "::ffff:192.0.2.1",
        "fe80::1%eth0",
        "postmaster@",
        "jane@example.org",
        "dyn:a.example.org",
        "#",
        ";",
        "1.2.3.4/99",
        "@",
        "/",
        "*",
    ),
    *(
        "192.0.2.1-192.0.2.9",
        "[::1]/128",
        " OK",
        "\tREJECT",
        "<>",
        "unknown",
        "*.bücher.example",
        "@xn--bcher-kva.example",
    ),
    *("endif", "!", "hash:/x", "lsearch;/x", "\udcfc", "\0", "^mx", "10/8", "192.168.*"),
]
lines = (
    st.text(max_size=20)
    | st.text(alphabet="0123456789.:/abcdef@%#; ", max_size=20)
    | st.sampled_from(ENTRIES)
    | st.lists(st.sampled_from(ENTRIES), max_size=3).map("".join)
)
expressions = st.text(alphabet="ab01()[]{}<>?*+|\\^$.:,=!-Pi", max_size=20).map("/{}/".format)
files = st.lists(lines | expressions, max_size=8).map("\n".join)


def _faults(read: Callable[[list[tuple[str, str]]], object], text: str) -> tuple[Fault, ...]:
    """Return the faults of `text`; reading it raises nothing else."""
    try:
        read([("list", text)])
    except SettingsError as error:
        return error.faults
    return ()


@given(files)
@example("/a{4294967296}/")
@example("/[[a]/")
def test_any_text_can_be_read_or_has_faults(text: str) -> None:
    """This holds for both kinds of file; a fault names the file and one of its lines."""
    last = text.count("\n") + 1
    for read in (read_clients, read_mail_addresses, read_senders):
        for fault in _faults(read, text):
            assert fault.file == "list"
            assert 1 <= fault.line <= last or "\0" in text
            assert fault.text


@given(lines)
def test_what_can_be_read_can_be_asked(line: str) -> None:
    """A lookup raises nothing, whatever the entries are."""
    text = line.replace("\n", " ")
    if not _faults(read_clients, text):
        read_clients([("list", text)]).find(ip_address("192.0.2.1"), "mx.example.com")
    for read in (read_mail_addresses, read_senders):
        if not _faults(read, text):
            read([("list", text)]).find("jane@example.org")
            read([("list", text)]).find("")


_PARTS = [
    *("a@", "b@", "a", "b", "org", "a.org", "x.a.org", "a@org", "a@a.org", "b@x.a.org", "/^a/", "/b@.*a/", "/^$/"),
    *("@a.org", "@org", "ü.org", "xn--tda.org", "a@ü.org", "@ü.org", "/@ü/", "/@xn--/"),
]
_DOMAINS = ["", "@", "@org", "@a.org", "@x.a.org", "@X.B.ORG", "@ü.org", "@Ü.org", "@xn--tda.org", "@" + 130 * "a."]


@given(st.lists(st.lists(st.sampled_from(_PARTS), max_size=4), max_size=5), st.sampled_from(["", "a", "B"]), st.data())
def test_the_first_list_is_found_as_by_a_look_into_each(
    entries: list[list[str]], local: str, data: st.DataObject
) -> None:
    """Whatever entries they have, and however many there are."""
    lists = [read_mail_addresses([("list", "\n".join(each))]) for each in entries]
    address = local + data.draw(st.sampled_from(_DOMAINS))
    expected = next((place for place, each in enumerate(lists) if each.find(address)), None)
    assert FirstList(lists).find(address) == expected


@given(st.lists(lines, max_size=4), st.lists(lines, max_size=4))
def test_fault_stands_on_its_line(before: list[str], behind: list[str]) -> None:
    """A bad line is named by its number as editors count, whatever is around it."""
    text = "\n".join([*before, "not one name", *behind])
    assume(text.count("\n") < MOST_FAULTS)  # of more faults, some are only counted
    if "\0" in text:
        text = text.replace("\0", "")
    place = "\n".join([*before, ""]).count("\n") + 1
    assert place in [fault.line for fault in _faults(read_clients, text)]
