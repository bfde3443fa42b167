"""`bley import`, `export` and `forget` with real predecessors, stores and bleys."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event
from typing import Any, NamedTuple, Self, TypeVar

import pytest

from bley.core.quantity import quantity
from tests.free_ports import free_port
from tests.integration.database_server import PASSWORD
from tests.integration.greylisters import (
    DELAY_OVER_SECONDS,
    ask_policy,
    postgrey_folder,
    running_postgrey,
    running_sqlgrey,
    write_berkeley_db,
)
from tests.integration.running_bley import BLEY, WAIT_SECONDS, Bley
from tests.integration.servers import reachable_folder
from tests.integration.stores import ENGINES, Servers
from tests.integration.warm_start import start_bley

ONE_OF_EACH = ["sqlite", "postgresql", "mariadb", "redis"]

DUNNO = "action=DUNNO"
DEFER = "action=DEFER_IF_PERMIT greylisted, try again later"

HEADER = {"bley": "3.0.0", "format": 1, "privacy": "off"}
NOW = datetime.now(UTC).replace(microsecond=123456)

JsonRecord = dict[str, Any]
T = TypeVar("T")


def new_bley(folder: Path, servers: Servers, engine: str, **settings: object) -> Bley:
    """Return a bley, not started, on an empty store of this engine; it defers strangers for their HELO, and retries
    cost nothing."""
    url = f"sqlite:///{folder}/bley.db" if engine == "sqlite" else servers.new_url(engine)
    return Bley(folder, database=url, greylist_period="1h", greylist_penalty=0, **settings)


def on_each_engine(work: Callable[[Bley], T], folder: Path, servers: Servers, **settings: object) -> dict[str, T]:
    """Return the result of the work with a new bley, by engine; all at once, to save time."""

    def on(engine: str) -> T:
        place = folder / engine
        place.mkdir()
        try:
            return work(new_bley(place, servers, engine, **settings))
        except BaseException as error:
            error.add_note(f"on {engine}")
            raise

    for engine in ONE_OF_EACH[1:]:
        servers.get(engine)  # it starts in one thread
    with ThreadPoolExecutor(len(ONE_OF_EACH)) as pool:
        return dict(zip(ONE_OF_EACH, pool.map(on, ONE_OF_EACH), strict=True))


class Verdict(NamedTuple):
    answer: str
    reason: str
    """Return the standing of a deferred triplet: new or early."""


def asked(bley: Bley, client_address: str, sender: str, recipient: str, client_name: str = "unknown") -> Verdict:
    """Return the answer of the running bley, and its reason."""
    begun = len(bley.log())
    answer = ask_policy(
        bley.port,
        client_address=client_address,
        client_name=client_name,
        helo_name="friend",
        sender=sender,
        recipient=recipient,
    )
    return Verdict(answer, bley.wait_log(r"\]: action=.*?reason=([a-z-]+)", since=begun)[1])


KNOWN = Verdict(DUNNO, "known")
NEW = Verdict(DEFER, "new")
EARLY = Verdict(DEFER, "early")


def record(
    client: str = "192.0.2.0/24",
    sender: str = "a@example.com",
    recipient: str = "b@example.org",
    status: str = "clean",
    *,
    first_ago: timedelta = timedelta(hours=1),
    last_ago: timedelta = timedelta(0),
    attempts: int = 0,
) -> JsonRecord:
    """Return a record as a line of `bley export`."""
    return {
        "client": client,
        "sender": sender,
        "recipient": recipient,
        "status": status,
        "first_seen": (NOW - first_ago).isoformat(),
        "last_seen": (NOW - last_ago).isoformat(),
        "attempts": attempts,
    }


def write_lines(file: Path, records: Sequence[object], header: object = HEADER) -> Path:
    """Write a file in the form of `bley export`; texts or bytes among the records are lines."""
    with file.open("wb") as opened:
        for each in (header, *records):
            line = each if isinstance(each, str | bytes) else json.dumps(each)
            opened.write((line.encode() if isinstance(line, str) else line) + b"\n")
    return file


def exported(bley: Bley) -> list[JsonRecord]:
    """Return the records of its store, in order."""
    file = bley.file.with_name("exported.jsonl")
    bley.run("export", file)
    with file.open(encoding="utf-8") as opened:
        return in_order(json.loads(line) for line in list(opened)[1:])


def told_and_exported(bley: Bley, *arguments: str | Path) -> tuple[str, list[JsonRecord]]:
    """Return the output of `bley import` with these arguments, and the whole store afterwards."""
    return bley.run("import", *arguments), exported(bley)


def in_order(records: Any) -> list[JsonRecord]:
    return sorted(records, key=lambda each: (each["client"], each["sender"], each["recipient"]))


class Learned(NamedTuple):
    """The knowledge of another greylister, and its place."""

    place: str | Path
    since: float
    """The instant before its first attempt."""

    def is_first_attempt(self, wait_seconds: float) -> bool:
        """Whether an hour's wait from its first attempt can have this rest now; it has whole seconds."""
        return 3600 - (time.time() - self.since) - 2 <= wait_seconds <= 3600


@pytest.fixture(scope="module")
def postgrey() -> Iterator[Learned]:
    """Run a postgrey with a client on its whitelist, and two waiting triplets."""
    since = time.time()
    with postgrey_folder() as folder, running_postgrey(folder, "--auto-whitelist-clients=1") as server:
        server.ask("192.0.2.7", "Jane+news@Example.com", "john@example.org")
        time.sleep(DELAY_OVER_SECONDS)
        server.ask("192.0.2.7", "Jane+news@Example.com", "john@example.org")
        server.ask("198.51.100.7", "jane@example.com", "john@example.org")
        server.ask("2001:db8:1:2::7", "", "john@example.org")
        yield Learned(folder, since)


ALL_MAIL = "records for all mail of a client: a running bley knows within 20 s\n"
ONE_FOR_ALL = f"1 {ALL_MAIL.replace('records', 'record')}"

POSTGREY_TRIPLETS = """\
postgrey: 3 records imported, 1 skipped
       1  its client has not passed often enough (postgrey --auto-whitelist-clients)
"""


