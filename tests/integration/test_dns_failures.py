"""Failures of DNS lists and resolvers, and bley's reactions: the real daemon and a real DNS server.

`pytest -rP` shows a line for each mode: "MODE | reaction | worst seconds until an answer".
"""

import itertools
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bley.core.mail import Request
from bley.core.wire import encode_request
from tests.dns_server import SILENT, Delay, DnsServer, Entry, Rcode, Truncated, Zone
from tests.free_ports import free_port
from tests.integration.database_server import wait_until
from tests.integration.running_bley import WAIT_SECONDS, Bley

CHECK_SECONDS = 30
"""The timeout with a list or resolver that answers within milliseconds: only a hang reaches it."""

SILENCE_SECONDS = 2
"""The timeout with a silent one: each stranger waits for it, and a healthy list needs much less."""

LISTED = {"A": ["127.0.0.2"]}
GOOD_LIST: Zone = {"2.0.0.127.good.example": LISTED, "*.2.0.192.good.example": {"A": ["127.0.0.4"]}}
"""A healthy list, which lists 192.0.2.0/24."""

NO_RECORDS: Entry = {}


@dataclass(frozen=True)
class Mode:
    """A failure of one list: its answers about all clients, and bley's message to the operator."""

    name: str
    answer: Entry
    what: str
    remedy: str
    found_after: int
    """The number of strangers until bley detects that a running list has failed; 0: at the next self-test, by a reload.
    """
    is_believed: bool = False
    """Until then its answers count, since they look correct."""
    setting: str = "dnsbls"
    list_name: str = "ill.example"
    healthy: Entry = field(default_factory=lambda: LISTED)
    """The answers for its test entry, and for 203.0.113.0/24, while it is healthy."""
    healthy_listing: Entry = field(default_factory=lambda: LISTED)

    @property
    def ill_zone(self) -> Zone:
        return {**GOOD_LIST, f"*.{self.list_name}": self.answer} if self.answer != NO_RECORDS else GOOD_LIST

    @property
    def well_zone(self) -> Zone:
        own = {f"2.0.0.127.{self.list_name}": self.healthy, f"*.113.0.203.{self.list_name}": self.healthy_listing}
        return {**GOOD_LIST, **own}

    @property
    def verdict(self) -> str:
        """The verdict about a stranger in 203.0.113.0/24 while the list is healthy."""
        return "defer dnsbl" if self.setting == "dnsbls" else "pass trusted"


MODES = [
    Mode("emptied", NO_RECORDS, "it does not list its test entry 127.0.0.2", "remove it from the settings", 0),
    Mode("lists the world", LISTED, "it lists 127.0.0.1, which must not be listed", "remove it", 30, is_believed=True),
    Mode(
        "lists the world, as an allowlist",
        LISTED,
        "it lists 127.0.0.1, which must not be listed",
        "remove it from the settings",
        30,
        is_believed=True,
        setting="dnswls",
    ),
    Mode("parked", {"A": ["203.0.113.9"]}, "it answers 203.0.113.9, which is no return code", "remove it", 1),
    Mode("SERVFAIL", Rcode("SERVFAIL"), "it answers SERVFAIL", "if that lasts, remove it from the settings", 3),
    Mode("REFUSED", Rcode("REFUSED"), "it answers REFUSED", "if that lasts, remove it from the settings", 3),
    Mode("silent", SILENT, "it does not answer in time", "if that lasts, remove it from the settings", 3),
    Mode("silent, as an allowlist", SILENT, "it does not answer in time", "if that lasts", 3, setting="dnswls"),
    Mode(
        "error code",
        {"A": ["127.255.255.254"]},
        "it refuses our queries (127.255.255.254: asked through a public resolver, or",
        "use a resolver of your own whose host name is not generic, or a free Data Query Service (DQS) key",
        1,
        list_name="zen.spamhaus.org",
    ),
    Mode(
        "error code of an unknown list",
        {"A": ["127.255.255.255"]},
        "it refuses our queries (127.255.255.255: you may not ask)",
        "use a resolver of your own",
        1,
    ),
    Mode(
        "throttled allowlist",
        {"A": ["127.0.10.3"]},
        "it refuses our queries (127.0.10.3: too many queries",
        "use a resolver of your own, or subscribe",
        1,
        setting="dnswls",
        list_name="list.dnswl.org",
        healthy={"A": ["127.0.10.0"]},
        healthy_listing={"A": ["127.0.9.2"]},
    ),
]

