"""One channel of c-ares, with its sockets on the event loop, and what it answers in our words.

A stranger may write an answer of 64 KB. So pycares reads none of too many records, and what c-ares caches is counted.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

import idna
import pycares

from bley.core.errors import Fault, ResolverError, SettingsError
from bley.ports import MOST_RECORDS, ResourceRecord, RrType
from bley.settings.values import split_server

__all__ = ["CAresChannel", "Outcome", "RefusedNameError", "ascii_name"]

Outcome = Sequence[ResourceRecord] | ResolverError

_TRIES = 6
"""For each server, before our own time-out ends it: c-ares asks again after some five times the usual delay, a quarter
of a second say, and drops the late answer; a resolver that had to search for a second has it ready at a later try."""

_TICK_SECONDS = 0.1
"""How exactly c-ares asks again; it is woken only while it waits for an answer."""

_lib: Any = vars(pycares)["_lib"]
"""c-ares's own functions, to count the records of an answer before pycares makes an object of each."""

_NO_SERVER = "127.0.0.1:1"
"""Never asked: c-ares empties its cache when its list of servers changes."""

_RECORD_BYTES = 300
"""What c-ares's cache takes for a record in addition to its name and data."""

_LONGEST_NAME_BYTES = 1012
"""A name of 253 octets, each escaped as \\DDD. A record that is not read has two of them at most."""

_EMPTY_BYTES = 2048
"""What the cache takes for an answer without records: its question, and an SOA record; 3.3 KB if that has three of the
longest names."""

_LONGEST_NAME = 254
"""Characters of a name with its last dot (RFC 1035 2.3.4); in its A-label form none is shorter."""

_EMPTY = frozenset({pycares.errno.ARES_ENODATA, pycares.errno.ARES_ENOTFOUND})
_RESPONSE_CODES = {
    pycares.errno.ARES_EFORMERR: "FORMERR",
    pycares.errno.ARES_ESERVFAIL: "SERVFAIL",
    pycares.errno.ARES_ENOTIMP: "NOTIMP",
    pycares.errno.ARES_EREFUSED: "REFUSED",
}
"""The failures that a server can answer (RFC 1035 4.1.1)."""

_NO_ANSWER = {
    pycares.errno.ARES_ETIMEOUT: "no answer in time",
    pycares.errno.ARES_ECONNREFUSED: "connection refused",
}

_MISREAD = re.compile(r"[\0\\]")  # c-ares ends a name at NUL and takes a backslash for an escape

_NO_FD = pycares.ARES_SOCKET_BAD
_TYPES: dict[RrType, int] = {
    "A": pycares.QUERY_TYPE_A,
    "AAAA": pycares.QUERY_TYPE_AAAA,
    "MX": pycares.QUERY_TYPE_MX,
    "NS": pycares.QUERY_TYPE_NS,
    "PTR": pycares.QUERY_TYPE_PTR,
    "TXT": pycares.QUERY_TYPE_TXT,
}
_TYPE_NAMES = {number: name for name, number in _TYPES.items()} | {pycares.QUERY_TYPE_CNAME: "CNAME"}


def _too_many(dnsrec: object) -> int:
    """How many records an answer has, strings of texts counted singly, if these are too many; else 0."""
    sections = (_lib.ARES_SECTION_ANSWER, _lib.ARES_SECTION_AUTHORITY, _lib.ARES_SECTION_ADDITIONAL)
    records = strings = sum(_lib.ares_dns_record_rr_cnt(dnsrec, section) for section in sections)
    if records <= MOST_RECORDS:
        for at in range(_lib.ares_dns_record_rr_cnt(dnsrec, _lib.ARES_SECTION_ANSWER)):
            record = _lib.ares_dns_record_rr_get_const(dnsrec, _lib.ARES_SECTION_ANSWER, at)
            if _lib.ares_dns_rr_get_type(record) == pycares.QUERY_TYPE_TXT:
                strings += _lib.ares_dns_rr_get_abin_cnt(record, _lib.ARES_RR_TXT_DATA)
    return strings if strings > 2 * MOST_RECORDS or records > MOST_RECORDS else 0


def _read_bounded(dnsrec: object) -> tuple[pycares.DNSResult | None, int | None]:
    """Return what pycares reads of an answer, and no error; of one of too many records how many, below zero."""
    too_many = _too_many(dnsrec)
    return (None, -too_many) if too_many else _read(dnsrec)


_read: Any = pycares.parse_dnsrec
pycares.parse_dnsrec = _read_bounded  # pycares has no other way to bound an answer


class RefusedNameError(ResolverError):
    """c-ares refuses to ask for what is no host name; somebody else may."""