class TestPostgrey:
    def test_bley_knows_what_postgrey_knew(self, servers: Servers, postgrey: Learned, tmp_path: Path) -> None:
        def check(bley: Bley) -> None:
            assert bley.run("import", "postgrey", postgrey.place, "--delay", "1") == POSTGREY_TRIPLETS
            with bley:
                assert asked(bley, "192.0.2.99", "jane@example.com", "John@Example.org") == KNOWN
                assert asked(bley, "192.0.2.7", "jane@example.com", "john@example.org", "mail.example.net") == KNOWN
                assert asked(bley, "192.0.2.7", "joe@example.com", "john@example.org") == NEW
                assert asked(bley, "2001:db8:1:2::8", "", "john@example.org") == EARLY
                assert asked(bley, "198.51.100.8", "jane@example.com", "john@example.org", "mail.example.edu") == EARLY
                assert postgrey.is_first_attempt(int(bley.decisions()[-1]["wait"]))
                bley.end_waits()
                waited = asked(bley, "198.51.100.8", "jane@example.com", "john@example.org", "mail.example.edu")
            assert waited.answer.startswith("action=PREPEND X-Greylist: delayed ")
            assert waited.reason == "waited"

        on_each_engine(check, tmp_path, servers)

    def test_a_client_on_postgreys_whitelist_passes_with_any_mail(
        self, servers: Servers, postgrey: Learned, tmp_path: Path
    ) -> None:
        """test_store_nodes tests that a running bley learns of it."""

        def check(bley: Bley) -> None:
            options = ("--delay=1", "--auto-whitelist-clients=1")
            told = bley.run("import", "postgrey", postgrey.place, *options)
            assert told == f"postgrey: 4 records imported, 0 skipped\n{ONE_FOR_ALL}"
            with bley:
                assert asked(bley, "192.0.2.7", "stranger@example.net", "another@example.org") == KNOWN
                assert asked(bley, "192.0.2.99", "", "another@example.org", "dsl-7.example.net") == KNOWN
                assert asked(bley, "198.51.100.7", "x@example.com", "another@example.org") == NEW

        on_each_engine(check, tmp_path, servers)

    def test_what_postgrey_knew_is_known_hashed(self, servers: Servers, postgrey: Learned, tmp_path: Path) -> None:
        bley = new_bley(tmp_path, servers, "sqlite", privacy="keyed-hash")
        bley.run("import", "postgrey", postgrey.place, "--delay=1", "--auto-whitelist-clients=1")
        with bley:
            assert asked(bley, "192.0.2.7", "x@example.net", "y@example.org") == KNOWN
            assert asked(bley, "198.51.100.7", "jane@example.com", "john@example.org") == EARLY

    def test_what_is_not_taken_is_counted_by_its_reason(self, servers: Servers, tmp_path: Path) -> None:
        days = 24 * 3600
        now = int(time.time())
        triplets = {
            b"192.0.2.0/a@example.com/b@example.org": f"{now - 400},{now}",
            b"192.0.2.0/c@example.com/b@example.org": f"{now - 50 * days},{now - 39 * days}",
            b"192.0.2.0/d@example.com/b@example.org": f"{now - 50 * days},{now - 41 * days}",
            b"192.0.2.0/e@example.com/b@example.org": f"{now - 11 * days},{now - 11 * days}",
            b"0123456789abcdef0123456789abcdef01234567": f"{now},{now}",
            b"192.0.2.0/f@example.com/b@example.org": "one",
            b"nonsense": "1,1",
            b"198.51.100.0/g\xff@example.com/b@example.org": f"{now - 400},{now}",
        }
        write_berkeley_db(tmp_path / "postgrey.db", {key: value.encode() for key, value in triplets.items()})
        write_berkeley_db(tmp_path / "postgrey_clients.db", {b"192.0.2.7": b"4,%d" % now, b"192.0.2.8": b"5,%d" % now})
        bley = new_bley(tmp_path, servers, "sqlite")
        assert bley.run("import", "postgrey", tmp_path) == (
            "postgrey: 4 records imported, 6 skipped\n"
            "       2  older than purge_bad_days or purge_days\n"
            "       2  not readable\n"
            "       1  its key is hashed (postgrey --privacy)\n"
            "       1  its client has not passed often enough (postgrey --auto-whitelist-clients)\n"
            f"{ONE_FOR_ALL}"
        )
        found = {(each["sender"], each["status"]) for each in exported(bley)}
        assert found == {
            ("a@example.com", "clean"),
            ("c@example.com", "clean"),
            (r"g\xff@example.com", "clean"),
            ("ANY", "clean"),
        }

    def test_networks_that_are_told_apart_here(self, servers: Servers, tmp_path: Path) -> None:
        now = int(time.time())
        keys = (b"192.0.2.0/a@example.com/b@example.org", b"192.0.2.0/32/a@example.com/b@example.org")
        write_berkeley_db(tmp_path / "postgrey.db", dict.fromkeys(keys, b"%d,%d" % (now - 400, now)))
        bley = new_bley(tmp_path, servers, "sqlite", ipv4_prefix=28)
        assert bley.run("import", "postgrey", tmp_path) == (
            "postgrey: 1 record imported, 1 skipped\n"
            "       1  its network is larger than one client of ipv4_prefix, ipv6_prefix or greylist_by\n"
        )
        assert [each["client"] for each in exported(bley)] == ["192.0.2.0/28"]

    def test_an_address_that_no_store_can_keep_costs_no_other(self, servers: Servers, tmp_path: Path) -> None:
        """No mail server sent such an address; but a file may contain it."""
        last = int(time.time())
        now = b"%d,%d" % (last - 400, last)
        senders = (b"x\ny", b"x\0y", b"x\ry", b"plain")
        triplets = {b"192.0.2.0/%s@example.com/b@example.org" % sender: now for sender in senders}
        write_berkeley_db(tmp_path / "postgrey.db", triplets)
        found = on_each_engine(lambda bley: told_and_exported(bley, "postgrey", tmp_path), tmp_path, servers)
        for told, records in found.values():
            assert told == "postgrey: 1 record imported, 3 skipped\n       3  not readable\n"
            assert [each["sender"] for each in records] == ["plain@example.com"]
            times = [datetime.fromisoformat(records[0][name]).timestamp() for name in ("first_seen", "last_seen")]
            assert times == [last - 400, last]


