"""`bley purge` deletes what has expired, on each engine, while bley runs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.running_bley import Bley
from tests.integration.stores import Servers

NOW = datetime.now(UTC)


def _line(recipient: str, days: int) -> str:
    at = (NOW - timedelta(days=days)).isoformat()
    record = {"client": "192.0.2.0/24", "sender": "a@example.com", "recipient": recipient, "status": "clean"}
    return json.dumps(record | {"first_seen": at, "last_seen": at, "attempts": 0}) + "\n"


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb", "redis"])
def test_what_has_expired_is_deleted(engine: str, servers: Servers, tmp_path: Path) -> None:
    """The records expire when purge_days is lowered; those in Redis have been given their lifetime before."""
    url = f"sqlite:///{tmp_path}/bley.db" if engine == "sqlite" else servers.new_url(engine)
    with Bley(tmp_path, database=url, purge_days=40) as bley:
        header = json.dumps({"bley": "3.0.0", "format": 1, "privacy": "off"}) + "\n"
        lines = [_line(f"{number}@example.org", days=30) for number in range(1500)] + [_line("new@example.org", days=1)]
        (tmp_path / "lines").write_text(header + "".join(lines))
        bley.run("import", tmp_path / "lines")
        bley.write_settings(purge_days=20)
        deleted = 0 if engine == "redis" else 1500
        text = bley.run("purge")
        assert text == f"deleted {deleted} records, 0 decisions, 0 counts, 0 verified domains\n"
        assert json.loads(bley.run("purge", "--json")) == {"records": 0, "decisions": 0, "counts": 0, "domains": 0}
        if engine != "redis":
            assert bley.run("list").splitlines()[-1] == "1 record"


def test_no_store_is_one_error(tmp_path: Path) -> None:
    assert (
        Bley(tmp_path).run("purge", status=1)
        == f"Error: {tmp_path}/bley.db: no such file: `bley serve` creates it, and -c names its settings\n"
    )
