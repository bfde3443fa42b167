"""The files in contrib/fail2ban, with Debian's fail2ban and the lines of a real bley and a real Postfix."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.dns_server import DnsServer
from tests.integration.greylisters import ask_policy
from tests.integration.postfix import Postfix
from tests.integration.running_bley import Bley
from tests.integration.servers import require
from tests.integration.test_lists import entries, on

CONTRIB = Path(__file__).parents[2] / "contrib/fail2ban"
ETC = Path("/etc/fail2ban")

EARLY, EARLY6, LISTED, LISTED6 = "192.0.2.1", "2001:db8::1", "198.51.100.2", "2001:db8:2::2"
VERIFIED, ITS_NAME = "198.18.3.5", "mx.example.net"
"""A client that is listed, and whose name bley verifies."""
VICTIM = "203.0.113.99"
"""A client that sends nothing, and that others try to get banned."""

FORGED = f"reason=early, client_name=unknown, client_address={VICTIM}, sender=a, recipient=b, why=dnsbl,"
JSON = f'"action": "greylist", "reason": "early", "client_name": "unknown", "client_address": "{VICTIM}", "sender"'
HOSTILE = [
    f"x, {FORGED}",
    f"action=greylist, {FORGED}",
    f"mx bley[1]: action=greylist, {FORGED}",
    f": bley[1]: action=greylist, {FORGED.replace('early', 'new')}",
    f"x\r\n2026-11-26T14:26:50Z bley[1]: action=greylist, {FORGED}",
    f"x\u2028Nov 26 14:26:50 mx bley[1]: action=greylist, {FORGED}",
    f'x", {JSON}: "',
    f'\\"}}\r\n{{{JSON}',
]
"""Names and addresses that imitate lines of the log."""


def found(mode: str, log: str, folder: Path) -> Counter[str]:
    """Return the addresses that the filter finds in these lines, with the number of their lines."""
    require("fail2ban-regex", "fail2ban", as_root=False)
    file = folder / "some.log"
    file.write_text(log)
    command: list[str | Path] = ["fail2ban-regex", "--out=ip", file, f"{CONTRIB}/filter.d/bley.conf[mode={mode}]"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return Counter(ran.stdout.split())


def mail(
    bley: Bley, client_address: str, sender: str = "a@example.com", client_name: str = "unknown", helo: str = "friend"
) -> str:
    """Send a request; return its action."""
    who = {"client_address": client_address, "client_name": client_name, "helo_name": helo}
    return ask_policy(bley.port, **who, sender=sender, recipient="b@example.org").split()[0]


def reverse_name(address: str) -> str:
    """Return the name of the address's PTR record."""
    return ip_address(address).reverse_pointer


def in_syslog(time: str) -> Callable[[str], str]:
    """Return the function that gives lines of bley's file the start that syslog writes, with this time."""
    return lambda log: re.sub(r"^\S+Z bley", f"{time} mx bley", log, flags=re.MULTILINE)


def in_journal(log: str) -> str:
    """Return lines of standard output as journalctl shows them."""
    return re.sub(r"^(\S+Z) (bley\[\d+\]:)", r"Nov 26 14:26:50 mx \2 \1 \2", log, flags=re.MULTILINE)


TIMES = [
    "Nov 26 14:26:50",
    "Nov 26 14:26:50.123456",  # journalctl -o short-precise
    "2026-11-26T14:26:50.123456+00:00",
    "2026-11-26T14:26:50-0500",  # journalctl -o short-iso
    "2026-11-26T14:26:50Z",
]
FORMS: list[Callable[[str], str]] = [str, *map(in_syslog, TIMES), in_journal]