class CAresChannel:
    """Asks the given servers, and keeps answers for their TTL (NODATA for an hour).

    A server that it does not know yet has `first_try_seconds` until it is asked again.
    Raises SettingsError when c-ares does not take the servers.
    """

    def __init__(self, servers: Sequence[str], first_try_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._fds: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.cached_bytes = 0
        """How much c-ares's cache has taken, at most, since it was empty."""
        try:
            self._servers = [_c_ares_server(server) for server in servers]
            self._cares = pycares.Channel(
                servers=self._servers,
                timeout=first_try_seconds,
                tries=_TRIES,
                sock_state_cb=self._watch_socket,
            )
        except (pycares.AresError, ValueError) as error:  # an interface that has gone, say
            what = f"{', '.join(servers)}: c-ares cannot ask there: {error}"
            raise SettingsError([Fault("resolver", 0, what)]) from error

    def query(self, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
        """`then` is called with what came of it, once: maybe before this returns. The name is one of `ascii_name`'s."""
        is_answered = False

        def answered(result: pycares.DNSResult | None, number: int | None) -> None:
            nonlocal is_answered
            if not is_answered:
                is_answered = True
                self.cached_bytes += _cached_bytes(result, number)
                then(_outcome(result, number, name, rrtype))

        try:
            self._cares.query(name, _TYPES[rrtype], callback=answered)
        except pycares.AresError as error:  # it may have told that by the callback already
            answered(None, error.args[0])

    def flush_cache(self) -> None:
        """Empty c-ares's cache, which has no other bound than time. Raises ResolverError when a server has gone."""
        self.cached_bytes = 0
        try:
            self._cares.servers = [*self._servers, _NO_SERVER]
            self._cares.servers = self._servers
        except pycares.AresError as error:  # its interface, say
            raise ResolverError(", ".join(self._servers), "", f"c-ares cannot ask there: {error}") from error

    def close(self) -> None:
        """Let go of the sockets; questions on their way end in ResolverError."""
        self._cares.cancel()
        if self._timer:
            self._timer.cancel()
        for fd in self._fds:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        self._fds.clear()
        self._cares.close()  # later, in a thread: what it says of its sockets then is of none that we know

    def _watch_socket(self, fd: int, readable: bool, writable: bool) -> None:
        """c-ares says what it waits for at a socket each time that this changes, at the end for nothing."""
        if readable:
            self._loop.add_reader(fd, self._cares.process_fd, fd, _NO_FD)
        elif fd in self._fds:
            self._loop.remove_reader(fd)
        if writable:
            self._loop.add_writer(fd, self._cares.process_fd, _NO_FD, fd)
        elif fd in self._fds:
            self._loop.remove_writer(fd)
        if not (readable or writable):
            self._fds.discard(fd)
            return
        self._fds.add(fd)
        if self._timer is None:
            self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        """Have it look at the time."""
        self._cares.process_fd(_NO_FD, _NO_FD)
        self._timer = self._loop.call_later(_TICK_SECONDS, self._tick) if self._fds else None


def _c_ares_server(server: str) -> str:
    """A server of the setting `resolver` as c-ares writes it. Raises ValueError when it is none."""
    address, port = split_server(server)
    address, _, interface = address.partition("%")
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return f"{place}%{interface}" if interface else place


def ascii_name(name: str) -> str:
    """The name as it is asked, internationalised names in their A-label form (RFC 5891); UnicodeError if it is none."""
    if _MISREAD.search(name) or len(name) > _LONGEST_NAME:
        raise UnicodeError(f"{name[:_LONGEST_NAME]!r} cannot be asked")
    return name if name.isascii() else idna.encode(name, uts46=True).decode()


def _outcome(result: pycares.DNSResult | None, number: int | None, name: str, rrtype: RrType) -> Outcome:
    if result is not None:
        return [_record(record) for record in result.answer]
    assert number is not None, "c-ares gives either"
    if number in _EMPTY:
        return []
    if number < 0:
        return ResolverError(name, rrtype, f"more than {MOST_RECORDS} records")
    if number == pycares.errno.ARES_EBADNAME:
        return RefusedNameError(name, rrtype, "no host name")
    why = _NO_ANSWER.get(number) or _RESPONSE_CODES.get(number) or str(pycares.errno.strerror(number))
    return ResolverError(name, rrtype, why, is_silence=number in _NO_ANSWER)


def _cached_bytes(result: pycares.DNSResult | None, number: int | None) -> int:
    """What c-ares's cache may take for an answer; nothing for a failure."""
    if result is not None:
        records = [*result.answer, *result.authority, *result.additional]
        return sum(_RECORD_BYTES + len(record.name) + len(str(record.data)) for record in records)
    assert number is not None, "c-ares gives either"
    if number < 0:
        return -number * (_RECORD_BYTES + 2 * _LONGEST_NAME_BYTES)
    return _EMPTY_BYTES if number in _EMPTY else 0


def _record(record: pycares.DNSRecord) -> ResourceRecord:
    rrtype = _TYPE_NAMES.get(record.type, str(record.type))
    data: Any = record.data
    match rrtype:
        case "A" | "AAAA":
            value = data.addr
        case "TXT":
            value = data.data
        case "MX":
            value = (data.priority, data.exchange)
        case "CNAME":
            value = data.cname
        case "PTR":
            value = data.dname
        case _:
            value = ""
    return ResourceRecord(record.name, rrtype, value, record.ttl)
