"""The location of the store, as one URL; settings.py builds the same from the `db…` keys of bley 2.

    sqlite:///bley.db                                 relative to the working directory; sqlite:////var/… is absolute
    postgresql://bley:secret@db.example.org/bley      the password is safer in a file or the environment
    mysql://bley@db.example.org:3307/bley             MySQL or MariaDB
    postgresql://bley@/bley?socket=/run/postgresql    a unix socket: PostgreSQL's folder, MySQL's or Redis' file
    redis://db.example.org/0                          Redis or Valkey; rediss:// with TLS
    redis+sentinel://s1,s2:26380/mymaster/0           the master of this name that the Sentinels watch
    redis+cluster://n1:7000,n2:7000                   a Cluster

`?tls=on` encrypts. `?tls=verify` also verifies the host's certificate, with the authorities of `&ca=FILE` or of the
system.
"""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote

from bley.core.endpoint import format_endpoint, split_endpoint
from bley.operator_files import check_name, read_text

__all__ = [
    "DEFAULT_PORTS",
    "Database",
    "DbType",
    "RedisKind",
    "Tls",
    "hide_password",
    "is_utf8",
    "parse_database",
    "read_password",
]

DbType = Literal["sqlite3", "pgsql", "mysql", "redis"]
Tls = Literal["off", "on", "verify"]
RedisKind = Literal["single", "sentinel", "cluster"]

DEFAULT_PORTS: dict[DbType, int] = {"sqlite3": 0, "pgsql": 5432, "mysql": 3306, "redis": 6379}
_SENTINEL_PORT = 26379

_SCHEMES: dict[str, tuple[DbType, RedisKind]] = {
    "sqlite": ("sqlite3", "single"),
    **dict.fromkeys(("postgresql", "postgres", "pgsql"), ("pgsql", "single")),
    **dict.fromkeys(("mysql", "mariadb"), ("mysql", "single")),
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys"), ("redis", "single")),
    **dict.fromkeys(("redis+sentinel", "rediss+sentinel"), ("redis", "sentinel")),
    **dict.fromkeys(("redis+cluster", "rediss+cluster"), ("redis", "cluster")),
}
_TLS_SCHEMES = ("rediss", "valkeys", "rediss+sentinel", "rediss+cluster")