ALL_MODES = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)

Tell = Callable[[str, str, "Strangers"], None]


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Add a line to the table of modes."""

    def line(mode: str, did: str, strangers: Strangers) -> None:
        record_property("worst_seconds", round(strangers.worst_seconds, 2))
        print(f"{mode} | {did} | {strangers.worst_seconds:.2f}")

    return line


class Strangers:
    """Mail of unknown clients, by default from addresses that no list contains."""

    _numbers = itertools.count()

    def __init__(self, bley: Bley) -> None:
        self._bley = bley
        self.worst_seconds = 0.0

    def comes(self, network: str = "198.51.100", helo: str = "mx.example.com") -> str:
        """Send the next stranger; return verdict and reason: "pass clean", "defer dnsbl"."""
        number = next(self._numbers)
        return self.mail(f"{network}.{number % 250 + 1}", helo)

    def mail(self, address: str, helo: str = "mx.example.com") -> str:
        """Return the same for a client of this address; each mail has another recipient."""
        request = Request(
            client_address=address,
            client_name="mx.example.com",
            helo_name=helo,
            sender="a@example.com",
            recipient=f"x{next(self._numbers)}@example.org",
        )
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", self._bley.port), WAIT_SECONDS) as peer:
            peer.sendall(encode_request(request))
            answer = peer.recv(4096)
        self.worst_seconds = max(self.worst_seconds, time.monotonic() - begun)
        line = self._bley.wait_log(rf"\]: (action=.* recipient={request.recipient},.*)")[1]
        fields = dict(word.split("=", 1) for word in line.replace(",", "").split() if "=" in word)
        defers = answer.startswith(b"action=DEFER_IF_PERMIT")
        assert defers or answer == b"action=DUNNO\n\n"
        assert defers == (fields["action"] == "greylist")
        return f"{'defer' if defers else 'pass'} {fields.get('why', fields['reason'])}"

    def come(self, count: int, network: str = "198.51.100") -> list[str]:
        """Send this number of strangers at the same time."""
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.comes(network), range(count)))

    def of_each_kind(self) -> dict[str, str]:
        """Send a client of the healthy list, one without findings and one with a bad HELO, at the same time."""
        kinds = {"listed": ("192.0.2", "mx.example.com"), "clean": ("198.51.100", "mx.example.com")}
        kinds["bad HELO"] = ("198.51.100", "friend")
        with ThreadPoolExecutor(len(kinds)) as pool:
            return dict(zip(kinds, pool.map(lambda kind: self.comes(*kind), kinds.values()), strict=True))


RIGHT = {"listed": "defer dnsbl", "clean": "pass clean", "bad HELO": "defer helo"}
"""The verdicts by the healthy list and HELO alone, for strangers of each kind."""


def beside_good(mode: Mode, dns: DnsServer) -> Mapping[str, str]:
    """Return settings with the healthy list and the mode's."""
    lists = {"dnsbls": "good.example", "dnswls": ""}
    lists[mode.setting] += f" {mode.list_name}"
    seconds = SILENCE_SECONDS if mode.answer is SILENT else CHECK_SECONDS
    return lists | {"resolver": dns.address, "check_timeout": f"{seconds}s"}


