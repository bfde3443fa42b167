"""List files in postgrey's syntax: what an entry exempts, and what a wrong line is told."""

from collections.abc import Callable
from ipaddress import ip_address

import pytest

from bley.core.errors import Fault, SettingsError
from bley.core.exemptions.list_files import read_clients, read_mail_addresses, read_senders
from bley.core.mail import parse_address

SOMEWHERE = ip_address("203.0.113.99")


@pytest.mark.parametrize(
    ("entry", "exempt", "others"),
    [
        (
            "example.com",
            ["example.com", "mx.example.com", "a.b.example.com"],
            ["badexample.com", "com", "203.0.113.99"],
        ),
        (".example.com", ["example.com", "mx.example.com"], ["badexample.com"]),
        ("example.com.", ["example.com", "mx.example.com"], []),
        ("EXAMPLE.com", ["example.com", "MX.Example.Com", "mx.example.com\t", "mx.example.com. \n"], []),
        ("com", ["example.com"], ["com.example"]),
        ("192.0.2.1", ["192.0.2.1"], ["192.0.2.2", "example.com"]),
        ("192.0.2.0/24", ["192.0.2.0", "192.0.2.255"], ["192.0.3.0", "192.0.1.255"]),
        ("192.0.2.5/24", ["192.0.2.0", "192.0.2.255"], ["192.0.3.5"]),
        ("192.0.2.0/255.255.255.0", ["192.0.2.255"], ["192.0.3.0"]),
        ("192.168.1", ["192.168.1.0", "192.168.1.255"], ["192.168.2.1", "192.168.11.1"]),
        ("192.168.1.", ["192.168.1.7"], ["192.168.11.1"]),
        ("192.168", ["192.168.0.0", "192.168.255.255"], ["192.169.0.0"]),
        ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::1"]),
        ("2001:db8::1", ["2001:db8::1", "2001:DB8:0::1"], ["2001:db8::2"]),
        ("2001:db8::/32", ["2001:db8:ffff::1"], ["2001:db9::1", "192.0.2.1"]),
        ("::ffff:192.0.2.1", ["192.0.2.1"], ["192.0.2.2"]),
        (r"/^mx\d+\.example\.net$/", ["mx1.example.net", "MX23.EXAMPLE.NET"], ["mx.example.net", "mx1.example.net.x"]),
        ("/example/", ["mx.example.net", "myexample.org"], ["192.0.2.1"]),
        ("/EXAMPLE/", ["mx.example.net"], []),
        ("xn--bcher-kva.example", ["mx.xn--bcher-kva.example"], ["bcher.example"]),
        ("_spf.my_host.example", ["_spf.my_host.example"], []),
        ("*.example.com", ["example.com", "a.mx.example.com"], ["badexample.com"]),
        ('"example.com",', ["mx.example.com"], []),
        ("192.0.2.1-192.0.2.9", ["192.0.2.1", "192.0.2.5", "192.0.2.9"], ["192.0.2.0", "192.0.2.10"]),
        ("192.0.2.1 - 192.0.2.9", ["192.0.2.9"], ["192.0.2.10"]),
        ("192.0.2.1 \u2013 192.0.2.9", ["192.0.2.9"], ["192.0.2.10"]),
        ("192.0.2.1-9", ["192.0.2.1", "192.0.2.9"], ["192.0.2.10"]),
        ("0.0.0.1-255.255.255.254", ["0.0.0.1", "127.0.0.1", "255.255.255.254"], ["0.0.0.0", "255.255.255.255"]),
        ("2001:db8::1-2001:db8::ff", ["2001:db8::1", "2001:db8::ff"], ["2001:db8::", "2001:db8::100"]),
        ("[2001:db8::1]-[2001:db8::ff]", ["2001:db8::ff"], ["2001:db8::100"]),
        ("::ffff:192.0.2.1-::ffff:192.0.2.9", ["192.0.2.9"], ["192.0.2.10"]),
        ("[::1]/128", ["::1"], ["::2", "0.0.0.1"]),
        ("[2001:db8::1]", ["2001:db8::1"], ["2001:db8::2"]),
        ("[2001:db8::/32]", ["2001:db8:1::"], ["2001:db9::"]),
        ("[IPv6:2001:db8::1]", ["2001:db8::1"], ["2001:db8::2"]),
        ("IPv6:2001:db8::/32", ["2001:db8:1::"], ["2001:db9::"]),
        ("[192.0.2.1]", ["192.0.2.1"], ["192.0.2.2"]),
        ("ip4:192.0.2.0/24", ["192.0.2.1"], ["192.0.3.1"]),
        ("ip6:2001:db8::/32", ["2001:db8::1"], ["2001:db9::"]),
        ("[::ffff:127.0.0.0]/104", ["127.1.2.3"], ["128.0.0.1"]),
        ("192.0.2.1.", ["192.0.2.1"], ["192.0.2.2"]),
        ("192.168.1.*", ["192.168.1.77"], ["192.168.2.1"]),
        ("192.168.*.*", ["192.168.2.1"], ["192.169.1.1"]),
        ("10.*", ["10.1.2.3"], ["11.1.2.3"]),
        ("10/8", ["10.1.2.3"], ["11.1.2.3"]),
        ("172.16/12", ["172.31.0.1"], ["172.32.0.1"]),
        ("10.0.0.1-5.example.com", ["10.0.0.1-5.example.com"], ["10.0.0.1"]),
        ("/^mx\\d/i", ["MX1.example.net"], ["mx.example.net"]),
        (r"^mx\d+\.example\.net$", ["mx1.example.net"], ["mx.example.net"]),
        ("B\u00fccher.example", ["mx.xn--bcher-kva.example", "MX.B\u00dcCHER.example"], ["bucher.example"]),
        ("*.XN--bcher-kva.example", ["mx.b\u00fccher.example", "xn--BCHER-kva.example"], []),
        ("b\u00fccher\u3002example", ["xn--bcher-kva.example"], []),
        ("stra\u00dfe.example", ["xn--strae-oqa.example", "stra\u00dfe.example"], ["strasse.example"]),
        ("xn--a.example", ["xn--a.example"], []),
        ("/b\u00fccher/", ["b\u00fccher.example"], ["xn--bcher-kva.example"]),
        ("/^xn--bcher/", ["b\u00fccher.example", "xn--bcher-kva.example"], []),
    ],
)
def test_client_entry(entry: str, exempt: list[str], others: list[str]) -> None:
    """A client is an address and, where Postfix could verify it, a name."""
    clients = read_clients([("list", entry)])

    def is_exempt(client: str) -> bool:
        address = parse_address(client)
        return (clients.find(address, "") if address else clients.find(SOMEWHERE, client)) is not None

    assert [client for client in exempt if not is_exempt(client)] == []
    assert [client for client in others if is_exempt(client)] == []


