"""The records of a bley 2 are imported from its database at the first start, and its tables stay unchanged."""

import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bley.core.mail import Request
from tests.integration.running_bley import Bley
from tests.integration.stores import Servers

SCHEMA = (
    "CREATE TABLE bley_status (ip VARCHAR(39) NOT NULL, status SMALLINT NOT NULL DEFAULT 1,"
    " last_action TIMESTAMP NOT NULL, sender VARCHAR(254), recipient VARCHAR(254), fail_count INT DEFAULT 0)"
)
ROWS_TOLD = r"took over 5 records of bley 2, whose tables are unchanged"
EARLY = "action=DEFER_IF_PERMIT greylisted, try again later"
_NEW_STORE = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from bley.predecessors.record_converter import open_configured_engine
from bley.settings.file import load
file = Path(sys.argv[1], "bley.conf")
file.write_text(f"[bley]\\ndbpath = {file.parent}\\n")
async def main():
    engine = open_configured_engine(load(file), datetime.now(UTC))
    await engine.prepare()
    print(int(await engine.is_prepared()), "sqlalchemy.ext.asyncio" in sys.modules)
    await engine.close()
asyncio.run(main())
"""

Ask = Callable[[str], str]


def rows(now: datetime) -> list[tuple[object, ...]]:
    """Return rows as bley 2 wrote them: local times, single addresses, and a duplicate line."""
    ago = {minutes: (now - timedelta(minutes=minutes)).isoformat(" ", "seconds") for minutes in (1, 4, 60, 90_000)}
    return [
        ("192.0.2.1", 0, ago[60], "clean@example.com", "b@example.org", 0),
        ("192.0.2.1", 1, ago[60], "trusted@example.com", "b@example.org", 0),
        ("192.0.2.1", 2, ago[60], "waited@example.com", "b@example.org", 2),
        ("192.0.2.1", 2, ago[4], "waiting@example.com", "b@example.org", 3),
        ("192.0.2.1", 2, ago[4], "waiting@example.com", "b@example.org", 3),
        ("192.0.2.1", 0, ago[90_000], "old@example.com", "b@example.org", 0),
    ]


def statements(values: Sequence[tuple[object, ...]]) -> list[str]:
    inserted = [", ".join(repr(value) if isinstance(value, str) else str(value) for value in row) for row in values]
    return [f"INSERT INTO bley_status VALUES ({row})" for row in inserted]


class Old:
    """A database of bley 2 and its settings."""

    def __init__(self, kind: str, servers: Servers, folder: Path) -> None:
        self._kind, self._file = kind, folder / "old.db"
        self._since = time.monotonic()
        if kind == "sqlite3":
            self.settings: dict[str, object] = {"dbtype": kind, "dbpath": folder, "dbname": "old.db"}
            return
        self._server = servers.get({"pgsql": "postgresql", "mysql": "mariadb"}[kind])
        url = self._server.new_database()
        self._name = url.rpartition("/")[2]
        self.settings = {
            "dbtype": kind,
            "dbhost": "127.0.0.1",
            "dbport": self._server.port,
            "dbname": self._name,
            "dbuser": "bley",
            "dbpass": self._server.password,
        }

    @property
    def seconds(self) -> float:
        """The maximal age of a row; rows have whole seconds."""
        return time.monotonic() - self._since + 1

    def run(self, *texts: str) -> str:
        """Run the statements as its own program would; return the output of the last one."""
        if self._kind != "sqlite3":
            url = self._server.url_of(self._name)
            told: list[str] = [self._server.ask(text, url) for text in texts]
            return told[-1]
        with closing(sqlite3.connect(self._file)) as connection, connection:
            return str([connection.execute(text).fetchall() for text in texts][-1])


@pytest.fixture(params=["sqlite3", "pgsql", "mysql"])
def old(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Old:
    old = Old(request.param, servers, tmp_path)
    charset = " CHARACTER SET 'ascii'" if request.param == "mysql" else ""
    old.run(SCHEMA + charset, *statements(rows(datetime.now())))  # noqa: DTZ005 (local, as bley 2's)
    return old


def asker(bley: Bley) -> Ask:
    return lambda sender: bley.ask(
        client_address="192.0.2.1",
        client_name="mx.example.net",
        helo_name="friend",
        sender=sender,
        recipient="b@example.org",
    )


def reasons(bley: Bley) -> list[str]:
    return [decision["why" if decision["action"] == "greylist" else "reason"] for decision in bley.decisions()]


def test_each_record_keeps_its_meaning_and_age(old: Old, tmp_path: Path) -> None:
    """This includes a client with a name, which bley 2 stored by its address."""
    before = old.run("SELECT * FROM bley_status")
    with Bley(tmp_path, **old.settings) as bley:
        assert re.search(ROWS_TOLD, bley.log())
        assert "1 record of bley 2 was not imported: older than purge_bad_days or purge_days" in bley.log()
        ask = asker(bley)
        assert [ask(f"{name}@example.com") for name in ("clean", "trusted")] == ["action=DUNNO"] * 2
        delayed = re.match(r"action=PREPEND X-Greylist: delayed (\d+) seconds", ask("waited@example.com"))
        assert delayed
        assert 3600 <= int(delayed[1]) <= 3600 + old.seconds
        assert ask("waiting@example.com") == EARLY
        assert ask("old@example.com") == EARLY
        wait = int(bley.decisions(at_least=5)[3]["wait"])
        assert reasons(bley) == ["known", "known", "waited", "early", "helo"]
        expected = 60 * (5 + 4 - 4)
        assert expected - old.seconds - 1 <= wait <= expected, "5 minutes, 4 early retries, 4 minutes ago"
    assert old.run("SELECT * FROM bley_status") == before


def test_nothing_is_taken_over_twice(old: Old, tmp_path: Path) -> None:
    """Rows that a running bley 2 writes afterwards are not imported either."""
    with Bley(tmp_path, **old.settings) as bley:
        bley.stop()
        old.run(*statements([("192.0.2.1", 0, datetime.now().isoformat(" "), "later@example.com", "b@example.org", 0)]))  # noqa: DTZ005
        bley.start()
        assert asker(bley)("later@example.com") == EARLY
        assert len(re.findall("took over", bley.log())) == 1


def test_a_table_of_another_version_is_told_and_left_alone(servers: Servers, tmp_path: Path) -> None:
    old = Old("sqlite3", servers, tmp_path)
    old.run("CREATE TABLE bley_status (ip VARCHAR(39), penalty INT)")
    with Bley(tmp_path, **old.settings) as bley:
        assert (
            "no records of bley 2 are imported: the table bley_status belongs to another version of bley" in bley.log()
        )
        assert asker(bley)("stranger@example.com") == EARLY


def test_many_nodes_that_start_at_once_take_it_over_once(servers: Servers, tmp_path: Path) -> None:
    old = Old("pgsql", servers, tmp_path)
    old.run(SCHEMA, *statements(rows(datetime.now())))  # noqa: DTZ005
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    one, other = (Bley(folder, **old.settings) for folder in folders)
    with one, other:
        assert len(re.findall("took over", one.log() + other.log())) == 1
        assert asker(other)("clean@example.com") == "action=DUNNO"


def test_kill_9_amid_a_great_taking_over_loses_nothing(servers: Servers, tmp_path: Path) -> None:
    """It is one transaction: all or nothing, and all at the next start. Meanwhile bley answers."""
    old = Old("pgsql", servers, tmp_path)
    number = "SELECT '192.0.2.1', 0, now()::timestamp, 's' || i || '@example.com', 'b@example.org', 0"
    old.run(SCHEMA, f"INSERT INTO bley_status {number} FROM generate_series(1, 30000) AS i")
    bley = Bley(tmp_path, **old.settings)
    bley.waits_for_store = False
    with bley:
        bley.process.kill()
        bley.process.wait()
        bley.start()
        request = Request(client_address="192.0.2.9", helo_name="friend", recipient="b@example.org")
        assert bley.ask(client_address=request.client_address, recipient=request.recipient).startswith("action=")
        bley.wait_log("took over 30000 records")
        assert asker(bley)("s30000@example.com") == "action=DUNNO"


def test_a_new_store_on_sqlite_loads_no_asynchronous_part_of_sqlalchemy(tmp_path: Path) -> None:
    """It would stay in memory until the next start."""
    program = [sys.executable, "-c", _NEW_STORE, str(tmp_path)]
    ran = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout == "1 False\n"
