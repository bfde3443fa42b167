"""One connection: requests from Postfix or Exim to the service, and its answers back in the same order.

Exim sends a request, closes its half of the connection, and waits until bley closes the other: bley answers, then
closes. All that a peer can do is bounded:

    bytes that wait for an answer        MAX_WAITING_BYTES; reading stops until they are answered
    requests answered in one burst       MAX_BURST; then the other connections take their turn
    a pause within a request             REQUEST_SECONDS between two reads, then closed
    a request that arrives slowly        REQUEST_MOST times as long, then closed
    a pause between requests             IDLE_SECONDS, then closed
    a peer that does not read answers    IDLE_SECONDS, then closed
    a new peer that is silent at a stop  _FIRST_SECONDS, then closed
    a request's size and attributes      core/wire.py
    connections                          listeners.py
"""

import asyncio
import logging
import select
import time
from collections.abc import Coroutine
from typing import Literal, Protocol, cast

from bley.core.endpoint import format_endpoint
from bley.core.errors import ProtocolError, ProtocolViolation
from bley.core.mail import Action, RawRequest
from bley.core.wire import MAX_REQUEST_BYTES, RequestParser, encode_action
from bley.metrics import CLOSED, PROTOCOL_ERRORS, observe_answer_from_memory
from bley.service.actions import DUNNO

__all__ = ["Connection", "Host", "Service"]

MAX_WAITING_BYTES = 2 * MAX_REQUEST_BYTES
"""Postfix sends one request and waits; more is pipelining."""

MAX_BURST = 100
"""Known triplets, these take less than 3 ms."""

REQUEST_SECONDS = 4.0
"""Postfix writes a request at once."""

REQUEST_MOST = 5
"""A request must be complete within 20 s, in any number of reads: 32,768 bytes are 23 segments of Ethernet."""

IDLE_SECONDS = 600.0
"""Twice Postfix's smtpd_policy_service_max_idle, so that Postfix closes first."""

_FIRST_SECONDS = 1.0
"""The time for the first request of a new connection while bley stops. Exim, unlike Postfix, does not retry."""

_ENCODED_DUNNO = encode_action(DUNNO)

_log = logging.getLogger(__name__)


class Service(Protocol):
    """The decision about a request."""

    def answer(self, raw: RawRequest) -> Action | Coroutine[None, None, Action]:
        """Return the action, or a coroutine that returns it; never raises."""


class Host(Protocol):
    """The owner of the connections."""

    service: Service
    closes_after_answer: bool

    def add(self, connection: "Connection") -> None:
        """Register a connection that a peer has opened."""

    def remove(self, connection: "Connection") -> None:
        """Forget a connection that is closed."""


_State = Literal["idle", "partial", "working", "blocked", "closing"]
"""The event that a connection waits for: a request (idle), the rest of one (partial), an answer from the store or the
DNS or the next turn after a burst (working), a peer that does not read (blocked), the transport to close (closing).

Not an Enum, whose members take 40 ns to look up in Python 3.11."""

_Input = Literal["open", "ending", "finished", "refused"]
"""Whether more requests are read: yes; those that the peer has sent or is sending, since bley stops; no, the peer has
closed its half; no, bley closes after the answers so far."""