@pytest.mark.parametrize(
    ("entry", "exempt", "others"),
    [
        ("example.org", ["jane@example.org", "jane@mail.example.org", "@example.org"], ["jane@badexample.org", "jane"]),
        ("Example.ORG", ["JANE@EXAMPLE.org", "jane@example.org\t", "jane@example.org. \n"], []),
        ("bücher.example", ["jane@BÜCHER.example"], ["jane@bcher.example"]),
        (
            "postmaster@",
            ["postmaster@example.org", "PostMaster@example.net", "postmaster"],
            ["postmaster2@example.org"],
        ),
        ("jane@example.org", ["jane@example.org", "Jane@Example.Org"], ["joe@example.org", "jane@mail.example.org"]),
        ("jürgen@example.org", ["JÜRGEN@example.org"], ["jörgen@example.org"]),
        ("/^list-.*@example\\.org$/", ["list-x@example.org", "LIST-y@EXAMPLE.ORG"], ["my-list-x@example.org"]),
        ("/./", ["jane", "@"], [""]),
        ("@example.org", ["jane@example.org", "JANE@EXAMPLE.ORG."], ["jane@mail.example.org", "example.org@d.example"]),
        ("*@example.org", ["jane@example.org"], ["jane@mail.example.org"]),
        ("*@*.example.org", ["jane@example.org", "jane@mail.example.org"], []),
        ("jane@*", ["jane@example.org", "jane@example.net"], ["joe@example.org"]),
        ("<jane@example.org>", ["jane@example.org"], ["joe@example.org"]),
        ("jane@example.org.", ["jane@example.org", "jane@example.org."], []),
        ("f\u00f6tz.example", ["foo@f\u00f6tz.example", "foo@XN--FTZ-sna.example", "foo@mail.f\u00d6tz.example"], []),
        ("xn--ftz-sna.example", ["foo@f\u00f6tz.example", "foo@xn--ftz-sna.example"], []),
        ("j\u00fcrgen@f\u00f6tz.example", ["J\u00dcRGEN@xn--ftz-sna.example"], ["xn--jrgen-kva@f\u00f6tz.example"]),
        ("@f\u00f6tz.example", ["foo@xn--ftz-sna.example"], ["foo@mail.xn--ftz-sna.example"]),
        ("/@xn--ftz-sna/", ["foo@f\u00f6tz.example", "foo@xn--ftz-sna.example"], []),
        ("a=b@example.org", ["a=b@example.org"], []),
    ],
)
def test_mail_entry(entry: str, exempt: list[str], others: list[str]) -> None:
    addresses = read_mail_addresses([("list", entry)])
    assert [address for address in exempt if addresses.find(address) is None] == []
    assert [address for address in others if addresses.find(address) is not None] == []


