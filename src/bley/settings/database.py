"""Where the store is: read from one URL, or from the `db…` keys of bley 2 (config.py).

    sqlite:///bley.db                                 relative to where bley was started; sqlite:////var/… absolute
    postgresql://bley:secret@db.example.org/bley      the password better in a file or the environment
    mysql://bley@db.example.org:3307/bley             MySQL or MariaDB
    postgresql://bley@/bley?socket=/run/postgresql    a unix socket; of MySQL and Redis its file
    redis://db.example.org/0                          Redis or Valkey, rediss:// with TLS
    redis+sentinel://s1,s2:26380/mymaster/0           the server of this name that the Sentinels watch
    redis+cluster://n1:7000,n2:7000                   a Cluster

`?tls=on` encrypts, `?tls=verify` also asks for a certificate of the host's, by the authorities of `&ca=FILE` or of
the system.
"""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote

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
    """A database server, or SQLite's file, and how to get in. As a string it has no password."""

    dbtype: DbType = "sqlite3"
    file: Path = Path("bley.db")
    """SQLite's."""
    hosts: tuple[tuple[str, int], ...] = ()
    """Name or address, and port; several of Sentinel and Cluster."""
    socket: str = ""
    """In place of hosts: PostgreSQL's folder, MySQL's and Redis' file."""
    name: str = ""
    """The database; Redis' number."""
    user: str = ""
    password: str = field(default="", repr=False)
    tls: Tls = "off"
    ca_file: str = ""
    redis_kind: RedisKind = "single"
    master: str = ""
    """What the Sentinels call the server."""

    def __str__(self) -> str:
        if self.dbtype == "sqlite3":
            return str(self.file)
        place = self.socket or ", ".join(f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in self.hosts)
        return " ".join(filter(None, (self.dbtype, self.master, self.name, "at", place)))

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """How connections are encrypted; None: not at all. Raises OSError when the authorities cannot be read."""
        if self.tls == "off":
            return None
        if self.ca_file:
            read_text(Path(self.ca_file), errors="replace")  # OpenSSL would wait for the writer of a FIFO
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.tls == "on":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse_database(url: str) -> Database:
    """Read a URL as above. Raises ValueError that says what would be right, and never shows the password."""
    scheme, is_url, rest = url.partition("://")
    scheme = scheme.lower()
    if not is_url or scheme not in _SCHEMES:
        raise ValueError("has no known beginning: write sqlite:///, postgresql://, mysql://, redis:// or rediss://")
    dbtype, redis_kind = _SCHEMES[scheme]
    if dbtype == "sqlite3":
        if not rest.startswith("/") or not rest.strip("/") or "\n" in rest:
            raise ValueError("names no file: write sqlite:///bley.db, or sqlite:////var/lib/bley/bley.db")
        return Database(file=Path(check_name(unquote(rest.removeprefix("/")))).absolute())
    if re.search(r"\s", url):
        raise ValueError("has white space in it: write a space as %20")
    # Cut at the last @, so that a password may have any sign; urlsplit would cut it at / ? and #.
    access, _, rest = rest.rpartition("@")
    user, _, password = access.partition(":")
    if "/" in user or "?" in user:
        raise ValueError("has an @ behind the host, or a sign in the user's name: write them as %40, %2F, %3F")
    place, _, query = rest.partition("?")
    places, _, path = place.partition("/")
    options = _options(query)
    if "socket" in options and (not options["socket"] or redis_kind != "single"):
        raise ValueError("has a socket, but none is named, or the servers are several")
    if "," in places and redis_kind == "single":
        raise ValueError("names more than one host: that is for redis+sentinel:// and redis+cluster://")
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
    """The URL, with stars where the password stands; of what is none nothing but stars."""
    if url and "://" not in url:
        return "********"
    return re.sub(r"(?s)(?<=://)([^:]*):.*@", r"\1:********@", url)


def is_utf8(argument: str) -> bool:
    """Whether an argument or a variable of the environment is; its other bytes are surrogates (PEP 383)."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def read_password(file: Path) -> str:
    """The first line of the file. Raises ValueError when it cannot be read."""
    try:
        return read_text(file).partition("\n")[0]
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8") from error


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := options.keys() - {"socket", "tls", "ca"}:
        raise ValueError(f"has an unknown option {', '.join(sorted(unknown))}: there are socket, tls and ca")
    return options


def _tls(text: str) -> Tls:
    match text:
        case "off" | "on" | "verify":
            return text
    raise ValueError("has a wrong tls: write ?tls=off, on or verify")


def _host(text: str, default_port: int) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", str(default_port))
    if host.startswith("[") != host.endswith("]"):
        raise ValueError(f"has half a bracket in {text!r}: write [2001:db8::1]:{default_port}")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"has no port in {text!r}: write host:{default_port}")
    return host or "localhost", int(port)


def _name(path: str, dbtype: DbType, redis_kind: RedisKind) -> tuple[str, str]:
    """Sentinel's name of the server, and the database."""
    names = [unquote(name) for name in path.split("/") if name]
    if "\0" in unquote(path):
        raise ValueError("has a NUL character in a name")
    master = ""
    if redis_kind == "sentinel":
        if not names:
            raise ValueError("does not say what the Sentinels call the server: write redis+sentinel://host/mymaster")
        master = names.pop(0)
    if len(names) > 1:
        raise ValueError("has more than one name behind the host")
    name = names[0] if names else ("0" if dbtype == "redis" else "bley")
    if dbtype == "redis" and not name.isdecimal():
        raise ValueError("has no number of a Redis database: write redis://host/0")
    if redis_kind == "cluster" and name != "0":
        raise ValueError("has a number behind the host, but a Cluster has one database only")
    return master, name
