"""One channel of c-ares, with its sockets on the event loop.

A stranger may write an answer of 64 KB. Hence answers of too many records are not parsed, and cached bytes are counted.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import idna
import pycares

from bley.core.endpoint import format_endpoint
from bley.core.errors import Fault, ResolverError, SettingsError
from bley.ports import MOST_RECORDS, Outcome, ResourceRecord, RrType
from bley.settings.values import parse_server

__all__ = ["CAresChannel", "RefusedNameError", "ascii_name"]

_TRIES = 6
"""Tries for each server, within our own time limit. c-ares retries after some five times the usual latency, such as a
quarter of a second, and drops a late answer; a resolver that needs a second has the answer ready for a later try."""

_TICK_SECONDS = 0.1
"""The precision of c-ares's retries; it is woken only while it waits for an answer."""

_ffi: Any = vars(pycares)["_ffi"]
_lib: Any = vars(pycares)["_lib"]
"""The functions of c-ares itself: to count the records of an answer before pycares creates an object for each, and to
query. pycares' own `query` takes 5 us more, for a lock and checks that a single thread does not need, and
`process_fd` 4 us for each wake-up."""

_query = _lib.ares_query_dnsrec
_process_fd = _lib.ares_process_fd
_on_answer = _lib._query_dnsrec_cb

_handles: dict[Any, pycares.Channel] = vars(pycares)["_handle_to_channel"]
"""The queries in flight: pycares calls the callback of those that are here, and removes them."""

_NO_SERVER = "127.0.0.1:1"
"""Added and removed, never queried: c-ares flushes its cache when its list of servers changes."""

_RECORD_BYTES = 300
"""Bytes that a record takes in the cache of c-ares in addition to its name and data."""

_LONGEST_NAME_BYTES = 1012
"""Bytes of a name of 253 octets, each escaped as \\DDD. A record that is not parsed has two such names at most."""

_EMPTY_BYTES = 2048
"""Bytes that an answer without records takes: its question and an SOA record; 3.3 KB if that has three of the longest
names."""

_LONGEST_NAME = 254
"""Characters of a name with its final dot (RFC 1035 2.3.4). The A-label form is never shorter."""

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

_MISREAD = re.compile(r"[\0\\]")  # c-ares ends a name at NUL, and reads a backslash as an escape

_NO_FD = pycares.ARES_SOCKET_BAD
_NULL = _ffi.NULL
_IN = pycares.QUERY_CLASS_IN
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
    """Return the number of records of an answer, each string of a TXT counted, if it is too large; else 0."""
    sections = (_lib.ARES_SECTION_ANSWER, _lib.ARES_SECTION_AUTHORITY, _lib.ARES_SECTION_ADDITIONAL)
    records = strings = sum(_lib.ares_dns_record_rr_cnt(dnsrec, section) for section in sections)
    if records <= MOST_RECORDS:
        for at in range(_lib.ares_dns_record_rr_cnt(dnsrec, _lib.ARES_SECTION_ANSWER)):
            record = _lib.ares_dns_record_rr_get_const(dnsrec, _lib.ARES_SECTION_ANSWER, at)
            if _lib.ares_dns_rr_get_type(record) == pycares.QUERY_TYPE_TXT:
                strings += _lib.ares_dns_rr_get_abin_cnt(record, _lib.ARES_RR_TXT_DATA)
    return strings if strings > 2 * MOST_RECORDS or records > MOST_RECORDS else 0


def _read_bounded(dnsrec: object) -> tuple[pycares.DNSResult | None, int | None]:
    """Return the answer as pycares parses it, and no error; for too many records, minus their number as the error."""
    too_many = _too_many(dnsrec)
    return (None, -too_many) if too_many else _read(dnsrec)


_read: Any = pycares.parse_dnsrec
pycares.parse_dnsrec = _read_bounded  # pycares has no other way to limit an answer


class RefusedNameError(ResolverError):
    """c-ares refuses to query names that are no host names. Other resolvers may accept them."""