@pytest.mark.parametrize("entry", ["<>", '""', "<> OK", "MAILER-DAEMON", "/^$/", "/^<?>?$/"])
def test_null_sender(entry: str) -> None:
    """It is none of the addresses in other lists."""
    senders = read_senders([("list", f"jane@example.org\n{entry}\n")])
    assert (senders.find("") or "").startswith("list:2:")
    assert senders.find("joe@example.org") is None


@pytest.mark.parametrize("entry", ["jane@", "example.org", "@example.org", "/./", "/^[^@]*@/"])
def test_not_the_null_sender(entry: str) -> None:
    assert read_senders([("list", entry)]).find("") is None


@pytest.mark.parametrize("entry", ["unknown", "Unknown", "unknown OK", "/^unknown$/"])
def test_client_without_a_verified_name(entry: str) -> None:
    """As in access tables of Postfix, and in postgrey."""
    clients = read_clients([("list", f"example.com\n{entry}\nunknown")])
    assert (clients.find(SOMEWHERE, "") or "").startswith("list:2:")
    assert clients.find(SOMEWHERE, "mx.example.net") is None
    assert read_clients([("list", "/./\nexample.com")]).find(SOMEWHERE, "") is None


def test_empty_list_exempts_nobody() -> None:
    assert read_clients([]).find(SOMEWHERE, "mx.example.net") is None
    assert read_mail_addresses([("list", "\n# nobody\n")]).find("") is None
    assert read_mail_addresses([]).find("jane@example.org") is None


def test_comments_and_white_space() -> None:
    text = "# a comment\n\n  example.com  # why\n\texample.net\t; the other sign\n;example.org\r\nexample.edu\r\n"
    clients = read_clients([("list", text)])
    names = ("example.com", "example.net", "example.org", "example.edu")
    assert [clients.find(SOMEWHERE, name) for name in names] == [
        "list:3:example.com",
        "list:4:example.net",
        None,
        "list:6:example.edu",
    ]


def test_found_entry_says_where_it_stands() -> None:
    """As the operator wrote it, so that she finds it; of several, the first and most particular."""
    files = [("first", "Example.COM\n192.0.2.0/24\n/^MX/\n"), ("second", "example.com\nmx.example.com\n192.0.2.0/24")]
    clients = read_clients(files)
    assert clients.find(SOMEWHERE, "example.com") == "first:1:Example.COM"
    assert clients.find(SOMEWHERE, "mx.example.com") == "second:2:mx.example.com"
    assert clients.find(ip_address("192.0.2.1"), "") == "first:2:192.0.2.0/24"
    assert clients.find(SOMEWHERE, "mx.example.net") == "first:3:/^MX/"

    addresses = read_mail_addresses([("list", "Jane@\nexample.org\njane@example.org\njane@example.org # again")])
    assert addresses.find("jane@example.org") == "list:3:jane@example.org"
    assert addresses.find("jane@example.net") == "list:1:Jane@"
    assert addresses.find("joe@example.org") == "list:2:example.org"


