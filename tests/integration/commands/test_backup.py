"""`bley backup` copies SQLite's file while bley runs, and names the command for a database server."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from bley.commands.backup import server_command
from bley.settings.database import parse_database
from tests.integration.database_server import PASSWORD
from tests.integration.running_bley import Bley
from tests.integration.stores import Servers

MAIL = {
    "client_address": "198.51.100.7",
    "helo_name": "friend",
    "sender": "a@example.com",
    "recipient": "b@example.org",
}


def test_a_backup_can_be_restored(tmp_path: Path) -> None:
    with Bley(tmp_path) as bley:
        assert "greylisted" in bley.ask(**MAIL)
        document = json.loads(bley.run("backup", "--json", tmp_path / "one"))
        assert document["records"] == 1
        assert document["bytes"] == (tmp_path / "one").stat().st_size
        assert bley.run("backup", tmp_path / "two").startswith(f"{tmp_path}/two: 1 record, ")
        assert bley.run("backup", tmp_path / "one", status=2).endswith(
            f"Error: {tmp_path}/one exists: name a new file\n"
        )
        missing = f"Error: {tmp_path}/no/three: no backup was made: No such file or directory\n"
        assert bley.run("backup", tmp_path / "no" / "three", status=1) == missing
    for left in tmp_path.glob("bley.db*"):
        left.unlink()
    (tmp_path / "one").rename(tmp_path / "bley.db")
    with bley:
        bley.ask(**MAIL)
        assert "reason=early" in bley.log()


@pytest.mark.parametrize(
    ("url", "command"),
    [
        (
            "postgresql://bley:secret@db.example/b",
            "pg_dump --format=custom --file=/x --host=db.example --port=5432 --username=bley b",
        ),
        ("postgresql://bley@/b?socket=/run/pg", "pg_dump --format=custom --file=/x --host=/run/pg --username=bley b"),
        (
            "mysql://bley:secret@db.example:3307/b",
            "mariadb-dump --single-transaction --result-file=/x --host=db.example --port=3307 --user=bley --password b",
        ),
        ("rediss://bley:secret@r.example/0", "redis-cli -h r.example -p 6379 --user bley --askpass --tls --rdb /x"),
        ("redis+sentinel://s1,s2/m/0", "redis-cli -h MASTER -p 6379 --rdb /x, where MASTER is the master of m"),
        ("redis+cluster://n1:7000,n2:7000", "redis-cli -h n1 -p 7000 --rdb /x, at each master"),
    ],
)
def test_a_server_has_its_own_command(url: str, command: str, tmp_path: Path) -> None:
    """The password is asked for."""
    assert server_command(parse_database(url), "/x") == f"umask 077; {command}"
    shown = Bley(tmp_path, database=url).run("backup", "/x", status=1)
    assert shown.endswith(f"its own program: umask 077; {command}\nThe records alone: bley export /x\n")
    assert "secret" not in shown


@pytest.mark.parametrize("engine", ["postgresql", "redis"])
def test_that_command_works(engine: str, servers: Servers, tmp_path: Path) -> None:
    """It runs without a terminal here, so the password comes from the environment."""
    with Bley(tmp_path, database=servers.new_url(engine)) as bley:
        bley.ask(**MAIL)
        command = bley.run("backup", tmp_path / "dump", status=1).splitlines()[0].partition("umask 077; ")[2]
        arguments = shlex.split(command.replace("--askpass ", ""))
        environment = os.environ | {"PGPASSWORD": PASSWORD, "REDISCLI_AUTH": PASSWORD}
        subprocess.run(arguments, check=True, capture_output=True, stdin=subprocess.DEVNULL, env=environment)
    assert (tmp_path / "dump").stat().st_size > 100