@pytest.fixture(scope="module", name="logs")
def _logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the log of clients that hammer, and of others, by its format."""
    logs = dict[str, str]()
    zone = entries("bl.example", "::ffff:7f00:2", LISTED, LISTED6, VERIFIED, TXT=HOSTILE[2:3])
    zone |= {reverse_name(VERIFIED): {"PTR": [f"{ITS_NAME}."]}, ITS_NAME: {"A": [VERIFIED]}}
    with DnsServer(zone) as dns:
        for log_format in ("text", "json"):
            settings = on(dns, dnsbls="bl.example", check_names="1", log_format=log_format)
            with Bley(tmp_path_factory.mktemp(log_format), **settings) as bley:
                for client in (EARLY, EARLY6):
                    assert {mail(bley, client) for _ in range(3)} == {"action=DEFER_IF_PERMIT"}
                assert mail(bley, LISTED) == mail(bley, LISTED6) == "action=DEFER_IF_PERMIT"
                assert mail(bley, VERIFIED) == "action=DEFER_IF_PERMIT"
                assert mail(bley, "203.0.113.10") == "action=DEFER_IF_PERMIT"  # once
                for _ in range(2):  # it has a name
                    assert mail(bley, "198.18.1.11", client_name="pc1.dsl.example.net") == "action=DEFER_IF_PERMIT"
                for text in HOSTILE:
                    one_line = re.sub(r"[\r\n]", " ", text)  # a line end ends the attribute
                    for _ in range(2):
                        named = "198.18.2.12"
                        assert mail(bley, named, sender=one_line, client_name=f"{one_line}.dsl.example.net")
                        assert mail(bley, named, helo=one_line, client_name=one_line)
                assert mail(bley, one_line) == "action=DUNNO"  # warned of
                bley.stop()
                assert re.search(rf"{VERIFIED}.*dnsbl.*verified_name\W+{ITS_NAME}", bley.log())
                logs[log_format] = bley.log()
    return logs


@pytest.mark.parametrize(("mode", "clients"), [("early", {EARLY: 2, EARLY6: 2}), ("listed", {LISTED: 1, LISTED6: 1})])
def test_only_clients_that_hammer_are_found(
    logs: dict[str, str], mode: str, clients: dict[str, int], tmp_path: Path
) -> None:
    """Neither strangers nor clients with a name are, nor an address that another client writes into its own texts."""
    lines = [form(log) for form in FORMS for log in logs.values()]
    assert all(VICTIM in each for each in lines)
    assert found(mode, "".join(lines), tmp_path) == {client: count * len(lines) for client, count in clients.items()}


PRIVATE = [
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.1",
    "127.0.0.1",
    "169.254.1.1",
    "172.16.0.1",
    "172.31.0.1",
    "192.168.1.1",
    "::1",
    "fd00::1",
    "fe80::1",
]
PUBLIC = {"1.10.0.1", "100.63.0.1", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.169.0.1", "2001:db8:fd00::1"}


def test_a_gateway_is_not_found(logs: dict[str, str], tmp_path: Path) -> None:
    """It has a private address, and a ban would refuse all mail."""
    lines = [line for log in logs.values() for line in log.splitlines() if "early" in line and EARLY in line]
    text = "\n".join(line.replace(EARLY, address) for line in lines for address in [*PRIVATE, *PUBLIC])
    assert set(found("early", text, tmp_path)) == PUBLIC


def test_clients_are_not_found_while_bley_observes(tmp_path: Path) -> None:
    with Bley(tmp_path, mode="observe") as bley:
        for _ in range(3):
            mail(bley, EARLY)
        bley.stop()
        assert "action=would-defer, reason=new" in bley.log()
        assert found("early", bley.log(), tmp_path) == {}


def test_no_text_of_a_client_gets_another_one_banned(tmp_path: Path) -> None:
    """The texts come by a real Postfix, whose lines are in the same file."""
    with Bley(tmp_path, classic="1") as bley, Postfix(f"inet:127.0.0.1:{bley.port}") as postfix:
        for text in HOSTILE:
            local = re.sub(r'([\\"])', r"\\\1", re.sub(r"\s", " ", text))
            for helo_name in ("friend", re.sub(r"\s", "_", text)):
                for sender in (f'"{local}"@example.com', f"{re.sub(r'[^!-~]', '', text)}@example.com"):
                    with postfix.session(client_address=EARLY, helo_name="friend") as smtp:
                        smtp.command(f"HELO {helo_name}")
                        smtp.command(f"MAIL FROM:<{sender}>")
                        smtp.command("RCPT TO:<b@example.org>")
                        smtp.command(f"RCPT TO:<{sender.replace('example.com', 'example.org')}>")
        bley.stop()
        log = in_syslog("Nov 26 14:26:50")(bley.log())
        assert log.count(VICTIM) > len(HOSTILE)
        assert VICTIM in postfix.log()
        assert set(found("early", postfix.log() + log, tmp_path)) == {EARLY}
        assert found("listed", postfix.log() + log, tmp_path) == {}


def dumped(folder: Path, jails: Sequence[str]) -> str:
    """Return the commands of fail2ban-client to its server, with these jails enabled as jail.d/bley.conf says."""
    require("fail2ban-client", "fail2ban", as_root=False)
    etc = folder / "fail2ban"
    shutil.copytree(ETC, etc)
    shutil.copytree(CONTRIB, etc, dirs_exist_ok=True)
    (etc / "jail.local").write_text("[DEFAULT]\nignoreip = 203.0.113.0/24\n")
    (etc / "jail.d/bley.local").write_text("".join(f"[{jail}]\nenabled = true\n" for jail in jails))
    # Debian's own jail reads a log file that is not everywhere.
    (etc / "jail.d/defaults-debian.conf").unlink(missing_ok=True)
    ran = subprocess.run(["fail2ban-client", "-c", etc, "-d"], capture_output=True, text=True, check=True, timeout=60)
    assert "ERROR" not in ran.stderr
    return ran.stdout


def test_the_jails_are_off_until_they_are_enabled_and_ban_for_an_hour(tmp_path: Path) -> None:
    (tmp_path / "off").mkdir()
    assert "bley" not in dumped(tmp_path / "off", [])
    commands = dumped(tmp_path, ["bley-early", "bley-listed"])
    for jail in ("bley-early", "bley-listed"):
        assert f"['start', '{jail}']" in commands
        assert f"['set', '{jail}', 'bantime', '1h']" in commands
        assert re.search(rf"'{jail}', 'addignoreip', '203.0.113.0/24'", commands), "the operator's own"
        assert f"['set', '{jail}', 'addjournalmatch', '_SYSTEMD_UNIT=bley.service']" in commands