_COLUMNS = (
    "has more than one column: write one entry per line, and comments after '#'; "
    "only OK, permit or DUNNO may follow an entry"
)
_NO_NAME = "is not a name: write one entry per line, and comments after '#'"
_NO_RANGE = "is not a range: write its lowest and its highest address, as 192.0.2.1-192.0.2.9"
_PATH = "is not an expression: it ends with '/', without flags; to read a file too, add it to this list's setting"
_WILDCARD = "has a wildcard within a name: write the expression"
_EVERYTHING = "exempts everything: `mode = observe` in bley.conf delays no mail"
_NULL_SENDER = "is the null sender: it belongs in whitelist_senders_file"
_NO_HOST = "is not the full name of one host: write dyn:home.example.org"
_ADDRESS = "is an address, which is not resolved: write it without dyn:"
_MARK = "has an unknown mark: write dyn:home.example.org for the addresses of a name"
_CLIENT = "is about clients: it belongs in whitelist_clients_file"
_NO_NETWORK = "is not an address or network: write it as 192.0.2.1, 192.0.2.0/24, 192.168.1 or 2001:db8::/32"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "jane@example.org",
            "'jane@example.org' is a mail address; a client file takes host names, addresses and networks",
        ),
        ("192", f"'192' {_NO_NETWORK}"),
        ("192.0.2.256", f"'192.0.2.256' {_NO_NETWORK}"),
        ("192.0.2.0/33", f"'192.0.2.0/33' {_NO_NETWORK}"),
        ("192.0.2.0.0", f"'192.0.2.0.0' {_NO_NETWORK}"),
        ("2001:db8::g", f"'2001:db8::g' {_NO_NETWORK}"),
        ("2001:db8::/129", f"'2001:db8::/129' {_NO_NETWORK}"),
        ("example.com/24", f"'example.com/24' {_NO_NETWORK}"),
        ("/unfinished", f"'/unfinished' {_PATH}"),
        ("/^mx/x", f"'/^mx/x' {_PATH}"),
        ("//", f"'//' {_PATH}"),
        ("/", f"'/' {_NO_NETWORK}"),
        ("192.168.256", "'192.168.256' is not a network: write it as 192.168.1 or 192.168.1.0/24"),
        ("192.016", "'192.016' is not a network: write it as 192.168.1 or 192.168.1.0/24"),
        ("example.com example.net", f"'example.com example.net' {_COLUMNS}"),
        ("a.example, b.example # two", f"'a.example, b.example' {_COLUMNS}"),
        ("a.example,b.example", f"'a.example,b.example' {_NO_NAME}"),
        ("example..com", f"'example..com' {_NO_NAME}"),
        (",", f"',' {_NO_NAME}"),
        ("*example.com", f"'*example.com' {_WILDCARD} /example\\.com$/"),
        ("mx*.example.com", f"'mx*.example.com' {_WILDCARD} /^mx.*\\.example\\.com$/"),
        ("192.*.2.1", f"'192.*.2.1' {_NO_NETWORK}"),
        ("192.168.1.*.*", f"'192.168.1.*.*' {_NO_NETWORK}"),
        ("*", f"'*' {_EVERYTHING}"),
        ("*.*", f"'*.*' {_EVERYTHING}"),
        ("192.0.2.9-192.0.2.1", f"'192.0.2.9-192.0.2.1' {_NO_RANGE}"),
        ("192.0.2.9-1", f"'192.0.2.9-1' {_NO_RANGE}"),
        ("192.0.2.1-2001:db8::1", f"'192.0.2.1-2001:db8::1' {_NO_RANGE}"),
        ("192.0.2.1-192.0.2.256", f"'192.0.2.1-192.0.2.256' {_NO_RANGE}"),
        ("192.0.2.0/25-192.0.3.0/24", f"'192.0.2.0/25-192.0.3.0/24' {_NO_NETWORK}"),
        ("[::1]:25", f"'[::1]:25' {_NO_NETWORK}"),
        ("192.0.2.1:25", f"'192.0.2.1:25' {_NO_NETWORK}"),
        ("10/99", "'10/99' is not a network: write it as 192.168.1 or 192.168.1.0/24"),
        ("<>", f"'<>' {_NULL_SENDER}"),
        ("Connect:192.0.2.1 OK", "'Connect:192.0.2.1 OK' has a tag as sendmail's tables: write 192.0.2.1"),
        (f"{'x' * 300}*.y", f"'{'x' * 100}…' {_NO_NAME}"),
        ("x" * 200, f"'{'x' * 100}…' {_NO_NAME}"),
        (".", f"'.' {_NO_NETWORK}"),
        ("/mx(/", "'/mx(/' is not a regular expression: missing ), unterminated subpattern at position 2"),
        ("/*/", "'/*/' is not a regular expression: nothing to repeat at position 0"),
        ("dyn:", f"'dyn:' {_NO_HOST}"),
        ("dyn:home", f"'dyn:home' {_NO_HOST}"),
        ("dyn:*.example.org", f"'dyn:*.example.org' {_NO_HOST}"),
        ("dyn:.example.org", f"'dyn:.example.org' {_NO_HOST}"),
        ("dyn:home..example.org", f"'dyn:home..example.org' {_NO_HOST}"),
        ("dyn:jane@example.org", f"'dyn:jane@example.org' {_NO_HOST}"),
        ("dyn:/home/", f"'dyn:/home/' {_NO_HOST}"),
        ("dyn:home.example.org:25", f"'dyn:home.example.org:25' {_NO_HOST}"),
        ("dyn:spf:example.org", f"'dyn:spf:example.org' {_NO_HOST}"),
        ("dyn:dyn:example.org", f"'dyn:dyn:example.org' {_NO_HOST}"),
        ("dyn:192.0.2.0/24", f"'dyn:192.0.2.0/24' {_NO_HOST}"),
        (f"dyn:{'a' * 64}.example.org", f"'dyn:{'a' * 64}.example.org' {_NO_HOST}"),
        ("dyn:192.0.2.1", f"'dyn:192.0.2.1' {_ADDRESS}"),
        ("dyn:2001:db8::1", f"'dyn:2001:db8::1' {_ADDRESS}"),
        ("dyn:a.example.org b.example.org", f"'dyn:a.example.org b.example.org' {_COLUMNS}"),
        ("ddns:home.example.org", f"'ddns:home.example.org' {_MARK}"),
        ("Host:home.example.org", f"'Host:home.example.org' {_MARK}"),
    ],
)
def test_wrong_line_of_a_client_file(line: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_clients([("list", f"# clients\n{line}\n")])
    assert caught.value.faults == (Fault("list", 2, message),)


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("/^mx[[:digit:]]+/", id="a POSIX class, which Python takes for something else"),
        pytest.param("/a{4294967296}/", id="a repetition beyond all bounds"),
        pytest.param(f"/{'(' * 9999}/", id="nested beyond all bounds"),
    ],
)
def test_expression_that_python_cannot_take(expression: str) -> None:
    """It stops the start like any wrong line; it neither crashes nor means something else in silence."""
    with pytest.raises(SettingsError, match=r"^list:2: .* is not a regular expression: "):
        read_clients([("list", f"# clients\n{expression}\n")])


