"""Each database gets its engine, without connecting, or an error for the operator."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bley.core.errors import SettingsError
from bley.settings.database import Database, parse_database
from bley.store.engine import Engine
from bley.store.opening import open_engine, open_sql
from bley.store.redis import RedisEngine
from bley.store.sql import SqlEngine

NOWHERE = "192.0.2.1"
"""An address of TEST-NET-1 (RFC 5737), where no host is."""

URLS = [
    f"postgresql://bley:geheim@{NOWHERE}/bley",
    f"postgresql://{NOWHERE}:5433",
    f"postgresql://{NOWHERE}/bley?tls=on",
    f"postgresql://{NOWHERE}/bley?tls=verify",
    "postgresql://bley@/bley?socket=/run/postgresql",
    f"mysql://bley:geheim@{NOWHERE}/bley",
    f"mysql://{NOWHERE}/bley?tls=verify",
    "mysql://bley@/bley?socket=/run/mysqld.sock",
]
REDIS_URLS = [
    f"redis://{NOWHERE}/3",
    f"redis://bley:geheim@{NOWHERE}",
    f"rediss://{NOWHERE}",
    f"rediss://{NOWHERE}?tls=on",
    "redis:///0?socket=/run/redis.sock",
    f"redis+sentinel://{NOWHERE},[2001:db8::1]:26380/mymaster/3",
    f"rediss+sentinel://:geheim@{NOWHERE}/mymaster",
    f"redis+cluster://{NOWHERE},{NOWHERE}:7001",
    f"rediss+cluster://:geheim@{NOWHERE}",
]
SERVERS = ["postgresql", "mysql", "redis", "redis+sentinel", "redis+cluster"]


async def _open(url: str, *, read_only: bool = False) -> Engine:
    """An engine that is closed without having been used."""
    engine = open_engine(parse_database(url), read_only=read_only)
    await engine.close()
    return engine


async def _fault(url: str) -> str:
    with pytest.raises(SettingsError) as caught:
        await _open(url)
    return str(caught.value)


def _is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


class TestEngines:
    @pytest.mark.parametrize("read_only", [False, True])
    @pytest.mark.parametrize(
        ("urls", "kind"), [(URLS, SqlEngine), (REDIS_URLS, RedisEngine)], ids=["SQL", "Redis and Valkey"]
    )
    async def test_each_kind_of_url_gives_its_engine(self, urls: Sequence[str], kind: type, read_only: bool) -> None:
        for url in urls:
            engine = await _open(url, read_only=read_only)
            assert type(engine) is kind
            assert engine.place == str(parse_database(url))
            assert "geheim" not in engine.place

    async def test_sqlite_gives_one_and_makes_no_file(self, tmp_path: Path) -> None:
        engine = await _open(f"sqlite:///{tmp_path}/bley.db")
        assert type(engine) is SqlEngine
        assert _is_empty(tmp_path)

    @pytest.mark.parametrize("url", URLS)
    async def test_what_sqlalchemy_shows_has_no_password(self, url: str) -> None:
        engine = open_sql(parse_database(url))
        await engine.dispose()
        assert "geheim" not in f"{engine!r} {engine.url}"

    async def test_a_password_with_signs_of_a_url_is_no_other_place(self) -> None:
        engine = open_sql(
            Database(dbtype="pgsql", hosts=((NOWHERE, 5432),), name="b@d/ü", user="u:u", password="p@/:p")
        )
        await engine.dispose()
        url = engine.url
        assert (url.host, url.database, url.username, url.password) == (NOWHERE, "b@d/ü", "u:u", "p@/:p")


class TestDrivers:
    @pytest.mark.parametrize(
        ("url", "module", "fault"),
        [
            (
                f"postgresql://{NOWHERE}",
                "asyncpg",
                "dbtype: pgsql needs asyncpg, which is not installed: pip install 'bley[postgresql]'",
            ),
            (
                f"mysql://{NOWHERE}",
                "aiomysql",
                "dbtype: mysql needs aiomysql, which is not installed: pip install 'bley[mysql]'",
            ),
            *(
                (
                    url,
                    "redis",
                    "dbtype: redis needs redis, which is not installed: pip install 'bley[redis]'",
                )
                for url in (f"redis://{NOWHERE}", f"redis+sentinel://{NOWHERE}/m", f"redis+cluster://{NOWHERE}")
            ),
        ],
    )
    async def test_one_that_is_missing_is_named_with_what_brings_it(
        self, url: str, module: str, fault: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        place = f"in bley's environment {sys.prefix}; for Debian's own Python, apt install python3-{module}"
        assert await _fault(url) == f"{fault}, {place}"

    async def test_sqlite_needs_none_of_them(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("asyncpg", "aiomysql", "pymysql", "redis"):
            monkeypatch.setitem(sys.modules, module, None)
        await _open(f"sqlite:///{tmp_path}/bley.db")


class TestAuthorities:
    """`ca=FILE`, for the server's certificate, is read at the start, which reports an error in it."""

    @pytest.mark.parametrize("server", SERVERS)
    @pytest.mark.parametrize("tls", ["on", "verify"])
    async def test_a_file_that_is_missing(self, server: str, tls: str, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        fault = await _fault(self._url(server, tls, file))
        assert fault == f"dbtls_ca: {file} cannot be read: No such file or directory"

    @pytest.mark.parametrize("server", SERVERS)
    async def test_a_file_that_is_none(self, server: str, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        file.write_text("no certificate\n")
        assert (await _fault(self._url(server, "verify", file))).startswith(f"dbtls_ca: {file} cannot be read: ")

    @pytest.mark.parametrize("server", SERVERS)
    async def test_without_tls_nobody_reads_it(self, server: str, tmp_path: Path) -> None:
        await _open(self._url(server, "off", tmp_path / "ca.pem"))

    def _url(self, server: str, tls: str, file: Path) -> str:
        master = "/m" if server == "redis+sentinel" else ""
        return f"{server}://{NOWHERE}{master}?tls={tls}&ca={file}"