@pytest.fixture(scope="module")
def sqlgrey() -> Iterator[Learned]:
    """Run a sqlgrey; yield it and the URL of SQLite's file."""
    since = time.time()
    with reachable_folder() as folder, running_sqlgrey(folder, "SQLite", db_name=folder / "sqlgrey.db") as server:
        _teach_sqlgrey(server)
        yield Learned(f"sqlite:///{folder}/sqlgrey.db", since)


def _teach_sqlgrey(server: Any) -> None:
    for _ in range(2):
        server.ask("192.0.2.7", "jane@example.com", "john@example.org")
        server.ask("203.0.113.4", "one@example.net", "john@example.org")
        server.ask("203.0.113.4", "two@example.net", "john@example.org")
        time.sleep(DELAY_OVER_SECONDS)
    server.ask("198.51.100.7", "jane@example.com", "john@example.org")


def check_what_sqlgrey_knew(bley: Bley, sqlgrey: Learned) -> None:
    with bley:
        assert asked(bley, "192.0.2.7", "Jane+x@example.com", "anybody@example.org") == KNOWN
        assert asked(bley, "192.0.2.7", "jane@example.com", "x@example.org", "mail.example.edu") == KNOWN
        assert asked(bley, "192.0.2.7", "joe@example.com", "john@example.org") == NEW
        assert asked(bley, "203.0.113.4", "three@example.net", "anybody@example.org") == KNOWN
        assert asked(bley, "203.0.113.4", "three@sub.example.net", "anybody@example.org") == NEW
        assert asked(bley, "198.51.100.7", "jane@example.com", "john@example.org") == EARLY
        assert sqlgrey.is_first_attempt(int(bley.decisions()[-1]["wait"]))
        bley.end_waits()
        assert asked(bley, "198.51.100.7", "jane@example.com", "john@example.org").reason == "waited"