class Connection(asyncio.Protocol):
    """The protocol of one peer."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._parser = RequestParser()
        self._state: _State = "idle"
        self._input: _Input = "open"
        self._work: asyncio.Task[None] | asyncio.Handle | None = None
        """The task that awaits an answer, or the next turn after a burst."""
        self._can_write = True
        self._is_active = False
        """Whether the peer has sent or read anything since the last sweep."""
        self._is_new = True
        """Whether the peer has sent nothing yet."""
        self._last_activity = 0.0
        self._partial_since = 0.0
        self._peer = "?"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._last_activity = time.monotonic()
        peer = transport.get_extra_info("peername")
        self._peer = format_endpoint(*peer[:2]) if isinstance(peer, tuple) and peer else "unix socket"
        self._host.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the work for a peer that is gone."""
        self._state = "closing"
        if self._work:
            self._work.cancel()
        self._host.remove(self)

    def data_received(self, data: bytes) -> None:
        """Answer what the peer sent. The first answers after each sweep are timed: timing all would cost too much."""
        if self._is_active:
            self._receive(data)
        else:
            self._receive_timed(data)

    def _receive_timed(self, data: bytes) -> None:
        self._is_active, self._is_new = True, False
        started = self._last_activity = time.monotonic()
        self._receive(data)
        if self._state == "idle":
            observe_answer_from_memory(time.monotonic() - started)

    def _receive(self, data: bytes) -> None:
        """Answer a whole request at once, which most reads are; anything else goes through the parser's buffer."""
        raw = self._parser.parse_one(data) if self._state == "idle" else None
        if raw is None:
            self._parser.feed(data)
            self._serve()
            return
        try:
            if answer := self._answer(raw):
                self._transport.write(answer)
        except Exception:  # noqa: BLE001 (as in _serve)
            self._fail()
        if self._input != "open":
            self._serve()

    def eof_received(self) -> bool:
        """Answer what has arrived, then close; True keeps our half open until then."""
        self._input = "finished"
        self._serve()
        return True

    def pause_writing(self) -> None:
        """Stop answering: the peer does not read, and the buffer is full."""
        self._can_write = False
        self._update_state()

    def resume_writing(self) -> None:
        """Answer again: the peer has read."""
        self._can_write = self._is_active = True
        self._serve()

    def end(self) -> None:
        """Answer the requests that the peer has sent or is sending, then close.

        The caller also sweeps: a peer that sends nothing, or does not end a request, has a time limit.
        """
        if self._input == "open":
            self._input = "ending"
        self._serve()

    def abort(self) -> None:
        """Close at once."""
        self._state = "closing"
        self._transport.abort()

    @property
    def idle_since(self) -> float | None:
        """The monotonic time of the last activity; None while bley itself has something to do for the peer.

        It is as exact as the interval of the sweeps: to note the time of each request would cost more.
        """
        return None if self._state in ("working", "closing") else self._last_activity

    def sweep(self) -> None:
        """Close a connection whose peer has exceeded a time limit."""
        now = time.monotonic()
        if self._is_active:
            self._is_active, self._last_activity = False, now
        if self._state == "working":
            return
        if self._state == "partial" and now - self._partial_since > REQUEST_MOST * REQUEST_SECONDS:
            self._close_unfinished(f"has not ended a request within {REQUEST_MOST * REQUEST_SECONDS:g} s")
            return
        if self._input == "ending" and self._state == "idle":
            if now - self._last_activity > _FIRST_SECONDS:
                self._close()
            return
        is_urgent = self._state == "closing" or self._parser.pending
        if now - self._last_activity <= (REQUEST_SECONDS if is_urgent else IDLE_SECONDS):
            return
        if self._transport.get_write_buffer_size():
            _log.warning("%s does not read its answers: closed", self._peer)
            CLOSED.labels("unread").inc()
            self.abort()  # close() would wait until the peer reads them
        elif self._state == "partial":
            self._close_unfinished(f"was silent for {REQUEST_SECONDS:g} s in the middle of a request")
        elif self._state == "idle":
            CLOSED.labels("idle").inc()
            self._close()

    def _close_unfinished(self, why: str) -> None:
        _log.warning("%s %s: closed", self._peer, why)
        CLOSED.labels("unfinished").inc()
        self._close()

    def _serve(self) -> None:
        """Answer the requests that have arrived, unless a task or the next turn will, or the peer does not read."""
        if self._transport.is_closing():  # also after a write failed
            self._state = "closing"
            return
        try:
            if self._can_write and not self._work and self._parser.pending:
                self._answer_burst()
            if self._can_write and not self._work and self._input != "open":
                self._finish()
            self._update_state()
        except Exception:  # noqa: BLE001 (no answer: a clean close; logged in _fail)
            self._fail()

    def _answer_burst(self) -> None:
        """Answer in order until a request needs the store or the DNS: its task continues with the rest."""
        answers = b""
        for _ in range(MAX_BURST):
            if self._work or (raw := self._next_request()) is None:
                break
            self._state = "working"
            answers += self._answer(raw)
        else:
            self._work = self._loop.call_soon(self._resume)
        if answers:
            self._transport.write(answers)

    def _resume(self) -> None:
        self._work = None
        self._serve()

    def _answer(self, raw: RawRequest) -> bytes:
        """Return the encoded answer; empty if it needs the store or the DNS, whose task writes it."""
        answer = self._host.service.answer(raw)
        if answer is DUNNO and not self._host.closes_after_answer:
            return _ENCODED_DUNNO  # known mail, with one call less
        if isinstance(answer, Action):
            return self._encoded(answer)
        self._state = "working"
        self._work = self._loop.create_task(self._answer_later(answer))
        return b""

    def _encoded(self, action: Action) -> bytes:
        if self._host.closes_after_answer:
            self._refuse_input()
        return _ENCODED_DUNNO if action is DUNNO else encode_action(action)

    async def _answer_later(self, answer: Coroutine[None, None, Action]) -> None:
        try:
            action = await answer
        except Exception:  # noqa: BLE001 (as in _serve)
            self._fail()
            return
        finally:
            self._work = None
        self._is_active = True
        self._transport.write(self._encoded(action))
        self._serve()

    def _next_request(self) -> RawRequest | None:
        try:
            return self._parser.next_request()
        except ProtocolError as error:
            _log.warning("%s sent %s: closed", self._peer, error)
            PROTOCOL_ERRORS.labels(error.violation.value).inc()
            self._refuse_input()
            return None

    def _refuse_input(self) -> None:
        """Drop the bytes that have arrived, and close after the answers so far."""
        self._parser = RequestParser()
        self._input = "refused"

    def _fail(self) -> None:
        _log.exception("%s: internal error: closed; please report it", self._peer)
        CLOSED.labels("internal-error").inc()
        self.abort()

    def _finish(self) -> None:
        """Close after the last answer."""
        if self._input == "ending" and (self._is_new or self._parser.pending or self._has_unread()):
            return
        if self._input == "finished" and self._parser.pending:
            _log.warning("%s closed in the middle of a request", self._peer)
            PROTOCOL_ERRORS.labels(ProtocolViolation.CUT_OFF.value).inc()
        self._is_active = True
        self._close()

    def _has_unread(self) -> bool:
        """Return whether the kernel has more from the peer: closing would discard it, and the peer have no answer."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return bool(poll.poll(0))

    def _close(self) -> None:
        self._state = "closing"
        self._transport.close()

    def _update_state(self) -> None:
        """Determine what the connection waits for, and pause reading from a peer that is ahead of its answers."""
        if self._state == "closing":
            return
        transport, pending = self._transport, self._parser.pending
        if self._work:
            self._state = "working"
        elif not self._can_write:
            self._state = "blocked"
        elif not pending:
            self._state = "idle"
        elif self._state != "partial":
            self._state, self._partial_since = "partial", time.monotonic()
        is_ahead = self._input in ("finished", "refused") or not self._can_write or pending > MAX_WAITING_BYTES
        if is_ahead and transport.is_reading():
            transport.pause_reading()
        elif not is_ahead and not transport.is_reading():
            transport.resume_reading()