def warning_of(mode: Mode, bley: Bley) -> str:
    """Return the one warning that the list is disabled, with fault and remedy."""
    bley.wait_log("set aside")
    (warning,) = [line for line in bley.log().splitlines() if "set aside" in line]
    _, _, said = warning.partition("]: ")
    assert said.startswith(f"{mode.list_name} is set aside: {mode.what}")
    assert f"; {mode.remedy}" in said
    assert said.endswith(": see docs/lists.md")
    return said


def clients_asked_about(mode: Mode, dns: DnsServer, before: set[tuple[str, str]]) -> list[str]:
    """Return the clients queried since then. c-ares repeats abandoned queries; the text of the list may be queried
    after an answer."""
    asked = [name for name, rrtype in set(dns.questions) - before if rrtype == "A" and name.endswith(mode.list_name)]
    return [name for name in asked if not SELF_TEST.search(name)]


SELF_TEST = re.compile(r"[12]\.0\.0\.127\.|\d+\.1[89]\.198\.|([0-9a-f]\.){32}")
"""The queries of a self-test: its entries, and an address of 198.18.0.0/15; no client here has an IPv6 address."""


@ALL_MODES
def test_a_list_that_is_ill_at_start_counts_nothing_until_it_is_mended(tmp_path: Path, mode: Mode, tell: Tell) -> None:
    with DnsServer(mode.ill_zone) as dns, Bley(tmp_path, **beside_good(mode, dns)) as bley:
        strangers = Strangers(bley)
        assert strangers.of_each_kind() == RIGHT, "while it is tested"
        said = warning_of(mode, bley)
        before = set(dns.questions)
        assert strangers.of_each_kind() == RIGHT
        assert clients_asked_about(mode, dns, before) == []
        tell(f"{mode.name}, at start", said, strangers)

        dns.set_zone(mode.well_zone)
        bley.reload()
        bley.wait_log(rf"{mode.list_name} is well again, after ")
        assert strangers.comes("203.0.113") == mode.verdict
        assert strangers.of_each_kind() == RIGHT
        warning_of(mode, bley)


@ALL_MODES
def test_a_list_that_dies_while_bley_runs_is_found_by_its_answers(tmp_path: Path, mode: Mode, tell: Tell) -> None:
    with DnsServer(mode.well_zone) as dns, Bley(tmp_path, **beside_good(mode, dns)) as bley:
        strangers = Strangers(bley)
        assert strangers.comes("203.0.113") == mode.verdict
        assert strangers.of_each_kind() == RIGHT

        dns.set_zone(mode.ill_zone)
        if mode.found_after:
            became = strangers.come(mode.found_after)
        else:
            became = [strangers.comes()]
            bley.reload()
        assert set(became) == {mode.verdict if mode.is_believed else "pass clean"}
        said = warning_of(mode, bley)
        before = set(dns.questions)
        assert strangers.of_each_kind() == RIGHT
        assert clients_asked_about(mode, dns, before) == []
        warning_of(mode, bley)
        found = f"after {mode.found_after} clients" if mode.found_after else "by its self-test"
        tell(f"{mode.name}, while running", f"{found}: {said}", strangers)


@pytest.mark.parametrize("name", ["silent", "parked"])
def test_a_list_whose_test_entries_outlive_it_in_the_resolvers_cache(tmp_path: Path, name: str, tell: Tell) -> None:
    """The resolver answers the self-test from its cache, which must not enable the list again."""
    mode = next(mode for mode in MODES if mode.name == name)
    test_entries: Zone = {"2.0.0.127.ill.example": LISTED, "1.0.0.127.ill.example": NO_RECORDS}
    with DnsServer(mode.well_zone) as dns, Bley(tmp_path, **beside_good(mode, dns)) as bley:
        strangers = Strangers(bley)
        assert strangers.comes("203.0.113") == mode.verdict
        dns.set_zone({**mode.ill_zone, **test_entries})
        dns.forget_questions()
        assert set(strangers.come(mode.found_after)) == {"pass clean"}
        warning_of(mode, bley)
        wait_until(lambda: ("2.0.0.127.ill.example", "A") in dns.questions, "it is tested")
        before = set(dns.questions)
        assert strangers.of_each_kind() == RIGHT
        assert clients_asked_about(mode, dns, before) == []
        warning_of(mode, bley)
        assert "well again" not in bley.log()
        tell(f"{mode.name}, with its test entries in a cache", "set aside nevertheless", strangers)


