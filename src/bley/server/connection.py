"""One connection: bytes from Postfix or Exim to the service and back.

Answers come in the order of the requests. Exim sends its request, closes its half and waits for us to close: it is
answered, then closed. Whatever a peer does is bounded:

    bytes waiting                        MAX_WAITING_BYTES, then we stop reading until they are answered
    requests answered in one go          MAX_BURST, then others have their turn
    a request begun, then silence        REQUEST_SECONDS between two reads, then closed
    a request that comes by drops        REQUEST_MOST times as long, then closed
    silence between requests, or a peer  IDLE_SECONDS, then closed
    that does not read its answers
    a request's size and attributes      core.wire
    connections                          server.py
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Protocol, cast

from bley.core.errors import ProtocolError, ProtocolViolation
from bley.core.mail import Action, RawRequest
from bley.core.wire import MAX_REQUEST_BYTES, RequestParser, encode_action
from bley.metrics import CLOSED, PROTOCOL_ERRORS, observe_answer_from_memory
from bley.service.actions import DUNNO

__all__ = ["Connection", "Host", "Service"]

MAX_WAITING_BYTES = 2 * MAX_REQUEST_BYTES
"""Postfix sends one request and waits; more is pipelining."""

MAX_BURST = 100
"""Less than three milliseconds of known triplets."""

REQUEST_SECONDS = 4.0
"""Postfix writes a request at once."""

REQUEST_MOST = 5
"""A request is there within 20 s, in however many reads: 32,768 bytes are 23 segments of Ethernet."""

IDLE_SECONDS = 600.0
"""Twice Postfix's smtpd_policy_service_max_idle, so that it is Postfix that closes."""

_ENCODED_DUNNO = encode_action(DUNNO)

_log = logging.getLogger(__name__)


class Service(Protocol):
    """What decides."""

    def answer(self, raw: RawRequest) -> Action | Coroutine[None, None, Action]:
        """The action, or what to await for it; never raises."""


class Host(Protocol):
    """Who keeps the connections."""

    service: Service
    closes_after_answer: bool

    def add(self, connection: "Connection") -> None:
        """A peer has come."""

    def remove(self, connection: "Connection") -> None:
        """A peer has gone."""


