"""Where the store is, as a URL says it; what is wrong with one is told without its password."""

import ssl
from pathlib import Path
from urllib.parse import unquote

import pytest

from bley.settings.database import Database, Tls, hide_password, parse_database

SECRET = "geheim{}wort"
SIGNS = ["@", ":", "/", "#", "?", "&", "=", " ", ",", "%", "+", "[", "]", "\\", "://", "//", "@@", "ü", "\n", "\n  "]
"""That a password has, written as it is; RFC 3986 wants most of them as %40 and the like, people do not know."""


def _server(
    url: str = "",
    *,
    hosts: tuple[tuple[str, int], ...] = (("db.example.org", 5432),),
    **others: object,
) -> Database:
    values: dict[str, object] = {"dbtype": "pgsql", "hosts": hosts, "name": "bley"} | others
    return Database(**values)  # type: ignore[arg-type]


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "database"),
        [
            pytest.param("postgresql://db.example.org/bley", _server(), id="PostgreSQL"),
            pytest.param("postgres://db.example.org/bley", _server(), id="its other name"),
            pytest.param("pgsql://db.example.org/bley", _server(), id="as dbtype calls it"),
            pytest.param("PostgreSQL://db.example.org/bley", _server(), id="capitals"),
            pytest.param("postgresql://db.example.org", _server(), id="the database is bley if not given"),
            pytest.param("postgresql://db.example.org/", _server(), id="or empty"),
            pytest.param(
                "postgresql://db.example.org:5433/mail",
                _server(hosts=(("db.example.org", 5433),), name="mail"),
                id="port and name",
            ),
            pytest.param("postgresql:///bley", _server(hosts=(("localhost", 5432),)), id="this machine"),
            pytest.param("postgresql://[2001:db8::1]/bley", _server(hosts=(("2001:db8::1", 5432),)), id="IPv6"),
            pytest.param(
                "postgresql://[2001:db8::1]:5433/bley", _server(hosts=(("2001:db8::1", 5433),)), id="IPv6, port"
            ),
            pytest.param("postgresql://john@db.example.org/bley", _server(user="john"), id="user"),
            pytest.param(
                "postgresql://john:secret@db.example.org/bley", _server(user="john", password="secret"), id="password"
            ),
            pytest.param(
                "postgresql://jo%40hn:s%2Fcr%3A%23t@db.example.org/my%20mail",
                _server(user="jo@hn", password="s/cr:#t", name="my mail"),
                id="percent signs",
            ),
            pytest.param(
                "postgresql://john@/bley?socket=/run/postgresql",
                _server(hosts=(), user="john", socket="/run/postgresql"),
                id="socket",
            ),
            pytest.param(
                "postgresql://db.example.org/bley?tls=verify&ca=/etc/ssl/our%20ca.pem",
                _server(tls="verify", ca_file="/etc/ssl/our ca.pem"),
                id="TLS",
            ),
            pytest.param(
                "mysql://db.example.org/bley", _server(dbtype="mysql", hosts=(("db.example.org", 3306),)), id="MySQL"
            ),
            pytest.param(
                "mariadb://db.example.org/bley",
                _server(dbtype="mysql", hosts=(("db.example.org", 3306),)),
                id="MariaDB",
            ),
        ],
    )
    def test_sql_server(self, url: str, database: Database) -> None:
        assert parse_database(url) == database

    @pytest.mark.parametrize(
        ("url", "database"),
        [
            pytest.param("redis://db.example.org/0", Database(), id="Redis"),
            pytest.param("valkey://db.example.org/0", Database(), id="Valkey"),
            pytest.param("redis://db.example.org", Database(), id="its number is 0 if not given"),
            pytest.param("redis://db.example.org/7", Database(name="7"), id="another"),
            pytest.param("rediss://db.example.org/0", Database(tls="verify"), id="TLS"),
            pytest.param("valkeys://db.example.org/0", Database(tls="verify"), id="Valkey, TLS"),
            pytest.param("rediss://db.example.org/0?tls=on", Database(tls="on"), id="TLS without certificate"),
            pytest.param("redis://:secret@db.example.org/0", Database(password="secret"), id="no user"),
            pytest.param(
                "redis://bley:secret@db.example.org/0", Database(user="bley", password="secret"), id="user, password"
            ),
            pytest.param(
                "redis:///2?socket=/run/redis.sock", Database(hosts=(), socket="/run/redis.sock", name="2"), id="socket"
            ),
            pytest.param(
                "redis+sentinel://db.example.org/mymaster",
                Database(hosts=(("db.example.org", 26379),), redis_kind="sentinel", master="mymaster"),
                id="Sentinel",
            ),
            pytest.param(
                "redis+sentinel://s1,s2:26380,[2001:db8::1]:26381/mymaster/3",
                Database(
                    hosts=(("s1", 26379), ("s2", 26380), ("2001:db8::1", 26381)),
                    redis_kind="sentinel",
                    master="mymaster",
                    name="3",
                ),
                id="several Sentinels",
            ),
            pytest.param(
                "rediss+sentinel://bley:secret@s1/mymaster",
                Database(
                    hosts=(("s1", 26379),),
                    redis_kind="sentinel",
                    master="mymaster",
                    tls="verify",
                    user="bley",
                    password="secret",
                ),
                id="Sentinel, TLS",
            ),
            pytest.param(
                "redis+cluster://n1:7000,n2",
                Database(hosts=(("n1", 7000), ("n2", 6379)), redis_kind="cluster"),
                id="Cluster",
            ),
            pytest.param(
                "rediss+cluster://n1",
                Database(hosts=(("n1", 6379),), redis_kind="cluster", tls="verify"),
                id="Cluster, TLS",
            ),
        ],
    )
    def test_redis(self, url: str, database: Database) -> None:
        """`database` without what is usual: one server, db.example.org, its database 0."""
        assert parse_database(url) == _redis(database)

    @pytest.mark.parametrize(
        ("url", "file"),
        [
            ("sqlite:///bley.db", "{here}/bley.db"),
            ("sqlite:///var/bley.db", "{here}/var/bley.db"),
            ("sqlite:////var/lib/bley/bley.db", "/var/lib/bley/bley.db"),
            ("sqlite:////var/lib/b ley/jürgen.db", "/var/lib/b ley/jürgen.db"),
            ("sqlite:////var/lib/b%20ley/bley.db", "/var/lib/b ley/bley.db"),
            ("sqlite:////var/lib/bley#1.db", "/var/lib/bley#1.db"),
            ("sqlite:////srv/mail@example.org/bley.db", "/srv/mail@example.org/bley.db"),
            ("sqlite:///bley@home:1.db", "{here}/bley@home:1.db"),
        ],
    )
    def test_sqlite(self, url: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Relative to where bley was started, so that it stays there when the daemon changes its folder."""
        monkeypatch.chdir(tmp_path)
        assert parse_database(url) == Database(file=Path(file.format(here=tmp_path)))

    @pytest.mark.parametrize(("text", "tls"), [("off", "off"), ("on", "on"), ("verify", "verify")])
    def test_tls(self, text: str, tls: Tls) -> None:
        assert parse_database(f"mysql://db.example.org/bley?tls={text}").tls == tls


def _redis(database: Database) -> Database:
    usual = {"hosts": (("db.example.org", 6379),), "name": "0"}
    return Database(
        dbtype="redis",
        hosts=database.hosts or (() if database.socket else usual["hosts"]),  # type: ignore[arg-type]
        socket=database.socket,
        name=database.name or "0",
        user=database.user,
        password=database.password,
        tls=database.tls,
        redis_kind=database.redis_kind,
        master=database.master,
    )


class TestFaults:
    @pytest.mark.parametrize(
        ("url", "fault"),
        [
            *(
                pytest.param(
                    url,
                    "has an unknown scheme: write sqlite:///, postgresql://, mysql://, redis:// or rediss://",
                    id=url or "nothing",
                )
                for url in ("", "bley.db", "/var/lib/bley.db", "oracle://h/n", "sqlite3:///bley.db", "h:5432/bley")
            ),
            *(
                pytest.param(
                    f"postgresql://{place}/bley",
                    f"has an invalid host or port in {place!r}: write host:5432 or [2001:db8::1]:5432",
                    id=f"bracket in {place}",
                )
                for place in ("[2001:db8::1", "2001:db8::1]", "[::1:5432")
            ),
            *(
                pytest.param(url, "contains white space: write a space as %20", id=ascii(url))
                for url in ("postgresql://my host/bley", "mysql://h/my mail", "mysql://h\n/bley")
            ),
            *(
                pytest.param(url, "has an empty socket, or a socket with Sentinel or Cluster", id=url)
                for url in (
                    "redis://h/0?socket=",
                    "postgresql:///bley?socket",
                    "redis+cluster:///0?socket=/run/redis.sock",
                    "redis+sentinel:///mymaster?socket=/run/redis.sock",
                )
            ),
            *(
                pytest.param(
                    url,
                    "names several hosts, which only redis+sentinel:// and redis+cluster:// may",
                    id=url,
                )
                for url in ("postgresql://h1,h2/bley", "mysql://h1,h2/bley", "redis://h1,h2/0")
            ),
            pytest.param(
                "redis+cluster://h/1",
                "has a database number, but a Cluster has only database 0",
                id="Cluster's number",
            ),
            *(
                pytest.param(
                    url,
                    "does not name a file: write sqlite:///bley.db, or sqlite:////var/lib/bley/bley.db",
                    id=url,
                )
                for url in ("sqlite://", "sqlite:///", "sqlite:////", "sqlite://bley.db", "sqlite:///bley\n.db")
            ),
            *(
                pytest.param(
                    f"postgresql://{place}/bley",
                    f"has an invalid host or port in {place!r}: write host:5432 or [2001:db8::1]:5432",
                    id=f"port in {place}",
                )
                for place in ("h:", "h:x", "h:0", "h:65536", "h:-1", "h:5432x", "[2001:db8::1]:x")
            ),
            pytest.param(
                "mysql://h:x/bley",
                "has an invalid host or port in 'h:x': write host:3306 or [2001:db8::1]:3306",
                id="MySQL's port",
            ),
            pytest.param(
                "redis://h:x/0",
                "has an invalid host or port in 'h:x': write host:6379 or [2001:db8::1]:6379",
                id="Redis' port",
            ),
            pytest.param(
                "redis+sentinel://h:1,g:x/m",
                "has an invalid host or port in 'g:x': write host:26379 or [2001:db8::1]:26379",
                id="the second Sentinel's port",
            ),
            pytest.param(
                "mysql://h/bley?ssl=on&charset=utf8&tls=on",
                "has an unknown option charset, ssl: the options are socket, tls and ca",
                id="options",
            ),
            *(
                pytest.param(f"mysql://h/bley?{option}", "has an invalid tls: write ?tls=off, on or verify", id=option)
                for option in ("tls=yes", "tls=", "tls=VERIFY")
            ),
            pytest.param("mysql://h/bley/mail", "has more than one name after the host", id="two names"),
            pytest.param("redis+sentinel://h/m/0/1", "has more than one name after the host", id="three"),
            pytest.param(
                "redis+sentinel://h",
                "does not name the master that the Sentinels watch: write redis+sentinel://host/mymaster",
                id="no master",
            ),
            *(
                pytest.param(url, "has an invalid number of a Redis database: write redis://host/0", id=url)
                for url in ("redis://h/bley", "redis://h/-1", "redis+sentinel://h/m/bley", "redis://h/0x1")
            ),
        ],
    )
    def test_each_says_what_would_be_right(self, url: str, fault: str) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 (its whole text is compared)
            parse_database(url)
        assert str(caught.value) == fault

    @pytest.mark.parametrize(
        "url", ["postgresql://h/bley?socket=/run/p@1", "mysql://h/bley?tls=verify&ca=/etc/our@ca.pem"]
    )
    def test_an_at_sign_elsewhere_makes_no_other_host(self, url: str) -> None:
        """It is read as it is, or refused."""
        try:
            database = parse_database(url)
        except ValueError:
            return
        assert "@" in database.socket + database.ca_file


class TestPassword:
    @pytest.mark.parametrize("scheme", ["postgresql", "mysql", "redis", "redis+sentinel", "redis+cluster"])
    @pytest.mark.parametrize("sign", SIGNS, ids=ascii)
    def test_it_is_read_as_it_is_or_refused_and_never_shown(self, scheme: str, sign: str) -> None:
        """A part of it in a fault, or taken for a host or name that is then shown, is in every log."""
        for password in (SECRET.format(sign), f"1234{sign}567890"):
            for name in ("", "/0", "/m/0"):
                try:
                    database = parse_database(f"{scheme}://bley:{password}@db.example.org{name}")
                except ValueError as error:
                    shown = str(error)
                else:
                    assert database.password == unquote(password)
                    shown = f"{database} {database!r}"
                for part in ("geheim", "wort", "1234", "567890"):
                    assert part not in shown

    @pytest.mark.parametrize("sign", SIGNS, ids=ascii)
    def test_it_is_hidden(self, sign: str) -> None:
        for user in ("bley", "", "jo%40hn"):
            self._is_hidden(user, SECRET.format(sign))

    @pytest.mark.parametrize("user", ["jo/hn", "jo#hn", "jo?hn", "jo@hn"])
    def test_it_is_hidden_behind_an_awkward_user_too(self, user: str) -> None:
        self._is_hidden(user, SECRET)

    def _is_hidden(self, user: str, password: str) -> None:
        hidden = hide_password(f"postgresql://{user}:{password}@db.example.org/bley")
        assert "geheim" not in hidden
        assert "wort" not in hidden
        assert hidden.startswith("postgresql://")
        assert hidden.endswith("********@db.example.org/bley")

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://db.example.org/bley",
            "postgresql://db.example.org:5432/bley?tls=verify&ca=/etc/ca.pem",
            "postgresql://bley@db.example.org:5432/bley",
            "postgresql://bley@/bley?socket=/run/postgresql",
            "redis+sentinel://s1:26380,s2/mymaster/0",
            "sqlite:////var/lib/bley/bley.db",
            "sqlite:///bley@home.db",
            "",
        ],
    )
    def test_a_url_without_one_is_shown_as_it_is(self, url: str) -> None:
        assert hide_password(url) == url

    @pytest.mark.parametrize(
        "text", ["bley:geheim@db.example.org/bley", "postgresql:/bley:geheim@db.example.org/bley", "geheim"]
    )
    def test_of_what_is_no_url_nothing_is_shown(self, text: str) -> None:
        assert hide_password(text) == "********"


class TestShown:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("sqlite:////var/lib/bley/bley.db", "/var/lib/bley/bley.db"),
            ("postgresql://bley:geheim@db.example.org/mail", "pgsql mail at db.example.org:5432"),
            ("postgresql://bley@/mail?socket=/run/postgresql", "pgsql mail at /run/postgresql"),
            ("mysql://bley:geheim@[2001:db8::1]:3307/bley", "mysql bley at [2001:db8::1]:3307"),
            ("redis://:geheim@db.example.org/3", "redis 3 at db.example.org:6379"),
            ("redis+sentinel://s1,s2:26380/mymaster/3", "redis mymaster 3 at s1:26379, s2:26380"),
            ("redis+cluster://:geheim@n1,n2", "redis 0 at n1:6379, n2:6379"),
        ],
    )
    def test_for_people_it_is_what_and_where(self, url: str, shown: str) -> None:
        assert str(parse_database(url)) == shown

    def test_nothing_shows_the_password(self) -> None:
        database = parse_database("postgresql://bley:geheim@db.example.org/mail")
        assert database.password == "geheim"
        assert "geheim" not in f"{database} {database!r}"


class TestTls:
    """What `tls` and `ca` mean for connections."""

    def test_off(self) -> None:
        assert Database().ssl_context is None

    def test_on_encrypts_and_believes_everybody(self) -> None:
        context = Database(tls="on").ssl_context
        assert context
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)

    def test_verify_asks_for_a_certificate_in_the_host_s_name(self) -> None:
        context = Database(tls="verify").ssl_context
        assert context
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)

    @pytest.mark.parametrize("tls", ["on", "verify"])
    def test_authorities_that_cannot_be_read(self, tls: Tls, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            _ = Database(tls=tls, ca_file=str(tmp_path / "missing.pem")).ssl_context

    def test_authorities_that_are_none(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        file.write_text("no certificate\n")
        with pytest.raises(OSError, match=r"NO_CERTIFICATE_OR_CRL_FOUND|no certificate"):
            _ = Database(tls="verify", ca_file=str(file)).ssl_context