def test_all_ill_lists_at_once_harm_no_more_than_one(tmp_path: Path, tell: Tell) -> None:
    zone = dict(GOOD_LIST)
    lists: dict[str, list[str]] = {"dnsbls": ["good.example"], "dnswls": []}
    for number, mode in enumerate(MODES):
        lists[mode.setting].append(f"ill{number}.example")
        zone |= {f"*.ill{number}.example": mode.answer} if mode.answer != NO_RECORDS else {}
    settings: dict[str, str] = {setting: " ".join(names) for setting, names in lists.items()}
    settings["check_timeout"] = f"{SILENCE_SECONDS}s"
    with DnsServer(zone) as dns, Bley(tmp_path, {}, resolver=dns.address, **settings) as bley:
        strangers = Strangers(bley)
        assert strangers.of_each_kind() == RIGHT, "while they are tested"
        for number in range(len(MODES)):
            bley.wait_log(f"ill{number}.example is set aside")
        assert strangers.of_each_kind() == RIGHT
        tell("all of them", f"{bley.log().count('is set aside')} of {len(MODES)} set aside", strangers)


@pytest.mark.parametrize("seconds", [0.3, 1.2])
def test_a_slow_list_that_answers_within_check_timeout_counts(tmp_path: Path, seconds: float, tell: Tell) -> None:
    """It counts before c-ares repeats the query, which it does after a second, and afterwards."""
    zone = {name: Delay(seconds, entry) for name, entry in GOOD_LIST.items() if isinstance(entry, Mapping)}
    zone |= {"*.good.example": Delay(seconds, {"TXT": ["no A record"]})}
    with DnsServer(zone) as dns, good_list_only(tmp_path, dns.address) as bley:
        strangers = Strangers(bley)
        for _ in range(2):
            strangers.comes()  # perhaps before the test of the list, which needs two answers
        assert strangers.of_each_kind() == RIGHT
        assert "set aside" not in bley.log()
        tell(f"slow but right, {seconds} s", "it counts", strangers)


def test_a_truncated_answer_is_asked_again_over_tcp(tmp_path: Path, tell: Tell) -> None:
    zone = {name: Truncated(entry) for name, entry in GOOD_LIST.items() if isinstance(entry, Mapping)}
    with DnsServer(zone) as dns, good_list_only(tmp_path, dns.address) as bley:
        strangers = Strangers(bley)
        assert strangers.of_each_kind() == RIGHT
        assert dns.questions.count(("2.0.0.127.good.example", "A")) == 2
        assert "set aside" not in bley.log()
        tell("truncated", "it counts, by TCP", strangers)


def good_list_only(folder: Path, resolver: str, seconds: float = CHECK_SECONDS, **settings: str) -> Bley:
    return Bley(folder, dnsbls="good.example", resolver=resolver, check_timeout=f"{seconds}s", **settings)


class Line:
    """The network to the only resolver: `down` breaks it, `up` mends it."""

    def __init__(self, *, is_silent: bool) -> None:
        self._is_silent = is_silent
        self.dns = DnsServer(GOOD_LIST)
        self._stack = ExitStack()

    def __enter__(self) -> "Line":
        self._stack.enter_context(self.dns)
        return self

    def down(self) -> None:
        if self._is_silent:
            self.dns.silence()
        else:
            self._stack.close()  # the port is closed

    def up(self) -> None:
        if self._is_silent:
            self.dns.speak()
        else:
            self._stack.enter_context(self.dns)

    def __exit__(self, *_: object) -> None:
        self._stack.close()