@dataclass(frozen=True, slots=True)
class Database:
    """A database server or SQLite file, with the credentials. Its string omits the password."""

    dbtype: DbType = "sqlite3"
    file: Path = Path("bley.db")
    """The database file of SQLite."""
    hosts: tuple[tuple[str, int], ...] = ()
    """Name or address, and port; several for Sentinel and Cluster."""
    socket: str = ""
    """A unix socket instead of hosts: PostgreSQL's folder, MySQL's or Redis' file."""
    name: str = ""
    """The name of the database; its number in Redis."""
    user: str = ""
    password: str = field(default="", repr=False)
    tls: Tls = "off"
    ca_file: str = ""
    redis_kind: RedisKind = "single"
    master: str = ""
    """The name under which the Sentinels watch the server."""

    def __str__(self) -> str:
        if self.dbtype == "sqlite3":
            return str(self.file)
        place = self.socket or ", ".join(format_endpoint(host, port) for host, port in self.hosts)
        return " ".join(filter(None, (self.dbtype, self.master, self.name, "at", place)))

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context of connections; None without TLS. Raises OSError if `ca_file` cannot be read."""
        if self.tls == "off":
            return None
        if self.ca_file:
            read_text(Path(self.ca_file), errors="replace")  # fails at once on a FIFO, where OpenSSL would block
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.tls == "on":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse_database(url: str) -> Database:
    """Parse a database URL. Raises ValueError with the correct form, and without the password."""
    scheme, is_url, rest = url.partition("://")
    scheme = scheme.lower()
    if not is_url or scheme not in _SCHEMES:
        raise ValueError("has an unknown scheme: write sqlite:///, postgresql://, mysql://, redis:// or rediss://")
    dbtype, redis_kind = _SCHEMES[scheme]
    if dbtype == "sqlite3":
        if not rest.startswith("/") or not rest.strip("/") or "\n" in rest:
            raise ValueError("does not name a file: write sqlite:///bley.db, or sqlite:////var/lib/bley/bley.db")
        return Database(file=Path(check_name(unquote(rest.removeprefix("/")))).absolute())
    if re.search(r"\s", url):
        raise ValueError("contains white space: write a space as %20")
    # The last @ ends the password, which may contain any character; urlsplit would end it at / ? or #.
    access, _, rest = rest.rpartition("@")
    user, _, password = access.partition(":")
    if "/" in user or "?" in user:
        raise ValueError("contains @ after the host, or / or ? in the user name: write them as %40, %2F, %3F")
    place, _, query = rest.partition("?")
    places, _, path = place.partition("/")
    options = _options(query)
    if "socket" in options and (not options["socket"] or redis_kind != "single"):
        raise ValueError("has an empty socket, or a socket with Sentinel or Cluster")
    if "," in places and redis_kind == "single":
        raise ValueError("names several hosts, which only redis+sentinel:// and redis+cluster:// may")
    master, name = _name(path, dbtype, redis_kind)
    port = _SENTINEL_PORT if redis_kind == "sentinel" else DEFAULT_PORTS[dbtype]
    return Database(
        dbtype=dbtype,
        hosts=() if "socket" in options else tuple(_host(place, port) for place in places.split(",")),
        socket=check_name(options.get("socket", "")),
        name=name,
        user=unquote(user),
        password=unquote(password),
        tls=_tls(options.get("tls", "verify" if scheme in _TLS_SCHEMES else "off")),
        ca_file=check_name(options.get("ca", "")),
        redis_kind=redis_kind,
        master=master,
    )


def hide_password(url: str) -> str:
    """Return the URL with its password masked; a text that is not a URL is masked as a whole."""
    if url and "://" not in url:
        return "********"
    return re.sub(r"(?s)(?<=://)([^:]*):.*@", r"\1:********@", url)


def is_utf8(argument: str) -> bool:
    """Return whether a command line argument or environment variable is UTF-8; other bytes are surrogates (PEP 383)."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def read_password(file: Path) -> str:
    """Return the first line of the file. Raises ValueError if the file cannot be read."""
    try:
        return read_text(file).partition("\n")[0]
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8") from error


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := options.keys() - {"socket", "tls", "ca"}:
        raise ValueError(f"has an unknown option {', '.join(sorted(unknown))}: the options are socket, tls and ca")
    return options


def _tls(text: str) -> Tls:
    match text:
        case "off" | "on" | "verify":
            return text
    raise ValueError("has an invalid tls: write ?tls=off, on or verify")


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        host, port = split_endpoint(text, default_port)
    except ValueError:
        host, port = "", 0
    if port == 0:
        what = f"has an invalid host or port in {text!r}"
        raise ValueError(f"{what}: write host:{default_port} or [2001:db8::1]:{default_port}")
    return host or "localhost", port


def _name(path: str, dbtype: DbType, redis_kind: RedisKind) -> tuple[str, str]:
    """Split the path into the master's name (Sentinel only) and the database."""
    names = [unquote(name) for name in path.split("/") if name]
    if "\0" in unquote(path):
        raise ValueError("has a NUL character in a name")
    master = ""
    if redis_kind == "sentinel":
        if not names:
            raise ValueError("does not name the master that the Sentinels watch: write redis+sentinel://host/mymaster")
        master = names.pop(0)
    if len(names) > 1:
        raise ValueError("has more than one name after the host")
    name = names[0] if names else ("0" if dbtype == "redis" else "bley")
    if dbtype == "redis" and not name.isdecimal():
        raise ValueError("has an invalid number of a Redis database: write redis://host/0")
    if redis_kind == "cluster" and name != "0":
        raise ValueError("has a database number, but a Cluster has only database 0")
    return master, name