_NO_ADDRESS = "is not a mail address: write it as user@, user@domain or domain"
_A_NETWORK = "is not a mail address or domain; networks belong in whitelist_clients_file"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("192.0.2.1", f"'192.0.2.1' {_A_NETWORK}"),
        ("192.168", f"'192.168' {_A_NETWORK}"),
        ("2001:db8::/32", f"'2001:db8::/32' {_A_NETWORK}"),
        ("192.0.2.1-192.0.2.9", f"'192.0.2.1-192.0.2.9' {_A_NETWORK}"),
        ("192.0.2.*", f"'192.0.2.*' {_A_NETWORK}"),
        ("[192.0.2.1]", f"'[192.0.2.1]' {_A_NETWORK}"),
        ("<>", f"'<>' {_NULL_SENDER}"),
        ("From:jane@example.org", "'From:jane@example.org' has a tag as sendmail's tables: write jane@example.org"),
        ("@", "'@' has no user and no domain: the null sender is <> in whitelist_senders_file"),
        ("*@*", f"'*@*' {_EVERYTHING}"),
        ("list-*@example.org", f"'list-*@example.org' {_WILDCARD} /^list\\-.*@example\\.org$/"),
        ("jane@*.example.org", f"'jane@*.example.org' {_WILDCARD} /^jane@.*\\.example\\.org$/"),
        ("jane doe@example.org", f"'jane doe@example.org' {_COLUMNS}"),
        ("jane@exa mple.org", f"'jane@exa mple.org' {_COLUMNS}"),
        ("jane@@example.org", f"'jane@@example.org' {_NO_ADDRESS}"),
        ("jane joe", f"'jane joe' {_COLUMNS}"),
        ("/[/", "'/[/' is not a regular expression: unterminated character set at position 0"),
        ("dyn:home.example.org", f"'dyn:home.example.org' {_CLIENT}"),
        ("DYN: home.example.org", f"'DYN: home.example.org' {_CLIENT}"),
    ],
)
def test_wrong_line_of_a_mail_file(line: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_mail_addresses([("list", f"# senders\n{line}\n")])
    assert caught.value.faults == (Fault("list", 2, message),)


@pytest.mark.parametrize("line", ["dyn:home.example.org", "spf:dyn:home.example.org"])
def test_followed_name_is_no_sender(line: str) -> None:
    with pytest.raises(SettingsError, match=f"^list:1: '{line}' {_CLIENT}$"):
        read_senders([("list", line)])


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("dyn:home.example.org", "home.example.org"),
        ("DYN:Home.Example.ORG.", "home.example.org"),
        ("dyn: home.example.org OK", "home.example.org"),
        ("dyn:b\u00fccher.example", "xn--bcher-kva.example"),
        ("dyn:my_nas.example.org", "my_nas.example.org"),
    ],
)
def test_followed_name(entry: str, name: str) -> None:
    """It exempts addresses once they are known, and no name: the client may have that of its provider."""
    clients = read_clients([("list", f"# home\n{entry}  # why")])
    assert list(clients.followed) == [name]
    assert clients.find(SOMEWHERE, name) is None
    clients.exempt_resolved({name: [SOMEWHERE]})
    assert (clients.find(SOMEWHERE, "dsl-7.provider.example") or "").startswith("list:2:")
    assert clients.find(SOMEWHERE, "") is not None
    clients.exempt_resolved({})
    assert clients.find(SOMEWHERE, "") is None