CLIENT_QUESTION = re.compile(r"\d+\.2\.0\.192\.good\.example$")
"""A query about a client. The probe of the DNS queries a random name below such a one."""


@pytest.fixture(params=[True, False], ids=["silent", "port closed"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    with Line(is_silent=request.param) as line:
        yield line


def metric(bley: Bley, name: str) -> str:
    url = bley.wait_log(r"metrics at (http://\S+)")[1]
    with urllib.request.urlopen(url) as page:
        text: str = page.read().decode()
    return next(value for key, _, value in (each.rpartition(" ") for each in text.splitlines()) if key == name)


def test_a_resolver_that_is_down_holds_up_no_mail(tmp_path: Path, line: Line, tell: Tell) -> None:
    with good_list_only(tmp_path, line.dns.address, SILENCE_SECONDS, web_listen="127.0.0.1:0") as bley:
        strangers = Strangers(bley)
        assert strangers.of_each_kind() == RIGHT
        assert metric(bley, "bley_dns_silent") == "0.0"

        line.down()
        assert strangers.come(6, "192.0.2") == 6 * ["pass clean"]
        bley.wait_log(f"DNS: no answer from {line.dns.address}; until it answers, its checks count 0")
        before = set(line.dns.questions)
        assert [strangers.comes("192.0.2") for _ in range(3)] == 3 * ["pass clean"]
        asked = {
            name for name, rrtype in set(line.dns.questions) - before if rrtype == "A" and CLIENT_QUESTION.match(name)
        }
        assert asked == set(), "nobody asks who is known to be silent, nor waits for it"
        assert metric(bley, "bley_dns_silent") == "1.0"
        assert float(metric(bley, 'bley_unknown_findings_total{check="dnsbl"}')) == 9

        line.up()
        bley.wait_log("DNS: answers again")
        assert strangers.of_each_kind() == RIGHT
        assert metric(bley, "bley_dns_silent") == "0.0"
        assert bley.log().count("DNS: no answer from") == bley.log().count("DNS: answers again") == 1
        assert "set aside" not in bley.log(), "no list is blamed"
        tell("resolver down", "one line in the log; all pass, after that at once", strangers)


@pytest.mark.parametrize("line", [False], ids=["port closed"], indirect=True)
def test_a_resolver_that_is_down_at_start(tmp_path: Path, line: Line, tell: Tell) -> None:
    """The lists cannot be tested and count nothing; as soon as the DNS answers they are tested and count."""
    line.down()
    with good_list_only(tmp_path, line.dns.address, SILENCE_SECONDS) as bley:
        strangers = Strangers(bley)
        assert strangers.come(6, "192.0.2") == 6 * ["pass clean"]
        bley.wait_log("DNS: no answer from")
        line.up()
        bley.wait_log("DNS: answers again")
        wait_until(lambda: strangers.comes("192.0.2") == "defer dnsbl", "the list counts")
        assert strangers.of_each_kind() == RIGHT
        assert "set aside" not in bley.log()
        tell("resolver down at start", "one line in the log; tested as soon as it answers", strangers)


def silent_server() -> AbstractContextManager[DnsServer]:
    dns = DnsServer({})
    dns.silence()
    return dns


@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "port closed"])
def test_of_two_resolvers_the_first_is_dead(tmp_path: Path, is_silent: bool, tell: Tell) -> None:
    with silent_server() as dead, DnsServer(GOOD_LIST) as dns:
        first = dead.address if is_silent else f"127.0.0.1:{free_port()}"
        with good_list_only(tmp_path, f"{first} {dns.address}", 3 * SILENCE_SECONDS) as bley:
            strangers = Strangers(bley)
            for _ in range(3):
                assert strangers.of_each_kind() == RIGHT
            assert "set aside" not in bley.log()
            assert "DNS: no answer" not in bley.log()
            tell(f"first of two resolvers {'silent' if is_silent else 'closed'}", "the second is asked", strangers)