class TestSqlgrey:
    def test_bley_knows_what_sqlgrey_knew(self, servers: Servers, sqlgrey: Learned, tmp_path: Path) -> None:
        def check(bley: Bley) -> None:
            assert (
                bley.run("import", "sqlgrey", sqlgrey.place) == f"sqlgrey: 3 records imported, 0 skipped\n2 {ALL_MAIL}"
            )
            check_what_sqlgrey_knew(bley, sqlgrey)

        on_each_engine(check, tmp_path, servers)

    def test_with_postgresql_and_a_password(
        self, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The password may come from a file or from the environment, is never shown, and is required."""
        server, since = servers.get("postgresql"), time.time()
        server.sql("CREATE ROLE sqlgrey LOGIN PASSWORD '50%@secret'")
        server.sql("CREATE DATABASE sqlgrey OWNER sqlgrey")
        place = {"db_host": server.host, "db_port": server.port, "db_user": "sqlgrey", "db_pass": "50%@secret"}
        with reachable_folder() as folder, running_sqlgrey(folder, "Pg", db_name="sqlgrey", **place) as greylister:
            _teach_sqlgrey(greylister)
        bley = new_bley(tmp_path, servers, "sqlite")
        where = f"pgsql sqlgrey at {server.host}:{server.port}"
        url = f"postgresql://sqlgrey@{server.host}:{server.port}/sqlgrey"
        (tmp_path / "password").write_text("50%@secret\n")
        taken = f"sqlgrey: 3 records imported, 0 skipped\n2 {ALL_MAIL}"
        assert bley.run("import", "sqlgrey", "--password-file", tmp_path / "password", url) == taken
        assert len(exported(bley)) == 3
        monkeypatch.setenv("BLEY_IMPORT_PASSWORD", "50%@secret")
        again = new_bley(tmp_path, servers, "postgresql")
        assert again.run("import", "sqlgrey", url) == taken
        check_what_sqlgrey_knew(again, Learned(url, since))
        monkeypatch.setenv("BLEY_IMPORT_PASSWORD", "50%@wrong")
        refused = f'Error: {where}: password authentication failed for user "sqlgrey"\n'
        assert bley.run("import", "sqlgrey", url, status=1) == refused
        assert bley.run("import", "sqlgrey", url.replace("@", ":50%25%40wrong@", 1), status=1) == refused


class TestDryRun:
    def test_nothing_is_made(self, servers: Servers, tmp_path: Path) -> None:
        """It creates neither tables nor SQLite's file."""
        file = write_lines(tmp_path / "lines", [record(), "nonsense"])

        def check(bley: Bley) -> None:
            told = bley.run("import", "--dry-run", file)
            assert told.startswith(f"{file}: 1 record would be imported, 1 skipped\n       1  line 3: ")
            refused = bley.run("forget", "--all", "--dry-run", status=1)
            assert re.search(
                r"^Error: .*: (no such file: .* -c names its settings|no bley has stored anything there)$", refused
            )
            assert _things_in_store(bley, servers) == ""

        on_each_engine(check, tmp_path, servers)

    def test_a_store_that_is_there_stays_as_it_is(self, servers: Servers, tmp_path: Path) -> None:
        bley = new_bley(tmp_path, servers, "sqlite")
        bley.run("import", write_lines(tmp_path / "one", [record()]))
        bley.run(
            "import", "--dry-run", write_lines(tmp_path / "two", [record(status="trusted"), record("2001:db8::/64")])
        )
        assert "1 record would be forgotten" in bley.run("forget", "--dry-run", "--all")
        assert exported(bley) == [record()]


def _things_in_store(bley: Bley, servers: Servers) -> str:
    engine = bley.file.parent.name
    url = re.findall(r"^database = (.*)$", bley.file.read_text(), re.MULTILINE)[0]
    match engine:
        case "sqlite":
            return " ".join(file.name for file in bley.file.parent.glob("bley.db*"))
        case "postgresql":
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        case "mariadb":
            tables = "SHOW TABLES"
        case "redis":
            tables = "KEYS *"
    told: str = servers.get(engine).ask(tables, url)
    return told


ODD_ADDRESSES = [
    "",
    "ANY",
    "any@example.com",
    "ANY@example.com",
    "jürgen@example.org",
    "ju\u0308rgen@example.org",
    "漢字@例え.jp",
    "🙂@example.org",
    "o'hara@example.org",
    '"quoted \\\\" local"@example.org',
    "50%off%s%(x)s%%@example.org",
    ":name@example.org",
    "a?b#c@example.org",
    "-",
    "null",
    "[]",
    "{}*?[a-z]@example.org",
    "tab\tbell\x07nel\x85@example.org",
    "line\u2028end\x1b[2J@example.org",
    f"{'x' * 200}@{'y' * 46}.example",
    f"{'ü' * 127}x",
]


def all_sorts_of_records() -> list[JsonRecord]:
    days = [timedelta(days=age) for age in (0, 1, 9, 39)]
    records = [record(sender=address) for address in ODD_ADDRESSES]
    records += [record(recipient=address, attempts=4711) for address in ODD_ADDRESSES]
    records += [
        record("example.com", status, f"{age.days}@example.org", status, first_ago=2 * age, last_ago=age, attempts=3)
        for status in ("greylisted", "clean", "trusted")
        for age in days
        if age.days < 10 or status != "greylisted"
    ]
    records += [record("2001:db8::/64", "ANY", "ANY"), record("192.0.2.7", "ANY@example.com", "ANY")]
    records += [record(sender=f"{number}@example.net", attempts=1_000_000) for number in range(1500)]
    return in_order(records)


class TestBetweenEngines:
    def test_records_are_the_same_after_a_way_through_all_engines(self, servers: Servers, tmp_path: Path) -> None:
        """Each engine imports the export of the one before, twice."""
        records = all_sorts_of_records()
        file = write_lines(tmp_path / "lines", records)
        for number, engine in enumerate([*ENGINES, "sqlite"]):
            folder = tmp_path / f"{number}-{engine}"
            folder.mkdir()
            bley = new_bley(folder, servers, engine)
            taken = f"{file}: {len(records)} records imported, 0 skipped\n3 {ALL_MAIL}"
            assert bley.run("import", file) == taken
            assert bley.run("import", file) == taken, "twice"
            file = folder / "exported.jsonl"
            assert exported(bley) == records, engine

    def test_records_are_united_with_what_bley_recorded(self, servers: Servers, tmp_path: Path) -> None:
        """Early retries are not added up."""
        names = {"a": "greylisted", "b": "greylisted", "c": "clean"}
        ago = timedelta(minutes=5)
        records = [
            record(sender=f"{name}@example.com", status=status, attempts=3, first_ago=ago)
            for name, status in names.items()
        ]
        file = write_lines(tmp_path / "lines", records)

        def found(bley: Bley) -> dict[str, tuple[str, int]]:
            bley.run("import", file)
            with bley:
                assert asked(bley, "192.0.2.7", "d@example.com", "b@example.org") == NEW
                assert asked(bley, "192.0.2.7", "a@example.com", "b@example.org") == EARLY
                told, records = told_and_exported(bley, file)
            assert told == f"{file}: 3 records imported, 0 skipped\n"
            return {each["sender"][0]: (each["status"], each["attempts"]) for each in records}

        expected = {"a": ("greylisted", 4), "b": ("greylisted", 3), "c": ("clean", 3), "d": ("greylisted", 0)}
        by_engine = on_each_engine(found, tmp_path, servers, greylist_max="1d")
        assert by_engine == dict.fromkeys(ONE_OF_EACH, expected)

    def test_by_a_pipe(self, servers: Servers, tmp_path: Path) -> None:
        """Records go from standard output to standard input; messages go to standard error."""
        (tmp_path / "to").mkdir()
        one, other = new_bley(tmp_path, servers, "sqlite"), new_bley(tmp_path / "to", servers, "sqlite")
        records = in_order([record(sender="jürgen@example.org"), record(sender="漢字@例え.jp")])
        one.run("import", write_lines(tmp_path / "lines", records))
        piped = subprocess.run(
            ["sh", "-c", '"$@" export -c "$from" | "$@" import -c "$to" -', "sh", *BLEY],
            env=os.environ | {"from": str(one.file), "to": str(other.file), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (piped.stdout, piped.stderr) == ("-: 2 records imported, 0 skipped\n", "2 records exported\n")
        assert exported(other) == records

    def test_who_reads_the_first_lines_only_breaks_nothing(self, servers: Servers, tmp_path: Path) -> None:
        bley = new_bley(tmp_path, servers, "sqlite")
        bley.run("import", write_lines(tmp_path / "lines", all_sorts_of_records()))
        command = ["sh", "-c", '"$@" export -c "$from" | head -n 1', "sh", *BLEY]
        piped = subprocess.run(
            command, env=os.environ | {"from": str(bley.file)}, capture_output=True, text=True, check=True
        )
        assert json.loads(piped.stdout)["format"] == 1
        assert piped.stderr == ""


class TestExportedFile:
    def test_it_is_there_as_a_whole_or_not_at_all(self, servers: Servers, tmp_path: Path) -> None:
        bley = new_bley(tmp_path, servers, "sqlite")
        bley.run("import", write_lines(tmp_path / "none", []))
        target = tmp_path / "folder" / "records"
        assert bley.run("export", target, status=1) == f"Error: {target}: No such file or directory\n"
        target.parent.mkdir()
        assert bley.run("export", target.parent, status=1) == f"Error: {target.parent}: Is a directory\n"
        target.write_text("the old one")
        bley.write_settings(database=f"postgresql://bley@127.0.0.1:{free_port()}/bley")
        bley.run("export", target, status=1)
        assert target.read_text() == "the old one"
        bley.write_settings(database=f"sqlite:///{tmp_path}/bley.db")
        assert bley.run("export", target) == "0 records exported\n"
        assert json.loads(target.read_text())["privacy"] == "off"
        assert list(target.parent.iterdir()) == [target]

    def test_what_is_no_file_is_not_replaced_by_one(self, servers: Servers, tmp_path: Path) -> None:
        """An example is /dev/null, which is a device: here one of our own."""
        bley = new_bley(tmp_path, servers, "sqlite")
        bley.run("import", write_lines(tmp_path / "none", []))
        device, pipe, link = (tmp_path / name for name in ("device", "pipe", "link"))
        os.mknod(device, 0o600 | stat.S_IFCHR, Path("/dev/null").stat().st_rdev)
        assert bley.run("export", device) == "0 records exported\n"
        assert device.is_char_device()
        os.mkfifo(pipe)
        with ThreadPoolExecutor(1) as pool:
            read = pool.submit(pipe.read_text)
            bley.run("export", pipe)
            assert '"format": 1' in read.result(WAIT_SECONDS)
        assert pipe.is_fifo()
        link.symlink_to(tmp_path / "real")
        bley.run("export", link)
        assert link.is_symlink()
        assert '"format": 1' in (tmp_path / "real").read_text()


class Fed:
    """`bley import -` with input from this test, which can stop it in the middle at any moment."""

    def __init__(self, bley: Bley) -> None:
        read, write = os.pipe()
        self._input, self._said = os.fdopen(write, "wb"), TemporaryFile()  # noqa: SIM115 (closed when it has ended)
        with os.fdopen(read, "rb") as stdin:
            command: list[str | Path] = ["import", "-c", bley.file, "-"]
            self.process = start_bley(command, stdin=stdin, stdout=self._said, stderr=self._said)

    def feed(self, lines: Sequence[bytes]) -> None:
        self._input.write(b"".join(lines))
        self._input.flush()

    def feed_on(self, lines: Sequence[bytes], has_begun: Event) -> None:
        """Feed these again and again until it ends; `has_begun` is set when it has most of them."""
        with contextlib.suppress(BrokenPipeError):
            while True:
                self.feed(lines)
                has_begun.set()

    def ended_by(self, number: int) -> tuple[int, str]:
        """Return its status and message; more input may still come."""
        self.process.send_signal(number)
        try:
            status = self.process.wait(WAIT_SECONDS)
        finally:
            self.process.kill()
        self._said.seek(0)
        return status, self._said.read().decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        with self._said, contextlib.suppress(BrokenPipeError):
            self._input.close()


class TestInterruption:
    @pytest.mark.parametrize(
        ("number", "engine"),
        [(signal.SIGINT, "sqlite"), (signal.SIGTERM, "redis"), (signal.SIGKILL, "sqlite"), (signal.SIGKILL, "mariadb")],
    )
    def test_an_import_that_is_begun_again_ends_as_one(
        self, number: int, engine: str, servers: Servers, tmp_path: Path
    ) -> None:
        records = in_order(record(sender=f"{each:05}@example.com", attempts=each) for each in range(5_000))
        file = write_lines(tmp_path / "lines", records)
        lines = file.read_bytes().splitlines(keepends=True)
        bley = new_bley(tmp_path, servers, engine)
        with Fed(bley) as fed:
            fed.feed(lines[:3_501])  # ten times the size of a pipe, so that some portions are written by then
            status, said = fed.ended_by(number)
        assert "Traceback" not in said
        assert status == (-number if number == signal.SIGKILL else 1)
        left = exported(bley)
        assert left == records[: len(left)]
        assert 1_000 <= len(left) <= 3_500
        assert told_and_exported(bley, file) == (f"{file}: 5000 records imported, 0 skipped\n", records)

    def test_it_ends_while_the_store_works(self, servers: Servers, tmp_path: Path) -> None:
        """It names the remedy, whatever its driver does."""
        records = in_order(record(sender=f"{each:05}@example.com") for each in range(4_000))
        file = write_lines(tmp_path / "lines", records)
        header, *lines = file.read_bytes().splitlines(keepends=True)

        def check(bley: Bley) -> None:
            has_begun = Event()
            with ThreadPoolExecutor(1) as pool, Fed(bley) as fed:
                fed.feed([header])
                feeding = pool.submit(fed.feed_on, lines, has_begun)
                assert has_begun.wait(WAIT_SECONDS)
                status, said = fed.ended_by(signal.SIGINT)
                feeding.result()
            assert status == 1, said
            assert re.fullmatch(
                r"Error: interrupted: \d+ records were imported; repeat the import to complete it\n", said
            )
            taken = f"{file}: 4000 records imported, 0 skipped\n"
            assert told_and_exported(bley, file) == (taken, records)

        on_each_engine(check, tmp_path, servers)


class TestPrivacy:
    def test_a_clear_export_becomes_hashed(self, servers: Servers, tmp_path: Path) -> None:
        """The record is known there; ANY stays ANY."""
        records = [record(), record("example.com", "ANY@example.net", "ANY"), record("198.51.100.0/24", "ANY", "ANY")]
        bley = new_bley(tmp_path, servers, "sqlite", privacy="keyed-hash")
        file = write_lines(tmp_path / "lines", records)
        for _ in range(2):
            assert bley.run("import", file) == f"{file}: 3 records imported, 0 skipped\n2 {ALL_MAIL}"
        clients = {each["client"]: (each["sender"], each["recipient"]) for each in exported(bley)}
        assert clients.pop("example.com") == ("ANY@example.net", "ANY")
        assert clients.pop("198.51.100.0/24") == ("ANY", "ANY")
        ((_, (sender, recipient)),) = clients.items()
        assert re.fullmatch("[0-9a-f]{32}@example.com", sender)
        assert re.fullmatch("[0-9a-f]{32}@example.org", recipient)
        with bley:
            assert asked(bley, "192.0.2.9", "A@example.com", "B+x@example.org") == KNOWN
            assert asked(bley, "198.51.100.9", "x@example.com", "y@example.org") == KNOWN

    def test_any_sender_that_was_known_in_clear_is_known_hashed(self, servers: Servers, tmp_path: Path) -> None:
        """Normalized addresses are not normalized again."""
        senders = [
            "list-123-bounce@example.com",
            "prvs=0123456789=jane+x@example.com",
            "SRS0=hash=tt=example.net=jane@example.com",
            "SRS0=hash=tt=example.net=jane+x@example.com",
            "SRS0=hash=tt=example.net=fax=12@example.com",
            "prvs=0=prvs=1=joe@example.com",
            f"{'x' * 300}@example.com",
            "",
        ]
        (tmp_path / "hashed").mkdir()
        clear = new_bley(tmp_path, servers, "sqlite")
        hashed = new_bley(tmp_path / "hashed", servers, "sqlite", privacy="keyed-hash")
        with clear:
            assert [asked(clear, "192.0.2.7", sender, "john@example.org") for sender in senders] == [NEW] * len(senders)
        clear.run("export", tmp_path / "lines")
        hashed.run("import", tmp_path / "lines")
        with hashed:
            found = {sender: asked(hashed, "192.0.2.7", sender, "john@example.org").reason for sender in senders}
        assert found == dict.fromkeys(senders, "early")

    def test_a_hashed_export_needs_the_key(self, servers: Servers, tmp_path: Path) -> None:
        """Without privacy it is refused; with the same key it is known."""
        for name in ("one", "clear", "other"):
            (tmp_path / name).mkdir()
        key = {"privacy": "keyed-hash", "privacy_key_file": tmp_path / "key"}
        one = new_bley(tmp_path / "one", servers, "sqlite", **key)
        one.run("import", write_lines(tmp_path / "lines", [record(), record("example.com", "ANY@example.net", "ANY")]))
        hashed = tmp_path / "hashed"
        one.run("export", hashed)
        assert '"a@example.com"' not in hashed.read_text()  # a hash may end in "a"
        clear = new_bley(tmp_path / "clear", servers, "sqlite")
        assert clear.run("import", hashed, status=1) == (
            f"Error: {hashed}: has hashed addresses: set privacy = keyed-hash here too, and copy its privacy_key_file\n"
        )
        other = new_bley(tmp_path / "other", servers, "postgresql", **key)
        assert other.run("import", hashed) == f"{hashed}: 2 records imported, 0 skipped\n{ONE_FOR_ALL}"
        assert exported(other) == exported(one)
        with other:
            assert asked(other, "192.0.2.9", "a@example.com", "b@example.org") == KNOWN
            assert asked(other, "192.0.2.9", "c@example.com", "b@example.org") == NEW

    def test_forgetting_by_the_clear_address(self, servers: Servers, tmp_path: Path) -> None:
        bley = new_bley(tmp_path, servers, "sqlite", privacy="keyed-hash")
        senders = ("jane@example.com", "joe@example.com", "jane@example.net")
        bley.run("import", write_lines(tmp_path / "lines", [record(sender=sender) for sender in senders]))
        shown = bley.run("forget", "--dry-run", "--sender", "Jane+news@example.com")
        assert "1 record would be forgotten" in shown
        assert "jane" not in shown
        assert re.search(r"192\.0\.2\.0/24  [0-9a-f]{32}@example\.com ", shown)
        assert "2 records would be" in bley.run("forget", "--dry-run", "--sender", "example.com")
        assert "3 records would be" in bley.run("forget", "--dry-run", "--recipient", "b@example.org")
        assert "1 record forgotten" in bley.run("forget", "--sender", "prvs=4711=jane@example.com")
        assert "0 records would be" in bley.run("forget", "--dry-run", "--sender", "jane@example.com")

    def test_forgetting_by_what_is_shown(self, servers: Servers, tmp_path: Path) -> None:
        """The text in the table works as an argument."""
        bley = new_bley(tmp_path, servers, "sqlite", privacy="keyed-hash")
        bley.run("import", write_lines(tmp_path / "lines", [record()]))
        shown = re.search(r"[0-9a-f]{32}@example\.com", bley.run("forget", "--dry-run", "--all"))
        assert shown
        assert "1 record would be" in bley.run("forget", "--dry-run", "--sender", shown[0])


FORMAT = "line 1 is not the first line of a file of `bley export`"
USAGE = "Usage: bley import [OPTIONS] SOURCE [PLACE]\nTry 'bley import --help' for help.\n\nError: "
USAGE_FORGET = "Usage: bley forget [OPTIONS]\nTry 'bley forget --help' for help.\n\nError: "
WRITE = "write: bley import postgrey DIR, sqlgrey URL, bley URL, or FILE"
BEGINNING = "the URL has an unknown scheme: write sqlite:///, postgresql://, mysql://, redis:// or rediss://"


class TestWrongInput:
    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (["import", "{folder}/none"], 1, "Error: {folder}/none: No such file or directory"),
            (["import", "{folder}"], 1, "Error: {folder}: Is a directory"),
            (["import", "postgrey", "/nowhere"], 1, "Error: /nowhere is not a folder with postgrey.db"),
            (["import", "postgrey", "{folder}"], 1, "Error: {folder} is not a folder with postgrey.db"),
            (["import"], 2, USAGE + "Missing argument 'SOURCE'."),
            (["import", "postgrey"], 2, USAGE + WRITE),
            (["import", "sqlgrey"], 2, USAGE + WRITE),
            (["import", "bley"], 2, USAGE + WRITE),
            (["import", "{folder}/lines", "more"], 2, USAGE + WRITE),
            (["import", "sqlgrey", "sqlgrey.db"], 2, USAGE + BEGINNING),
            (["import", "sqlgrey", "oracle://a:secret@db/x"], 2, USAGE + BEGINNING),
            (
                ["import", "bley", "redis://:secret@localhost/0"],
                2,
                USAGE + "neither sqlgrey nor bley 2 stores records in Redis",
            ),
            (
                ["import", "sqlgrey", "mysql://a:secret@db:x/y"],
                2,
                USAGE + "the URL has an invalid host or port in 'db:x': write host:3306 or [2001:db8::1]:3306",
            ),
            (
                ["import", "sqlgrey", "sqlite:///{folder}/none.db"],
                1,
                "Error: {folder}/none.db: unable to open database file",
            ),
            (
                ["import", "sqlgrey", "--password-file", "{folder}/none", "mysql://a@127.0.0.1:1/x"],
                1,
                "Error: {folder}/none cannot be read: No such file or directory",
            ),
            (
                ["import", "postgrey", "{folder}", "--delay", "soon"],
                2,
                USAGE + "Invalid value for '--delay': 'soon' is not a valid integer range.",
            ),
            (
                ["forget", "--sender", "@"],
                2,
                USAGE_FORGET + "--sender: '@' is no mail address or domain, and the null sender is <>",
            ),
            (
                ["forget", "--json", "--recipient", ""],
                2,
                USAGE_FORGET + "--recipient: '' is no mail address or domain",
            ),
            (
                ["forget", "--client", " ", "--sender", "example.com"],
                2,
                USAGE_FORGET + "--client: ' ' is no address, network or domain",
            ),
            (
                ["forget"],
                2,
                USAGE_FORGET + "name the records: --client, --sender, --recipient, or --all",
            ),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_says_what_is_wrong(
        self, servers: Servers, tmp_path: Path, arguments: list[str], status: int, message: str
    ) -> None:
        bley = new_bley(tmp_path, servers, "sqlite")
        told = bley.run(*(each.format(folder=tmp_path) for each in arguments), status=status)
        assert told == message.format(folder=tmp_path) + "\n"

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            (b"no JSON", FORMAT),
            (record(), FORMAT),
            (
                HEADER | {"bley": "4.0.0", "format": 2},
                "has format 2, of bley 4.0.0; this bley reads format 1: upgrade bley",
            ),
        ],
        ids=["no JSON", "no header", "newer"],
    )
    def test_a_file_that_is_no_export(self, servers: Servers, tmp_path: Path, header: Any, message: str) -> None:
        bley = new_bley(tmp_path, servers, "sqlite")
        file = write_lines(tmp_path / "lines", [record()], header)
        assert bley.run("import", file, status=1) == f"Error: {file}: {message}\n"

    def test_a_bad_line_costs_no_other(self, servers: Servers, tmp_path: Path) -> None:
        bley = new_bley(tmp_path, servers, "sqlite")
        bad: list[Any] = [
            "no JSON",
            b"\xff\xfe",
            "",
            "[]",
            record() | {"status": "known"},
            record() | {"first_seen": "2026-11-24T12:00:00"},
            record() | {"last_seen": "0001-01-01T00:00:00+14:00"},
            record() | {"attempts": -1},
            record() | {"color": "blue"},
            record() | {"sender": "a\nb@example.com"},
            json.dumps(record()).replace("a@example.com", "\\ud800@example.com"),
            {"client": "192.0.2.0/24"},
            b"x" * 200_000,
        ]
        file = write_lines(tmp_path / "lines", [record(sender="a@b"), *bad, record(sender="c@d")])
        first, *reasons = bley.run("import", file).splitlines()
        assert first == f"{file}: 2 records imported, {len(bad)} skipped"
        assert [re.sub(r"(line \d+: \w+).*", r"\1", reason) for reason in reasons] == [
            "       1  line 3: Invalid",
            "       1  line 4: Invalid",
            "       1  line 5: Invalid",
            "       1  line 6: Input",
            "       1  line 7: status",
            "       1  line 8: first_seen",
            "       1  line 9: last_seen",
            "       1  line 10: attempts",
            "       1  line 11: color",
            "       1  line 12: sender",
            "       1  line 13: Invalid",
            "       1  line 14: sender",
            "       1  line 15: Invalid",
        ]
        assert [each["sender"] for each in exported(bley)] == ["a@b", "c@d"]

    def test_very_many_bad_lines_are_not_all_told(self, servers: Servers, tmp_path: Path) -> None:
        bley = new_bley(tmp_path, servers, "sqlite")
        file = write_lines(tmp_path / "lines", ["nonsense"] * 3000)
        told = bley.run("import", file).splitlines()
        assert told[0] == f"{file}: 0 records imported, 3000 skipped"
        assert told[1].startswith("       1  line 2: Invalid JSON")
        assert len(told) < 30
        assert re.fullmatch(r" +and \d+ reasons more", told[-1])

    @pytest.mark.parametrize("server", ["postgresql", "mariadb"])
    def test_another_greylisters_database_that_is_no_such_or_not_there(
        self, server: str, servers: Servers, tmp_path: Path
    ) -> None:
        bley = new_bley(tmp_path, servers, "sqlite")
        real = servers.get(server)
        kind = {"postgresql": "pgsql", "mariadb": "mysql"}[server]
        name = real.new_database().rpartition("/")[2]
        where = f"{kind} {name} at 127.0.0.1:{real.port}"
        url = real.url_of(name)
        assert bley.run("import", "sqlgrey", url, status=1) == (
            f"Error: {where}: there is no table connect: this is not a database of sqlgrey\n"
        )
        assert bley.run("import", "bley", url, status=1) == (
            f"Error: {where}: there is no table bley_status: this is not a database of bley 2\n"
        )
        port = free_port()
        told = bley.run("import", "sqlgrey", url.replace(f":{real.port}/", f":{port}/"), status=1)
        assert re.fullmatch(rf"Error: {kind} {name} at 127\.0\.0\.1:{port}: .*[Cc]onnect.*\n", told), told
        told = bley.run("import", "bley", re.sub("://.*@", "://bley:50%25wrong@", url), status=1)
        assert re.fullmatch(rf"Error: {where}: .*(password authentication failed|Access denied) for user .*\n", told)
        assert "wrong" not in told


def unreachable(kind: str, servers: Servers) -> tuple[str, str]:
    """Return the URL of an unusable store, and the beginning of the message."""
    port = free_port()
    match kind:
        case "no folder":
            return "sqlite:////nowhere/bley.db", "/nowhere/bley.db: "
        case "no database":
            return "sqlite:////proc/version", "/proc/version: "
        case "postgresql" | "mysql":
            name = {"postgresql": "pgsql", "mysql": "mysql"}[kind]
            return f"{kind}://bley:50%25secret@127.0.0.1:{port}/bley", f"{name} bley at 127.0.0.1:{port}: "
        case "redis":
            return f"redis://:50%25secret@127.0.0.1:{port}/0", f"redis 0 at 127.0.0.1:{port}: "
        case "redis+sentinel":
            return f"redis+sentinel://127.0.0.1:{port}/mymaster", f"redis mymaster 0 at 127.0.0.1:{port}: "
        case "redis+cluster":
            return f"redis+cluster://127.0.0.1:{port}", f"redis 0 at 127.0.0.1:{port}: "
    server = servers.get(kind.removeprefix("wrong password of "))
    return re.sub(r"(://[^:]*:).*@", r"\g<1>50%25secret@", server.url), ""


class TestUnusableStore:
    @pytest.mark.parametrize(
        "kind",
        [
            "no folder",
            "no database",
            "postgresql",
            "mysql",
            "redis",
            "redis+sentinel",
            "redis+cluster",
            "wrong password of postgresql",
            "wrong password of mariadb",
            "wrong password of redis",
        ],
    )
    def test_each_command_says_so_in_one_line(self, kind: str, servers: Servers, tmp_path: Path) -> None:
        url, beginning = unreachable(kind, servers)
        bley = Bley(tmp_path, database=url)
        file = write_lines(tmp_path / "lines", [record()])
        commands: list[list[str | Path]] = [["export", tmp_path / "out"], ["import", file], ["forget", "--all"]]
        for command in commands if kind in ("no folder", "postgresql") else commands[:1]:
            told = bley.run(*command, status=1)
            assert re.fullmatch(rf"Error: {re.escape(beginning)}\S.*\n", told), told
            assert "secret" not in told
            assert PASSWORD not in told
        assert not (tmp_path / "out").exists()

    def test_one_that_hangs_is_given_up(self, servers: Servers, tmp_path: Path) -> None:
        """There is no answer at this port."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"postgresql://bley@127.0.0.1:{silent.getsockname()[1]}/bley"
            told = Bley(tmp_path, database=url).run("export", status=1)
        assert re.search(r"^Error: pgsql bley at 127\.0\.0\.1:\d+: \S.*$", told, re.MULTILINE)
        assert "Traceback" not in told


@pytest.fixture(scope="module")
def remembering(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Bley:
    """Return a bley, not started, with some records; `forget` is a dry run."""
    folder = tmp_path_factory.mktemp("forget")
    bley = new_bley(folder, servers, "sqlite")
    bley.run("import", write_lines(folder / "lines", REMEMBERED))
    return bley


REMEMBERED = [
    record("192.0.2.0/24", "jane@example.com", "b@example.org", "greylisted", attempts=2),
    record("192.0.2.0/24", "", "c@sub.example.org", "trusted"),
    record("2001:db8::/64", "joe@example.com", "b@example.org"),
    record("198.51.100.7", "list-#@lists.example.com", "b@example.org"),
    record("example.com", "ANY@example.com", "ANY"),
    record("mail.example.com", "j:smile:[red]o@example.net", "x@example.net"),
    record("notexample.com", "x@notexample.com", "x@notexample.org"),
]


class TestForgetting:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--client", "192.0.2.7"], [0, 1]),
            (["--client", "Example.COM"], [4, 5]),
            (["--sender", "Jane+news@Example.com"], [0]),
            (["--sender", "prvs=0123456789=jane@example.com", "--client", "192.0.2.0/28"], [0]),
            (["--recipient", "example.org"], [0, 1, 2, 3]),
            (["--sender", "<>"], [1]),
            (["--sender", "ANY@example.com", "--recipient", "ANY"], [4]),
            (["--sender", "example.com", "--recipient", "example.net"], []),
            (["--all"], [0, 1, 2, 3, 4, 5, 6]),
        ],
        ids=lambda value: " ".join(map(str, value)),
    )
    def test_which_records_are_meant(self, remembering: Bley, options: list[str], expected: list[int]) -> None:
        *table, last = remembering.run("forget", "--dry-run", *options).splitlines()
        assert last == f"{quantity(len(expected), 'record')} would be forgotten"
        times = f"{NOW - timedelta(hours=1):%Y-%m-%d %H:%M}  {NOW:%Y-%m-%d %H:%M}"
        rows = [
            [each["client"], each["sender"], each["recipient"], each["status"], times]
            for each in in_order(REMEMBERED[number] for number in expected)
        ]
        assert [re.split(r" {2,}", line.strip(), maxsplit=0) for line in table[1:]] == [
            [*(cell for cell in row[:4] if cell), *row[4].split("  ")] for row in rows
        ]
        if rows:
            assert table[0].split() == ["client", "sender", "recipient", "status", "first", "seen", "last", "seen"]

    def test_all_together_with_one_is_a_mistake(self, remembering: Bley) -> None:
        told = remembering.run("forget", "--all", "--sender", "example.com", status=2)
        assert told.endswith("Error: name the records: --client, --sender, --recipient, or --all\n")

    def test_more_than_one_needs_a_yes(self, tmp_path: Path, servers: Servers) -> None:
        """Without a terminal there is no question."""
        bley = new_bley(tmp_path, servers, "sqlite")
        bley.run("import", write_lines(tmp_path / "lines", REMEMBERED))
        for options in (["--client", "192.0.2.7"], ["--client", "192.0.2.7", "--json"]):
            told = bley.run("forget", *options, status=2)
            assert told == f"{USAGE_FORGET}2 records match: --dry-run shows them, and --yes deletes them\n"
        assert bley.run("forget", "--sender", "joe@example.com") == "1 record forgotten\n"
        assert bley.run("forget", "--all", status=2).startswith(f"{USAGE_FORGET}6 records match")
        assert len(exported(bley)) == 6

    @pytest.mark.parametrize(("answer", "end", "left"), [("n", "Aborted!", 7), ("y", "2 records forgotten", 5)])
    def test_a_terminal_is_asked(self, answer: str, end: str, left: int, tmp_path: Path, servers: Servers) -> None:
        bley = new_bley(tmp_path, servers, "sqlite")
        bley.run("import", write_lines(tmp_path / "lines", REMEMBERED))
        terminal, own = pty.openpty()
        os.write(terminal, f"{answer}\n".encode())
        command = [*BLEY, "forget", "-c", str(bley.file), "--client", "192.0.2.7"]
        ended = subprocess.run(
            command, stdin=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        for descriptor in (terminal, own):
            os.close(descriptor)
        assert "delete 2 records? [y/N]" in ended.stdout
        assert "jane@example.com" in ended.stdout
        assert ended.stdout.splitlines()[-1].endswith(end)
        assert len(exported(bley)) == left

    def test_what_is_forgotten_is_gone_and_nothing_else(self, servers: Servers, tmp_path: Path) -> None:
        file = write_lines(tmp_path / "lines", REMEMBERED)

        def left(bley: Bley) -> list[JsonRecord]:
            bley.run("import", file)
            assert bley.run("forget", "--yes", "--client", "192.0.2.7").splitlines()[-1] == "2 records forgotten"
            return exported(bley)

        by_engine = on_each_engine(left, tmp_path, servers)
        assert by_engine == dict.fromkeys(ONE_OF_EACH, in_order(REMEMBERED[2:]))

    def test_a_copied_sender_is_found(self, servers: Servers, tmp_path: Path) -> None:
        """It is given as the table shows it, even if normalizing it once more would change it."""
        bley = new_bley(tmp_path, servers, "sqlite")
        senders = ["srs0=example.net=jane+x@example.com", "list-#@example.com"]
        bley.run("import", write_lines(tmp_path / "lines", [record(sender=sender) for sender in senders]))
        for sender in senders:
            assert "1 record would be" in bley.run("forget", "--dry-run", "--sender", sender)