def test_too_many_followed_names_are_a_fault() -> None:
    """Of all files together; a name that stands twice counts once."""
    files = [(file, "\n".join(f"dyn:{file}{number}.example.org" for number in range(50))) for file in "ab"]
    twice = ("c", "dyn:a0.example.org")
    assert len(read_clients([*files, twice]).followed) == 100
    with pytest.raises(SettingsError) as caught:
        read_clients([*files, twice, ("d", "dyn:d.example.org")])
    message = "'dyn:d.example.org' is one too many: bley follows at most 100 names; write networks instead"
    assert caught.value.faults == (Fault("d", 1, message),)


def test_every_wrong_line_of_every_file_is_named() -> None:
    files = [("first", "*\nexample.com\njane@"), ("second", "\n\n/(/")]
    with pytest.raises(SettingsError) as caught:
        read_clients(files)
    assert [(fault.file, fault.line) for fault in caught.value.faults] == [("first", 1), ("first", 3), ("second", 3)]


def test_of_a_name_that_is_too_long_the_end_counts() -> None:
    """It can be no host's, but a list file may exempt the domain that it is below."""
    clients = read_clients([("f", "example.org")])
    assert clients.find(SOMEWHERE, f"{'a.' * 10_000}example.org")
    assert not clients.find(SOMEWHERE, f"{'a' * 10_000}example.org")
    assert not clients.find(SOMEWHERE, f"example.org.{'a.' * 10_000}com")


def test_an_entry_that_takes_too_long_is_disabled_alone() -> None:
    senders = read_mail_addresses([("f", "/(a+)+$/\n/^b@/\n")])
    assert senders.find("a" * 400 + "!") is None
    assert senders.disabled == ["f:1:/(a+)+$/"]
    assert senders.find("b@example.org") == "f:2:/^b@/"


