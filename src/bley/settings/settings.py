"""The settings: every key of `bley.conf`, with its default, unit and bounds.

docs/settings.md describes each key; a test compares the two. file.py reads the file, values.py parses the values.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from bley.core.dnslists.lists import DnsList, parse_dns_lists
from bley.core.greylist import MAX_ATTEMPTS, Lifetimes, Timing
from bley.core.policy import Thresholds
from bley.core.relations import RelationRules
from bley.core.scores import DEFAULT
from bley.core.triplet import GreylistBy, TripletRules
from bley.settings.database import DEFAULT_PORTS, Database, DbType, Tls, hide_password, parse_database
from bley.settings.templates import HeaderText, ReplyText
from bley.settings.values import (
    Boolean,
    Days,
    DnsLists,
    DomainLists,
    FileMode,
    FileName,
    FileNames,
    Group,
    Hosts,
    Listeners,
    Minutes,
    Networks,
    NodeName,
    Prefix,
    Proxies,
    ScoresByFact,
    Seconds,
    Servers,
    Threshold,
    Workers,
    host_name,
    parse_endpoint,
    shown_duration,
)

__all__ = ["Settings", "show", "show_values"]

_LONGEST_CHECK = timedelta(seconds=60)
_WEB_PORT = 1338


class Settings(BaseModel):
    """All settings, built from the texts of the file.

    Raises pydantic's ValidationError with every invalid value; file.py converts it to faults with line numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    listen_addr: Annotated[Listeners, Field(min_length=1)] = ("127.0.0.1",)
    listen_port: Annotated[int, Field(ge=0, le=65535)] = 1337
    listen_mode: FileMode = 0o660
    listen_group: Group = ""
    workers: Workers = 1
    node_name: NodeName = Field(default_factory=host_name)
    pid_file: FileName = ""
    log_file: FileName = "-"
    log_format: Literal["text", "json"] = "text"
    reject_msg: Annotated[ReplyText, Field(min_length=1)] = "greylisted, try again later"
    greylist_header: HeaderText = "X-Greylist: delayed %(delta)s seconds by bley-%(version)s at %(hostname)s; %(date)s"
    database: Annotated[str, Field(repr=False)] = ""
    dbtype: DbType = "sqlite3"
    dbhost: FileName = "localhost"
    dbport: Annotated[int, Field(ge=0, le=65535)] = 0
    dbname: Annotated[FileName, Field(min_length=1)] = "bley.db"
    dbpath: FileName = ""
    dbuser: str = "bley"
    dbpass: Annotated[str, Field(repr=False)] = ""
    dbpass_file: FileName = ""
    dbtls: Tls = "off"
    dbtls_ca: FileName = ""
    whitelist_recipients_file: FileNames = ("whitelist_recipients",)
    whitelist_clients_file: FileNames = ("whitelist_clients",)
    whitelist_senders_file: FileNames = ("whitelist_senders",)
    trusted_networks: Networks = (IPv4Network("127.0.0.0/8"), IPv6Network("::1"))
    dnsbls: DnsLists = parse_dns_lists("zen.spamhaus.org=127.0.0.[2..11], bl.spamcop.net=127.0.0.2")
    dnswls: DnsLists = parse_dns_lists("list.dnswl.org=127.0.[0..255].[1..3]")
    domain_lists: DomainLists = ()
    dnswl_threshold: Threshold = 1
    dnsbl_threshold: Threshold = 1
    rfc_threshold: Threshold = 2
    scores: ScoresByFact = DEFAULT
    classic: Boolean = False
    resolver: Servers = ()
    check_timeout: Seconds = timedelta(seconds=5)
    check_names: Boolean = True
    use_spf: Boolean = True
    use_spf_guess: Boolean = False
    greylist_period: Minutes = timedelta(minutes=5)
    greylist_max: Minutes = timedelta(minutes=720)
    greylist_penalty: Minutes = timedelta(minutes=1)
    greylist_by: GreylistBy = "smart"
    ipv4_prefix: Annotated[Prefix, Field(ge=1, le=32)] = 24
    ipv6_prefix: Annotated[Prefix, Field(ge=1, le=128)] = 64
    recipient_delimiter: str = "+"
    known_pairs: Boolean = True
    auto_known: Annotated[int, Field(ge=0, le=MAX_ATTEMPTS)] = 5
    known_by_spf: Boolean = True
    correspondent_days: Days = timedelta(days=90)
    purge_days: Days = timedelta(days=40)
    purge_bad_days: Annotated[Days, Field(validate_default=True)] = timedelta(days=10)
    log_days: Days = timedelta(days=30)
    privacy: Literal["off", "keyed-hash"] = "off"
    privacy_key_file: FileName = "bley.key"
    cache_valid: Seconds = timedelta(seconds=60)
    cache_size: Annotated[int, Field(ge=0)] = 100_000
    exim_workaround: Boolean = False
    mode: Literal["enforce", "observe", "off"] = "enforce"
    on_store_error: Literal["pass", "defer"] = "pass"
    web_hosts: Hosts = ()
    web_proxy: Proxies = ()
    web_password_file: FileName = ""
    web_actions: Boolean = False
    web_tls_cert: FileName = ""
    web_tls_key: FileName = ""
    web_listen: str = "127.0.0.1:1338"
    destdir: FileName = ""

    @field_validator("database")
    @classmethod
    def _is_database(cls, value: str) -> str:
        if value:
            parse_database(value)
        return value

    @field_validator("dbname")
    @classmethod
    def _is_number_for_redis(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("dbtype") == "redis" and not value.isdecimal():
            raise ValueError("is not the number of a Redis database: write 0")
        return value

    @field_validator("web_listen")
    @classmethod
    def _is_guarded(cls, value: str, info: ValidationInfo) -> str:
        try:
            address, _ = parse_endpoint(value or "::1", _WEB_PORT)
        except ValueError as error:
            raise ValueError("is not an address with a port: write 127.0.0.1:1338 or [::1]:1338") from error
        if not (
            ip_address(address).is_loopback or info.data.get("web_password_file") or info.data.get("web_proxy", True)
        ):
            raise ValueError(
                "is not a loopback address: it needs web_password_file (`bley web-password FILE` creates it), "
                "or web_proxy, the address of a reverse proxy that asks for a password"
            )
        return value

    @field_validator("web_actions")
    @classmethod
    def _has_password(cls, value: bool, info: ValidationInfo) -> bool:
        if value and not info.data.get("web_password_file"):
            raise ValueError(
                "needs a password, or any program on this machine could change records and list files: "
                "set web_password_file (`bley web-password FILE` creates it), or write 0"
            )
        return value

    @field_validator("web_tls_key")
    @classmethod
    def _is_of_certificate(cls, value: str, info: ValidationInfo) -> str:
        if value and not info.data.get("web_tls_cert"):
            raise ValueError("needs a certificate: set web_tls_cert")
        return value

    @field_validator("check_timeout")
    @classmethod
    def _is_awaited(cls, value: timedelta) -> timedelta:
        if not timedelta(0) < value <= _LONGEST_CHECK:
            raise ValueError("must be more than 0s and at most 60s, Postfix waits for 100s")
        return value

    @field_validator("purge_bad_days")
    @classmethod
    def _outlives_wait(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        if value <= info.data.get("greylist_max", timedelta(0)):
            raise ValueError("must be longer than greylist_max, else no greylisted mail could pass")
        return value

    @property
    def store(self) -> Database:
        """The location of the store: from `database`, else from the `db…` keys of bley 2."""
        database = parse_database(self.database) if self.database else self._store_of_keys
        return replace(
            database,
            password=database.password or self.dbpass,
            tls=self.dbtls if database.tls == "off" else database.tls,
            ca_file=database.ca_file or self.dbtls_ca,
        )

    @property
    def _store_of_keys(self) -> Database:
        if self.dbtype == "sqlite3":
            return Database(file=Path(self.dbpath, self.dbname).absolute())
        is_redis = self.dbtype == "redis"
        is_socket = self.dbhost.startswith("/")
        return Database(
            dbtype=self.dbtype,
            hosts=() if is_socket else ((self.dbhost, self.dbport or DEFAULT_PORTS[self.dbtype]),),
            socket=self.dbhost if is_socket else "",
            name=self.dbname if "dbname" in self.model_fields_set else "0" if is_redis else "bley",
            user=self.dbuser if "dbuser" in self.model_fields_set or not is_redis else "",
        )

    @property
    def folder(self) -> Path:
        """The folder of bley's own files, SQLite's database and the privacy key: that of `database`, else `dbpath`."""
        store = self.store
        return store.file.parent if store.dbtype == "sqlite3" else Path(self.dbpath).absolute()

    @property
    def web_place(self) -> tuple[str, int] | None:
        """The address and port of `web_listen`; None if it is off."""
        return parse_endpoint(self.web_listen, _WEB_PORT) if self.web_listen else None

    @property
    def web_scheme(self) -> str:
        """The URL scheme of `web_listen`."""
        return "https" if self.web_tls_cert else "http"

    @property
    def web_is_open(self) -> bool:
        """Whether other machines can connect to `web_listen`."""
        return self.web_place is not None and not ip_address(self.web_place[0]).is_loopback

    @property
    def logs_json(self) -> bool:
        """Whether log lines are JSON; the journal always gets text, with the fields next to it."""
        return self.log_format == "json" and self.log_file != "journald"

    @property
    def timing(self) -> Timing:
        """The durations of the greylist."""
        return Timing(self.greylist_period, self.greylist_max, self.greylist_penalty, self.lifetimes)

    @property
    def lifetimes(self) -> Lifetimes:
        """How long records and decisions stay in the store."""
        return Lifetimes(self.purge_bad_days, self.purge_days, self.log_days, self.correspondent_days)

    @property
    def relations(self) -> RelationRules:
        """Which relations of earlier mail veto suspicion."""
        return RelationRules(
            self.known_pairs, self.auto_known, self.correspondent_days, self.known_by_spf and self.use_spf
        )

    @property
    def thresholds(self) -> Thresholds:
        """The scores from which a client is suspicious or trusted."""
        return Thresholds(self.dnswl_threshold, self.dnsbl_threshold, self.rfc_threshold)

    @property
    def dns_lists(self) -> Mapping[str, tuple[DnsList, ...]]:
        """All DNS lists, by setting."""
        return {"dnsbls": self.dnsbls, "dnswls": self.dnswls, "domain_lists": self.domain_lists}

    @property
    def triplet_rules(self) -> TripletRules:
        """How triplets are normalized, without the privacy key, which is not a setting."""
        return TripletRules(self.greylist_by, self.ipv4_prefix, self.ipv6_prefix, self.recipient_delimiter)


def show(settings: Settings) -> str:
    """Return all settings as an equivalent `bley.conf`, with passwords masked."""
    lines = (f"{key} = {text}".rstrip() for key, text in show_values(dict(settings)).items())
    return "[bley]\n" + "".join(
        line.replace("\n", "\n    ") + "\n" for line in lines
    )  # continuation lines are indented


def show_values(values: Mapping[str, object]) -> dict[str, str]:
    """Return the texts of these settings, with passwords masked."""
    return {key: _text(key, value) for key, value in values.items()}


def _text(key: str, value: object) -> str:
    match value:
        case str() if key == "dbpass" and value:
            return "********"
        case str() if key == "database":
            return hide_password(value)
        case bool():
            return str(int(value))
        case int() if key == "listen_mode":
            return f"{value:04o}"
        case timedelta():
            return shown_duration(value)
        case tuple():
            return ", ".join(map(str, value))
    return str(value)