class CAresChannel:
    """Queries to the given servers. Answers are cached for their TTL.

    NXDOMAIN is cached for the time of its SOA record (RFC 2308), at most an hour; without one it is not cached. Other
    empty answers are cached for an hour.

    A server of unknown latency has `first_try_seconds` until the first retry.
    Raises SettingsError if c-ares does not accept the servers.
    """

    def __init__(self, servers: Sequence[str], first_try_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._fds: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._outcomes: deque[tuple[Callable[[Outcome], object], Outcome]] = deque()
        self._is_delivering = False
        self.cached_bytes = 0
        """The most that the cache of c-ares may have grown to since its last flush."""
        try:
            self._servers = [_c_ares_server(server) for server in servers]
            self._cares = pycares.Channel(
                servers=self._servers,
                timeout=first_try_seconds,
                tries=_TRIES,
                sock_state_cb=self._watch_socket,
            )
            self._channel = vars(self._cares)["_channel"][0]
        except (pycares.AresError, ValueError) as error:  # for example, a missing interface
            what = f"{', '.join(servers)}: c-ares cannot query it: {error}"
            raise SettingsError([Fault("resolver", 0, what)]) from error

    def query(self, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
        """Query a name from `ascii_name`. `then` is called once with the outcome, possibly before this returns."""
        handle = _ffi.new_handle(partial(self._answered, name, rrtype, then))
        _handles[handle] = self._cares
        status = _query(self._channel, name.encode(), _IN, _TYPES[rrtype], _on_answer, handle, _NULL)
        if status and _handles.pop(handle, None):  # else the callback has had the error
            self._answered(name, rrtype, then, None, status)
        if self._outcomes:
            self._deliver()

    def _answered(
        self,
        name: str,
        rrtype: RrType,
        then: Callable[[Outcome], object],
        result: pycares.DNSResult | None,
        number: int | None,
    ) -> None:
        """Take an answer within c-ares, which is not ready for another query yet: the outcome is delivered later."""
        self.cached_bytes += _cached_bytes(result, number)
        self._outcomes.append((then, _outcome(result, number, name, rrtype)))

    def _process(self, readable: int, writable: int) -> None:
        """Let c-ares read its answers or write its queries, and look for time-outs."""
        _process_fd(self._channel, readable, writable)
        self._deliver()

    def _deliver(self) -> None:
        """Deliver the outcomes, and those of cached answers to further queries that this causes."""
        if self._is_delivering:
            return
        self._is_delivering = True
        try:
            while self._outcomes:
                then, outcome = self._outcomes.popleft()
                then(outcome)
        finally:
            self._is_delivering = False

    def flush_cache(self) -> None:
        """Flush the cache, which has no size limit. Raises ResolverError if a server cannot be used any more."""
        self.cached_bytes = 0
        try:
            self._cares.servers = [*self._servers, _NO_SERVER]
            self._cares.servers = self._servers
        except pycares.AresError as error:  # for example, its interface is gone
            raise ResolverError(", ".join(self._servers), "", f"c-ares cannot query it: {error}") from error

    def close(self) -> None:
        """Close the sockets. Queries in flight end with ResolverError."""
        self._cares.cancel()
        if self._timer:
            self._timer.cancel()
        for fd in self._fds:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        self._fds.clear()
        self._cares.close()  # later, in a thread, when none of its sockets is ours any more
        self._deliver()

    def _watch_socket(self, fd: int, readable: bool, writable: bool) -> None:
        """Watch a socket as c-ares asks. It calls this at each change, and at the end to stop watching."""
        if readable:
            self._loop.add_reader(fd, self._process, fd, _NO_FD)
        elif fd in self._fds:
            self._loop.remove_reader(fd)
        if writable:
            self._loop.add_writer(fd, self._process, _NO_FD, fd)
        elif fd in self._fds:
            self._loop.remove_writer(fd)
        if not (readable or writable):
            self._fds.discard(fd)
            return
        self._fds.add(fd)
        if self._timer is None:
            self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        """Let c-ares look for time-outs."""
        self._process(_NO_FD, _NO_FD)
        self._timer = self._loop.call_later(_TICK_SECONDS, self._tick) if self._fds else None


def _c_ares_server(server: str) -> str:
    """Convert a server of the setting `resolver` to the form of c-ares. Raises ValueError if it is none."""
    address, port = parse_server(server)
    address, _, interface = address.partition("%")
    place = format_endpoint(address, port)
    return f"{place}%{interface}" if interface else place


def ascii_name(name: str) -> str:
    """Return the name as it is queried, internationalized labels as A-labels (RFC 5891). Raises UnicodeError."""
    if _MISREAD.search(name) or len(name) > _LONGEST_NAME:
        raise UnicodeError(f"{name[:_LONGEST_NAME]!r} cannot be queried")
    return name if name.isascii() else idna.encode(name, uts46=True).decode()


def _outcome(result: pycares.DNSResult | None, number: int | None, name: str, rrtype: RrType) -> Outcome:
    if result is not None:
        return [_record(record) for record in result.answer]
    assert number is not None, "c-ares returns a result or an error"
    if number in _EMPTY:
        return []
    if number < 0:
        return ResolverError(name, rrtype, f"more than {MOST_RECORDS} records")
    if number == pycares.errno.ARES_EBADNAME:
        return RefusedNameError(name, rrtype, "not a host name")
    why = _NO_ANSWER.get(number) or _RESPONSE_CODES.get(number) or str(pycares.errno.strerror(number))
    return ResolverError(name, rrtype, why, is_silence=number in _NO_ANSWER)


def _cached_bytes(result: pycares.DNSResult | None, number: int | None) -> int:
    """Return how many bytes an answer may take in the cache; 0 for a failure."""
    if result is not None:
        records = [*result.answer, *result.authority, *result.additional]
        return sum(_RECORD_BYTES + len(record.name) + len(str(record.data)) for record in records)
    assert number is not None, "c-ares returns a result or an error"
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
