"""`bley try`, as an administrator runs it on mailboxes."""

import gzip
import json
import re
import signal
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bley.cli import main
from bley.commands.progress import Interruption
from bley.commands.try_ import command
from bley.trial.reading import Reader
from bley.trial.trial import Figures
from tests.dns_server import DnsServer
from tests.integration.browser import Browser
from tests.integration.dashboard.site import overflow
from tests.integration.test_lists import V4, entries, name_of
from tests.written_mail import BORDER, written_mail

DATA = Path(__file__).parents[2] / "data" / "sessions.jsonl.gz"
SESSIONS = [
    json.loads(line) | {"date": f"2026-10-{number % 28 + 1:02}T10:{number % 60:02}:00+02:00"}
    for number, line in enumerate(gzip.decompress(DATA.read_bytes()).splitlines())
]
SUSPICIOUS = {
    "label": "ham",
    "client_address": "192.0.2.1",
    "client_name": "web.example.com",
    "helo_name": "friend",
    "sender": "a@example.com",
    "recipient": "b@example.org",
    "date": "2026-10-05T10:00:00+00:00",
}


@pytest.fixture(autouse=True)
def _keep_signals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(signal, "set_wakeup_fd", lambda _: -1)


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    """A Maildir++ of Dovecot, with a folder of spam."""
    folder = tmp_path / "Maildir"
    for name in ("cur", "new", "tmp", ".Junk/cur", ".Junk/new", ".Junk/tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "dovecot-uidlist").write_text("3 V1 N1 G1\n")
    for number, session in enumerate([*SESSIONS, SUSPICIOUS]):
        place = folder / "cur" if session["label"] == "ham" else folder / ".Junk" / "cur"
        (place / f"{number}.mail:2,S").write_bytes(written_mail(session, "Postfix"))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["try", *map(str, arguments)])


