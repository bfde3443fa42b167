"""The records of real postgrey and sqlgrey servers, read in bley's terms while they run and afterwards."""

import asyncio
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from bley.core.greylist import Status
from bley.core.imported_record import ImportedRecord
from bley.core.triplet import ANY
from bley.predecessors.errors import PredecessorError
from bley.predecessors.postgrey import HASHED, TOO_FEW, read_postgrey
from bley.predecessors.sqlgrey import RECIPIENT_IN_SENDER, read_sqlgrey
from bley.predecessors.values import UNREADABLE
from tests.integration.databases import MariadbServer, PostgresqlServer, SqlServer
from tests.integration.greylisters import (
    DELAY,
    DELAY_OVER_SECONDS,
    postgrey_folder,
    running_postgrey,
    running_sqlgrey,
    write_berkeley_db,
)
from tests.integration.servers import reachable_folder, require

CLEAN, GREYLISTED = Status.CLEAN, Status.GREYLISTED

Known = tuple[str, str, str, Status] | str
"""A record's network, sender, recipient and status, or why it was skipped."""


def known(records: Iterable[ImportedRecord | str]) -> list[Known]:
    """Return the records in order, without their times."""
    found: list[Known] = [
        record
        if isinstance(record, str)
        else (str(record.network), record.sender, record.recipient, record.record.status)
        for record in records
    ]
    return sorted(found, key=str)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for postgrey's files."""
    with postgrey_folder() as folder:
        yield folder


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return each file with the time of its last write."""
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_postgrey_is_read_while_it_runs_and_afterwards(folder: Path, end: signal.Signals) -> None:
    """Everything that it has answered is read, though its files lag behind, and no file is changed."""
    begin = datetime.now(UTC) - DELAY
    with running_postgrey(folder, "--auto-whitelist-clients=1") as server:
        for _ in range(2):
            server.ask("192.0.2.7", "Jane+news@Example.com", "john@example.org")
            server.ask("2001:db8:1:2::7", "list-123-bounce@example.com", "john@example.org")
            server.ask("198.51.100.9", "", "john@example.org")
            server.ask("203.0.113.4", "fax/12@example.com", "a/b@example.org")
            time.sleep(DELAY_OVER_SECONDS)
        server.ask("192.0.2.99", "", "a/b@example.org")
        server.ask("198.51.100.10", "prvs=0123456789=jane@example.com", "john@example.org")
        before = state_of(folder)
        while_it_runs = list(read_postgrey(folder, DELAY, 1))
        assert state_of(folder) == before
        server.stop(end)
        assert list(read_postgrey(folder, DELAY, 1)) == while_it_runs
    expected: list[Known] = [
        ("192.0.2.0/24", "", "a/b@example.org", GREYLISTED),
        ("192.0.2.0/24", "jane@example.com", "john@example.org", CLEAN),
        ("192.0.2.7/32", ANY, ANY, CLEAN),
        ("198.51.100.0/24", "", "john@example.org", CLEAN),
        ("198.51.100.0/24", "jane@example.com", "john@example.org", GREYLISTED),
        ("198.51.100.9/32", ANY, ANY, CLEAN),
        ("2001:db8:1:2::/64", "list-#-bounce@example.com", "john@example.org", CLEAN),
        ("2001:db8:1:2::7/128", ANY, ANY, CLEAN),
        ("203.0.113.0/24", "fax/#@example.com", "a/b@example.org", CLEAN),
        ("203.0.113.4/32", ANY, ANY, CLEAN),
    ]
    assert known(while_it_runs) == expected
    for inherited in while_it_runs:
        assert not isinstance(inherited, str)
        assert begin < inherited.record.first_seen <= inherited.record.last_seen <= datetime.now(UTC)


def test_postgrey_by_host_knows_single_addresses(folder: Path) -> None:
    with running_postgrey(folder, "--lookup-by-host") as server:
        server.ask("192.0.2.0", "jane@example.com", "john@example.org")
        server.ask("2001:db8:1:2::", "", "john@example.org")
    assert known(read_postgrey(folder, DELAY)) == [
        ("192.0.2.0/32", "jane@example.com", "john@example.org", GREYLISTED),
        ("2001:db8:1:2::/128", "", "john@example.org", GREYLISTED),
    ]


def test_postgrey_with_privacy_has_nothing_to_read(folder: Path) -> None:
    with running_postgrey(folder, "--privacy") as server:
        server.ask("192.0.2.7", "jane@example.com", "john@example.org")
        time.sleep(DELAY_OVER_SECONDS)
        server.ask("192.0.2.7", "jane@example.com", "john@example.org")
    assert known(read_postgrey(folder, DELAY)) == [HASHED, HASHED]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (b"192.0.2.7/a@example.com/b@example.org", b"1,2", ("192.0.2.7/32", "a@example.com", "b@example.org", CLEAN)),
        (b"192.0.2.0/a@example.com/b", b"1,1,7", ("192.0.2.0/24", "a@example.com", "b", GREYLISTED)),
        (b"192.0.2.0/root/b@example.org", b"2,1", ("192.0.2.0/24", "root", "b@example.org", GREYLISTED)),
        (b"192.0.2.0/a@example.com//b@c", b"1,1", ("192.0.2.0/24", "a@example.com", "/b@c", GREYLISTED)),
        (b"192.0.2.0//c=us@gw/b@c", b"1,1", ("192.0.2.0/24", "/c=us@gw", "b@c", GREYLISTED)),
        (b"192.0.2.0/a@b@c/d@e", b"1,1", ("192.0.2.0/24", "a@b@c", "d@e", GREYLISTED)),
        (b"192.0.2.0/j\xfc@b/d@e", b"1,1", ("192.0.2.0/24", "j\\xfc@b", "d@e", GREYLISTED)),
        (b"192.0.2.0/a\nb@c/d@e", b"1,1", ("192.0.2.0/24", "a\nb@c", "d@e", GREYLISTED)),
        (b"192.0.2.0/a@b/c@d", b"1", UNREADABLE),
        (b"192.0.2.0/a@b/c@d", b"", UNREADABLE),
        (b"192.0.2.0/a@b/c@d", b"one,two", UNREADABLE),
        (b"192.0.2.0/a@b/c@d", b"0,1", UNREADABLE),
        (b"192.0.2.0/a@b/c@d", b"1," + b"9" * 500, UNREADABLE),
        (b"192.0.2.0/a@b", b"1,1", UNREADABLE),
        (b"192.0.2.0/a@b/", b"1,1", UNREADABLE),
        (b"mail.example.com/a@b/c@d", b"1,1", UNREADABLE),
        (b"", b"1,1", UNREADABLE),
    ],
)
def test_postgrey_records_of_any_form(tmp_path: Path, key: bytes, value: bytes, expected: Known) -> None:
    write_berkeley_db(tmp_path / "postgrey.db", {key: value})
    assert known(read_postgrey(tmp_path, DELAY)) == [expected]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (b"192.0.2.0", b"5,1", ("192.0.2.0/32", ANY, ANY, CLEAN)),
        (b"2001:DB8:0:0:0:0:0:0", b"6,1", ("2001:db8::/128", ANY, ANY, CLEAN)),
        (b"192.0.2.0", b"4,1", TOO_FEW),
        (b"0123456789abcdef0123456789abcdef01234567", b"5,1", HASHED),
        (b"192.0.2.0", b"5", UNREADABLE),
        (b"192.0.2.0", b"5,0", UNREADABLE),
        (b"192.0.2", b"5,1", UNREADABLE),
    ],
)
def test_postgrey_clients_of_any_form(tmp_path: Path, key: bytes, value: bytes, expected: Known) -> None:
    write_berkeley_db(tmp_path / "postgrey.db", {})
    write_berkeley_db(tmp_path / "postgrey_clients.db", {key: value})
    assert known(read_postgrey(tmp_path, DELAY)) == [expected]


def test_without_auto_whitelist_clients_none_passes(tmp_path: Path) -> None:
    """Its file may exist from before."""
    write_berkeley_db(tmp_path / "postgrey.db", {})
    write_berkeley_db(tmp_path / "postgrey_clients.db", {b"192.0.2.7": b"5,1"})
    assert known(read_postgrey(tmp_path, DELAY, 0)) == []


def test_a_reader_may_leave_early(tmp_path: Path) -> None:
    records = {f"192.0.2.0/{number}@example.com/b@example.org".encode(): b"1,1" for number in range(10_000)}
    write_berkeley_db(tmp_path / "postgrey.db", records)
    reader = iter(read_postgrey(tmp_path, DELAY))
    assert not isinstance(next(reader), str)
    del reader


def test_no_postgrey_there(tmp_path: Path) -> None:
    require("db5.3_dump", "db5.3-util")
    with pytest.raises(PredecessorError, match=rf"^{tmp_path} is not a folder with postgrey\.db$"):
        list(read_postgrey(tmp_path, DELAY))
    with pytest.raises(PredecessorError, match=r"none is not a folder with postgrey\.db$"):
        list(read_postgrey(tmp_path / "none", DELAY))


def test_files_that_cannot_be_copied(tmp_path: Path) -> None:
    write_berkeley_db(tmp_path / "postgrey.db", {})
    (tmp_path / "postgrey_clients.db").mkdir()
    with pytest.raises(PredecessorError, match=rf"^{tmp_path} cannot be copied: .*Is a directory"):
        list(read_postgrey(tmp_path, DELAY))


def test_no_berkeley_db_there(tmp_path: Path) -> None:
    require("db5.3_dump", "db5.3-util")
    (tmp_path / "postgrey.db").write_text("no Berkeley DB")
    with pytest.raises(PredecessorError, match=r"^postgrey\.db cannot be read: db5\.3_dump: .*unexpected file type"):
        list(read_postgrey(tmp_path, DELAY))


def test_a_log_that_cannot_be_recovered(tmp_path: Path) -> None:
    write_berkeley_db(tmp_path / "postgrey.db", {})
    (tmp_path / "log.0000000001").write_bytes(b"no log " * 1000)
    with pytest.raises(PredecessorError, match=rf"^{tmp_path} cannot be read: db5\.3_recover: .*magic number"):
        list(read_postgrey(tmp_path, DELAY))


def test_no_program_to_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PredecessorError, match=r"^db5\.3_dump is missing: install Debian's db5\.3-util$"):
        list(read_postgrey(tmp_path, DELAY))


def test_other_names_of_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_berkeley_db(tmp_path / "postgrey.db", {b"192.0.2.0/a@b/c@d": b"1,1"})
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("dump", "recover"):
        (programs / f"db_{name}").symlink_to(shutil.which(f"db5.3_{name}") or "")
    monkeypatch.setenv("PATH", str(programs))
    assert len(list(read_postgrey(tmp_path, DELAY))) == 1


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_log_that_is_removed_spoils_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """It is removed `before` or `while` it is copied: its content is then in no copy."""
    write_berkeley_db(tmp_path / "postgrey.db", {b"192.0.2.0/a@b/c@d": b"1,1"})
    log = tmp_path / "log.0000000001"
    log.touch()
    copied = []

    def copy(source: Path, target: Path) -> None:
        copied.append(source.name)
        if when == "before" or source == log:
            log.unlink(missing_ok=True)
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", copy)
    assert len(list(read_postgrey(tmp_path, DELAY))) == 1
    assert copied.count("postgrey.db") == 2


def test_logs_that_are_always_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_berkeley_db(tmp_path / "postgrey.db", {})
    logs = iter([tmp_path / f"log.{number:010}" for number in range(100)])
    next(logs).touch()

    def copy(source: Path, target: Path) -> None:
        for log in tmp_path.glob("log.*"):
            log.rename(next(logs))
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", copy)
    with pytest.raises(PredecessorError, match=rf"^{tmp_path} cannot be copied: .*; stop postgrey during the import$"):
        list(read_postgrey(tmp_path, DELAY))


async def read_all(url: str | URL) -> list[ImportedRecord | str]:
    database = create_async_engine(url)
    try:
        return [record async for record in read_sqlgrey(database)]
    finally:
        await database.dispose()


async def test_sqlgrey_is_read_while_it_runs_and_afterwards() -> None:
    mail = "mail.example.com"
    begin = datetime.now(UTC) - DELAY
    with reachable_folder() as folder, running_sqlgrey(folder, "SQLite", db_name=folder / "sqlgrey.db") as server:
        url = f"sqlite+aiosqlite:///file:{folder}/sqlgrey.db?mode=ro&uri=true"
        for _ in range(2):
            # In from_awl at the second time, by network and by address.
            server.ask("192.0.2.7", "Jane+news@Example.com", "john@example.org", mail)
            server.ask("198.51.100.9", "", "john@example.org")
            server.ask("192.0.2.7", "list-123-return@lists.example.com", "john@example.org", mail)
            server.ask("192.0.2.7", "return-john=example.org@verp.example.com", "john@example.org", mail)
            server.ask("2001:db8:1:2:211:22ff:fe33:4455", "fax/one@mac.example.com", "john@example.org", mail)
            # In domain_awl.
            server.ask("203.0.113.4", "one@example.net", "john@example.org", mail)
            server.ask("203.0.113.4", "two@example.net", "john@example.org", mail)
            await asyncio.sleep(DELAY_OVER_SECONDS)
        # In connect.
        server.ask("192.0.2.8", "List-123-return@example.com", "Jane+x@Example.org", mail)
        server.ask("192.0.2.0", "", "john@example.org")
        server.ask("2001:db8:1:2::7", "root", "john@example.org", mail)
        server.ask("2001:db8:1:3::7", "root", "john@example.org")
        while_it_runs = await read_all(url)
        server.stop(signal.SIGTERM)
        assert await read_all(url) == while_it_runs
    # sqlgrey leaves passing triplets in connect if it shortened their sender.
    expected: list[Known] = [
        ("192.0.2.0/24", "jane+news@example.com", "john@example.org", GREYLISTED),
        ("192.0.2.0/24", "jane@example.com", ANY, CLEAN),
        ("192.0.2.0/24", "list-#-return@lists.example.com", ANY, CLEAN),
        ("192.0.2.0/24", "list-123-return@example.com", "jane+x@example.org", GREYLISTED),
        ("192.0.2.0/24", "return-john=example.org@verp.example.com", "john@example.org", GREYLISTED),
        ("192.0.2.0/32", "", "john@example.org", GREYLISTED),
        ("198.51.100.9/32", "", ANY, CLEAN),
        ("2001:db8:1:2::/64", "fax/one@mac.example.com", ANY, CLEAN),
        ("2001:db8:1:2::7/128", "root", "john@example.org", GREYLISTED),
        ("2001:db8:1:3::7/128", "root", "john@example.org", GREYLISTED),
        ("203.0.113.0/24", f"{ANY}@example.net", ANY, CLEAN),
        RECIPIENT_IN_SENDER,
    ]
    assert known(while_it_runs) == expected
    assert_times(while_it_runs, begin)


@pytest.mark.parametrize(
    ("server_class", "dbd", "driver", "zone"),
    [
        (PostgresqlServer, "Pg", "postgresql+asyncpg", "ALTER DATABASE bley SET timezone = 'Asia/Kolkata'"),
        (MariadbServer, "mysql", "mysql+aiomysql", "SET GLOBAL time_zone = '+05:30'"),
    ],
)
async def test_sqlgrey_in_another_time_zone(
    tmp_path: Path, server_class: type[SqlServer], dbd: str, driver: str, zone: str
) -> None:
    """The times are those of the database's server, whatever our time zone is."""
    begin = datetime.now(UTC) - DELAY
    with server_class(tmp_path) as database, reachable_folder() as folder:
        # sqlgrey can read no # in it.
        database.change_password("secret")
        database.sql(zone)
        settings = {"db_host": database.host, "db_port": database.port, "db_user": database.user, "db_pass": "secret"}
        with running_sqlgrey(folder, dbd, db_name=database.database, **settings) as server:
            server.ask("192.0.2.7", "jane@example.com", "john@example.org")
            server.ask("203.0.113.4", "one@example.net", "john@example.org")
            server.ask("203.0.113.4", "two@example.net", "john@example.org")
            await asyncio.sleep(DELAY_OVER_SECONDS)
            server.ask("192.0.2.7", "jane@example.com", "john@example.org")
            server.ask("203.0.113.4", "one@example.net", "john@example.org")
            server.ask("203.0.113.4", "two@example.net", "john@example.org")
            server.ask("192.0.2.7", "joe@example.com", "john@example.org")
            found = await read_all(make_url(database.url).set(drivername=driver))
    assert known(found) == [
        ("192.0.2.7/32", "jane@example.com", ANY, CLEAN),
        ("192.0.2.7/32", "joe@example.com", "john@example.org", GREYLISTED),
        ("203.0.113.4/32", f"{ANY}@example.net", ANY, CLEAN),
    ]
    assert_times(found, begin)


def assert_times(found: Iterable[ImportedRecord | str], begin: datetime) -> None:
    """Check that all records were seen since `begin`, and passing ones twice."""
    for inherited in found:
        if not isinstance(inherited, str):
            record = inherited.record
            assert begin < record.first_seen <= record.last_seen <= datetime.now(UTC)
            assert (record.last_seen > record.first_seen) == (record.status is CLEAN)