class Connection(asyncio.Protocol):
    """One peer."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._parser = RequestParser()
        self._task: asyncio.Task[None] | None = None
        self._turn: asyncio.Handle | None = None  # we go on after others had theirs
        self._has_left = False  # the peer has closed its half
        self._is_ending = False  # answer what waits, then close
        self._is_choked = False  # the peer does not read
        self._is_at_rest = False  # nothing waits, so that a whole request can be answered at once
        self._is_paused = False
        self._has_stirred = False  # something has come since we looked
        self._last_event = 0.0
        self._begun: float | None = None  # when the first byte came of the request that is not whole yet
        self._peer = "?"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The peer has come."""
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._last_event = time.monotonic()
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) and peer else "unix socket"
        self._host.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer has gone, or we have closed."""
        if self._task:
            self._task.cancel()
        self._host.remove(self)

    def data_received(self, data: bytes) -> None:
        """The peer has sent this: mostly one request, which is answered here if it is known."""
        if not self._has_stirred:
            self._receive_timed(data)
            return
        raw = self._parser.whole(data) if self._is_at_rest else None
        if raw is None:
            self._parser.feed(data)
            self._go_on()
            return
        try:
            if answer := self._answer(raw):
                self._transport.write(answer)
        except Exception:  # noqa: BLE001 (as in _go_on)
            self._fail()
        if self._is_ending:
            self._go_on()

    def _receive_timed(self, data: bytes) -> None:
        """The first since we looked: a sample of what is answered at once, since to time them all is too dear."""
        self._has_stirred = True
        begun = self._last_event = time.monotonic()
        self.data_received(data)
        if not (self._task or self._is_ending or self._parser.pending):
            observe_answer_from_memory(time.monotonic() - begun)

    def eof_received(self) -> bool:
        """The peer has closed its half; ours stays open for the answers."""
        self._has_left = True
        self.end()
        return True

    def pause_writing(self) -> None:
        """The peer does not read: our buffer is full."""
        self._is_choked, self._is_at_rest = True, False

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._is_choked = False
        self._has_stirred = True
        self._go_on()

    def end(self) -> None:
        """Take no more from the peer, answer what waits, then close."""
        self._is_ending = True
        self._go_on()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    @property
    def idle_since(self) -> float | None:
        """When something came last, by the monotonic clock; None while a request of the peer is answered.

        That is right to the time between two sweeps: to note each request would cost more.
        """
        is_busy = self._task or self._turn or self._transport.is_closing()
        return None if is_busy else self._last_event

    def sweep(self) -> None:
        """Close a peer that has been silent, or does not read, for too long."""
        now = time.monotonic()
        if self._has_stirred:
            self._has_stirred, self._last_event = False, now
        is_closing = self._transport.is_closing()
        if self._drips(now) and not (is_closing or self._task):
            self._close_unfinished(f"has not ended a request within {REQUEST_MOST * REQUEST_SECONDS:g} s")
            return
        limit = REQUEST_SECONDS if is_closing or self._parser.pending else IDLE_SECONDS
        if self._task or self._turn or now - self._last_event <= limit:
            return
        if self._transport.get_write_buffer_size():
            _log.warning("%s does not read its answers: closed", self._peer)
            CLOSED.labels("unread").inc()
            self.abort()  # close would wait until it has read them
        elif self._parser.pending and not is_closing:
            self._close_unfinished(f"was silent for {REQUEST_SECONDS:g} s in the middle of a request")
        elif not is_closing:
            CLOSED.labels("idle").inc()
            self._transport.close()

    def _drips(self, now: float) -> bool:
        """Whether a request is not there for too long, however often something comes."""
        return self._begun is not None and now - self._begun > REQUEST_MOST * REQUEST_SECONDS

    def _close_unfinished(self, what: str) -> None:
        _log.warning("%s %s: closed", self._peer, what)
        CLOSED.labels("unfinished").inc()
        self._transport.close()

    def _go_on(self) -> None:
        """Answer what waits, unless that goes on by itself: in a task, or when it is our turn again."""
        try:
            if self._task is None and self._turn is None:
                self._answer_waiting()
            self._pace()
        except Exception:  # noqa: BLE001 (no answer: a clean close; logged in _fail)
            self._fail()

    def _take_turn(self) -> None:
        self._turn = None
        self._go_on()

    def _answer_waiting(self) -> None:
        """Answer in order; what needs the store or the DNS goes on in a task, and the rest after it."""
        answers = b""
        for _ in range(MAX_BURST):
            if self._task or self._is_choked or (raw := self._next_request()) is None:
                break
            answers += self._answer(raw)
        else:
            self._turn = self._loop.call_soon(self._take_turn)
        if answers:
            self._transport.write(answers)
        if self._is_ending and not (self._task or self._turn or self._is_choked):
            self._close()

    def _answer(self, raw: RawRequest) -> bytes:
        """The answer; empty where it needs the store or the DNS, and goes on in a task."""
        answer = self._host.service.answer(raw)
        if isinstance(answer, Action):
            return self._encoded(answer)
        self._is_at_rest = False
        self._task = self._loop.create_task(self._answer_later(answer))
        return b""

    def _next_request(self) -> RawRequest | None:
        if self._transport.is_closing():
            return None
        try:
            raw = self._parser.next_request()
        except ProtocolError as error:
            _log.warning("%s sent %s: closed", self._peer, error)
            PROTOCOL_ERRORS.labels(error.breach.value).inc()
            self._parser = RequestParser()
            self._is_ending = True
            return None
        if raw is not None:
            self._begun = None
        return raw

    async def _answer_later(self, answer: Coroutine[None, None, Action]) -> None:
        try:
            action = await answer
        except Exception:  # noqa: BLE001 (as in _go_on)
            self._fail()
            return
        finally:
            self._task = None
        self._has_stirred, self._begun = True, None
        self._transport.write(self._encoded(action))
        self._go_on()

    def _encoded(self, action: Action) -> bytes:
        if self._host.closes_after_answer:
            self._parser = RequestParser()
            self._is_ending = True
        return _ENCODED_DUNNO if action is DUNNO else encode_action(action)

    def _fail(self) -> None:
        _log.exception("%s: internal error: closed; please report it", self._peer)
        CLOSED.labels("internal-error").inc()
        self.abort()

    def _close(self) -> None:
        if self._has_left and self._parser.pending:
            _log.warning("%s closed in the middle of a request", self._peer)
            PROTOCOL_ERRORS.labels(ProtocolViolation.CUT_OFF.value).inc()
        self._has_stirred = True
        self._transport.close()

    def _pace(self) -> None:
        """Stop reading from a peer that is ahead of us."""
        if self._transport.is_closing():
            self._is_at_rest = False
            return
        pending = self._parser.pending
        if not pending or self._is_choked:
            self._begun = None
        elif self._begun is None:
            self._begun = time.monotonic()
        is_ahead = self._is_ending or self._is_choked or pending > MAX_WAITING_BYTES
        self._is_at_rest = not (pending or is_ahead or self._task or self._turn)
        if is_ahead and not self._is_paused:
            self._transport.pause_reading()
        elif self._is_paused and not is_ahead:
            self._transport.resume_reading()
        self._is_paused = is_ahead