def document(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_page_shows_what_would_have_waited(maildir: Path) -> None:
    result = run(maildir, "--spam", maildir / ".Junk")
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "301 mails read, 301 usable from 2026-10-01 to 2026-10-28, received by mx.example.org" in text
    assert "mails 151 150" in text
    assert "why helo: the HELO name does not fit; helo=2 (friend is not the client's name, web.example.com)" in text
    assert "wait at least 5 min exempt bley allow --client example.com" in text
    assert re.search(r"classic = 1 \d+", text)
    assert "The DNS was not queried" in text


@pytest.mark.parametrize(
    ("client", "with_"), [("[{}] (helo=friend)", "esmtp (Exim 4.96)"), ("friend ([{}])", "ESMTP (Kerio Connect 9.4.0)")]
)
def test_clients_of_a_mail_server_that_verifies_no_name_are_not_without_one(client: str, with_: str) -> None:
    """Exim does not without host_lookup. The page says so, and counts nothing against the clients."""
    folder = Path("Maildir/cur")
    folder.mkdir(parents=True)
    for number in range(12):
        received = f"from {client.format(f'198.51.100.{number}')} by mx.example.org with {with_} id 1"
        date = f"Fri, 06 Nov 2026 10:{number:02}:00 +0100"
        (folder / str(number)).write_text(f"Received: {received} for <b@example.org>; {date}\nSubject: x\n\nx\n")
    found = document("Maildir")
    says = (
        "None of 12 clients has a name: the mail server verified none, so what rests on it is unknown and counts 0; "
        "with --dns, bley queries it."
    )
    assert says in found["assumptions"]
    assert found["labels"]["ham"]["delayed"] == 0


def test_the_document_has_every_figure(maildir: Path) -> None:
    found = document(maildir, "--spam", maildir / ".Junk")
    assert found["border"] == [BORDER]
    assert (found["read"], found["usable"], found["judged"], found["complete"]) == (301, 301, 301, True)
    ham = found["labels"]["ham"]
    assert ham["delayed"] == len(found["delayed_ham"]) == sum(ham["reasons"].values())
    assert ham["mails"] == ham["delayed"] + sum(ham["passed"].values()) == sum(each["mails"] for each in ham["months"])
    assert "bley allow --client example.com" in [each["command"] for each in found["exemptions"]]
    rows = {row["settings"]: row["delayed"] for row in found["alternatives"]}
    assert rows["as set"] == {label: each["delayed"] for label, each in found["labels"].items()}
    assert rows["rfc_threshold = 3"]["spam"] <= rows["as set"]["spam"] <= rows["rfc_threshold = 1"]["spam"]


def test_the_figures_of_each_folder_are_shown(maildir: Path, tmp_path: Path) -> None:
    (tmp_path / "old.mbox").write_bytes(b"From a Fri Nov  6 10:00:00 2026\n" + written_mail(SUSPICIOUS, "Exim"))
    (tmp_path / "eml").mkdir()
    (tmp_path / "eml" / "1.eml").write_bytes(written_mail(SUSPICIOUS | {"sender": "c@example.com"}, "Exim"))
    paths = (maildir, tmp_path / "old.mbox", tmp_path / "eml", "--spam", maildir / ".Junk")
    found = document(*paths)["labels"]
    folders = {each["folder"]: each for label in ("ham", "spam") for each in found[label]["folders"]}
    assert {Path(name).name: each["mails"] for name, each in folders.items()} == {
        "Maildir": 151,
        "old.mbox": 1,
        "eml": 1,
        ".Junk": 150,
    }
    assert folders[str(maildir / ".Junk")]["delayed"] == found["spam"]["delayed"]
    text = " ".join(run(*paths).output.split())
    assert "folder mail mails would have waited" in text
    assert f"{maildir / '.Junk'} spam 150 {found['spam']['delayed']} ({found['spam']['delayed_share']:.2%})" in text


def test_the_settings_of_the_daemon_count(maildir: Path, tmp_path: Path) -> None:
    conf, clients = tmp_path / "bley.conf", tmp_path / "clients"
    conf.write_text(f"[bley]\nwhitelist_clients_file = {clients}\n")
    clients.write_text("example.com\n")
    assert document("-c", conf, maildir)["labels"]["ham"]["passed"]["exempt-client"] == 1


def test_signs_of_a_wrong_label_or_border_are_shown_with_their_remedy(maildir: Path) -> None:
    for number in range(9):
        other = written_mail(SUSPICIOUS, "Postfix").replace(b"by mx.example.org", b"by mx.old.example")
        (maildir / "cur" / f"old{number}").write_bytes(other)
    for number in range(400):
        (maildir / "cur" / f"same{number}").write_bytes(written_mail(SUSPICIOUS, "Exim"))
    texts = document(maildir)["assumptions"]
    assert f"{maildir}/.Junk is named as a folder of spam, but counts as ham: name it by --spam." in texts
    assert "Mail also came by mx.old.example (9): if these servers are yours too, name all of them by --mx." in texts
    assert "401 of the mails came from 192.0.2.1: if that is a gateway or filter of yours, name it by --mx." in texts
    both = document(maildir, "--spam", maildir / ".Junk", "--mx", "example.org", "--mx", "mx.old.example")
    assert both["usable"] == both["read"] == 710
    assert not [text for text in both["assumptions"] if "is named as" in text or "also came" in text]


def test_only_with_dns_the_lists_of_today_are_queried(maildir: Path, tmp_path: Path) -> None:
    """Without --dns nothing leaves the machine; with it, the page says what its answers are worth."""
    listed = SUSPICIOUS | {"client_name": "mx.example.com", "helo_name": "mx.example.com", "client_address": V4}
    (tmp_path / "listed").write_bytes(written_mail(listed, "Postfix"))
    with DnsServer(entries("bl.example", V4)) as dns:
        conf = tmp_path / "bley.conf"
        conf.write_text(f"[bley]\nresolver = {dns.address}\ndnsbls = bl.example\ndnswls =\n")
        without = document("-c", conf, tmp_path / "listed")
        assert dns.questions == []
        found = document("-c", conf, "--dns", tmp_path / "listed")
        assert name_of(V4, "bl.example") in {name for name, _ in dns.questions}
        assert document("-c", conf, "--dns", maildir)["usable"] == 301
    assert without["labels"]["ham"]["passed"] == {"clean": 1}
    assert found["labels"]["ham"]["reasons"] == {"dnsbl": 1}
    assert "bl.example" in found["delayed_ham"][0]["findings"]["dnsbl"]["detail"]
    assert [text for text in found["assumptions"] if "The DNS was queried today" in text]
    assert found["alternatives"][0]["delayed"] == {"ham": 1}


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_html_is_one_private_file_without_script(maildir: Path, tmp_path: Path) -> None:
    file = tmp_path / "try.html"
    (maildir / "cur" / "evil").write_bytes(
        written_mail(SUSPICIOUS | {"helo_name": "<script>alert(1)</script>", "sender": "<b>@example.com"}, "Postfix")
    )
    assert run(maildir, "--html", file).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    text, parser = file.read_text(), _Parser()
    parser.feed(text)
    tags = [tag for tag, _ in parser.tags]
    assert not {"script", "link", "img", "b", "iframe"} & set(tags)
    assert not [
        each for _, attributes in parser.tags for each in ("src", "href") if (attributes.get(each) or "#")[0] != "#"
    ]
    assert "url(http" not in text
    assert "@import" not in text
    assert "ham mails would have waited" in text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return Chromium."""
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_html_fits_every_window_and_theme(
    browser: Browser, maildir: Path, tmp_path: Path, width: int, theme: str
) -> None:
    """Also with long names of strangers; axe-core finds no violation, and the policy of the page blocks nothing."""
    long = SUSPICIOUS | {"helo_name": "x" * 200, "sender": f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.com"}
    (maildir / "cur" / "long").write_bytes(written_mail(long, "Postfix"))
    (maildir / ".Junk" / "cur" / ("y" * 200)).write_bytes(b"Subject: none\n\n")
    assert run(maildir, "--spam", maildir / ".Junk", "--html", tmp_path / "try.html").exit_code == 0
    browser.resize(width, 740)
    browser.prefer(color_scheme=theme)
    browser.open((tmp_path / "try.html").as_uri())
    assert [each.text for each in browser.all("h2")][:4] == [
        "The answer",
        "Not usable",
        "Mail that would have waited",
        "By folder",
    ]
    assert overflow(browser) == 0
    assert browser.violations() == []
    assert browser.faults() == []


def test_a_mailbox_without_mail_of_strangers_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "sent.eml").write_bytes(b"Subject: sent by us\n\nbody")
    result = run(tmp_path / "sent.eml")
    assert result.exit_code == 1
    assert "no Received header" in result.stdout
    assert "Error: no mail has a Received header with a client" in result.stderr


def test_an_unknown_border_is_an_error_that_names_it(maildir: Path) -> None:
    result = run(maildir, "--mx", "mx.example.net")
    assert result.exit_code == 1
    assert "no mail was received by mx.example.net: name your mail server by --mx" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "name a mailbox"),
        (["missing"], "missing does not exist: name a mailbox"),
        (["--spam", "x"], "x does not exist"),
    ],
)
def test_a_wrong_command_line_is_an_error(arguments: list[str], error: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert error in result.stderr


def test_a_file_that_cannot_be_written_is_an_error(maildir: Path) -> None:
    result = run(maildir, "--html", "/dev/null/x.html")
    assert result.exit_code == 1
    assert "/dev/null/x.html cannot be written" in result.stderr


@pytest.mark.parametrize("interrupted_while", ["reading", "judging"])
def test_an_interrupted_trial_shows_what_is_done(
    maildir: Path, monkeypatch: pytest.MonkeyPatch, interrupted_while: str
) -> None:
    """A signal ends the reading, or the judging, at the next portion."""
    monkeypatch.setattr(command, "_PORTION", 50)
    interruptions: list[Interruption] = []

    class Recorded(Interruption):
        def __init__(self) -> None:
            super().__init__()
            interruptions.append(self)

    monkeypatch.setattr(command, "Interruption", Recorded)
    counted = 0

    def interrupt(*_: object) -> bool:
        nonlocal counted
        counted += 1
        interruptions[0].is_requested |= counted == 100
        return True

    if interrupted_while == "reading":
        original = Reader.facts
        monkeypatch.setattr(
            Reader, "facts", lambda self, source: (each for each in original(self, source) if interrupt())
        )
    else:
        monkeypatch.setattr(Figures, "__init__", _init_counting(interrupt))
    result = run(maildir, "--json")
    assert result.exit_code == 1
    assert "interrupted: the page shows the mail that was judged until then" in result.stderr
    found = json.loads(result.stdout)
    assert not found["complete"]
    assert 0 < found["judged"] < 301


def _init_counting(interrupt: Any) -> Any:
    original = Figures.__init__

    def init(self: Figures) -> None:
        original(self)
        for _ in range(100):
            interrupt()

    return init