@pytest.mark.parametrize(
    ("entry", "exempt", "others"),
    [
        ("spf:example.org", ["jane@example.org", "jane@mail.example.org"], ["jane@badexample.org", ""]),
        ("SPF:Example.ORG", ["jane@example.org"], []),
        ("spf:.example.org", ["jane@mail.example.org"], []),
        ("spf:@f\u00f6tz.example", ["jane@xn--ftz-sna.example"], ["jane@mail.xn--ftz-sna.example"]),
        ("spf:*.example.org", ["jane@mail.example.org"], [""]),
        ("spf:jane@example.org", ["jane@example.org"], ["joe@example.org", "jane@mail.example.org"]),
    ],
)
def test_entry_that_needs_spf(entry: str, exempt: list[str], others: list[str]) -> None:
    """It exempts nobody by itself, and is found with its place as it was written."""
    senders = read_senders([("list", f"{entry}  # why")])
    assert [senders.if_spf_passes.find(address) for address in exempt] == [f"list:1:{entry}"] * len(exempt)
    assert [senders.if_spf_passes.find(address) for address in others] == [None] * len(others)
    assert [senders.find(address) for address in [*exempt, *others]] == [None] * len([*exempt, *others])


def test_mark_for_spf_may_have_white_space_after_it() -> None:
    senders = read_senders([("list", "SPF: \texample.org OK")])
    assert senders.if_spf_passes.find("jane@example.org") == "list:1:spf:example.org"


@pytest.mark.parametrize("entry", ["spf:", "spf:jane@", "spf:<>", "spf:/example/", "spf:*", "spf:jane@*"])
def test_entry_that_needs_spf_of_any_domain(entry: str) -> None:
    """A forger has a domain whose SPF passes."""
    with pytest.raises(SettingsError) as caught:
        read_senders([("list", entry)])
    what = "needs a domain, whose SPF must pass: write spf:example.org or spf:jane@example.org"
    assert str(caught.value) == f"list:1: {entry!r} {what}"


@pytest.mark.parametrize("read", [read_clients, read_mail_addresses])
def test_spf_is_about_senders(read: Callable[[list[tuple[str, str]]], object]) -> None:
    with pytest.raises(SettingsError, match="is about senders: it belongs in whitelist_senders_file"):
        read([("list", "spf:example.org")])


def test_bytes_that_are_no_utf8() -> None:
    """They may be in comments. In entries, the fault shows them as Windows-1252, which is most probable."""
    text = "# Büro\nexample.com ; Zürich\nbücher.example\n".encode("cp1252").decode("utf-8", "surrogateescape")
    with pytest.raises(SettingsError) as caught:
        read_clients([("list", text)])
    why = "is not UTF-8: it looks like Latin-1 or Windows-1252; convert the whole file to UTF-8"
    assert caught.value.faults == (Fault("list", 3, f"'bücher.example' {why}"),)
    assert read_clients([("list", text.rpartition("b")[0])]).find(SOMEWHERE, "example.com") == "list:2:example.com"


def test_file_that_is_no_text() -> None:
    """One fault for the whole file, such as a table that postmap made, or UTF-16 without a byte order mark."""
    with pytest.raises(SettingsError) as caught:
        read_clients([("list", "\0e\0x\0\n" * 100), ("other", "*")])
    why = "is not a text file: it has NUL characters; name the text file from which it was made, in UTF-8"
    assert caught.value.faults == (Fault("list", 0, why), Fault("other", 1, f"'*' {_EVERYTHING}"))


def test_a_byte_order_mark_within_the_file() -> None:
    """As in files that were joined."""
    assert read_clients([("list", "example.com\n\ufeffexample.net")]).find(SOMEWHERE, "example.net")


def test_file_of_a_wrong_kind() -> None:
    """Ten lines are shown, with one of each kind, and the others are counted."""
    text = "192.0.2.1 REJECT\n" * 2500 + "endif\n"
    with pytest.raises(SettingsError) as caught:
        read_clients([("list", text)])
    faults = caught.value.faults
    assert [fault.line for fault in faults] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 2501]
    assert faults[9].text == "and 2,491 more of this kind"
