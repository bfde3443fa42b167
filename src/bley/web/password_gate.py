"""Whether the client of a page has the password (RFC 7617), at a cost that no stranger can run up.

A hash is computed in a thread, one at a time, and the next one after a rest where the password was wrong. Addresses
take turns, so that one that tries many passwords delays its own: however many it tries, the right password from
elsewhere waits for one turn of each other address.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network

from bley.core.errors import BleyError
from bley.core.mail import Address
from bley.settings.web_password import PasswordHash

__all__ = ["PasswordGate", "TooManyAttemptsError"]

_REMEMBERED_SECONDS = 600.0
_MOST_REMEMBERED = 64
_PAUSE_SECONDS = 2.0
_REST = 0.15
"""Of the pause, so 0.3 s after a wrong hash, which takes 0.1 s: strangers take a quarter of a core at the most, and try
some 2.5 passwords a second, all together."""
_MOST_OF_ONE = 4
"""Attempts of one address that wait for their turn."""
_MOST_WAITING = 32
"""Attempts that wait or pause; each holds one of the 100 connections."""
_LOG_AGAIN_SECONDS = 60.0
_IPV6_PREFIX = 64

_log = logging.getLogger(__name__)


class TooManyAttemptsError(BleyError):
    """Too many passwords are being tried: try again in a while."""

    def __init__(self) -> None:
        super().__init__(f"too many passwords are being tried: wait {_PAUSE_SECONDS:g} s")


class PasswordGate:
    """Lets in the client that knows the password.

    What was right is remembered for ten minutes after its last use, by a hash that is of no use elsewhere; what was
    wrong is answered after a pause.
    """

    def __init__(
        self, pause_seconds: float = _PAUSE_SECONDS, monotonic_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause_seconds, self._seconds = pause_seconds, monotonic_seconds
        self._password: PasswordHash | None = None
        self._secret = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._trying: dict[bytes, asyncio.Task[bool]] = {}
        self._turns = _FairQueue()
        self._pauses: OrderedDict[asyncio.Task[None], None] = OrderedDict()
        self._wrong, self._told_at = 0, -_LOG_AGAIN_SECONDS

    def take(self, password: PasswordHash | None) -> None:
        """Ask for this password from now on; an earlier one is forgotten."""
        if password != self._password:
            self._password = password
            self._secret = secrets.token_bytes(32)
            self._right.clear()

    async def admits(self, authorization: str, client: Address) -> bool:
        """Whether the header `Authorization` has the password, or a command's proof. Raises TooManyAttemptsError.

        `client` is the address whose attempts are counted.
        """
        if self._password is None:
            return True
        scheme, _, credentials = authorization.partition(" ")
        credentials = credentials.strip()
        if scheme.lower() == "bearer":
            return hmac.compare_digest(credentials.encode(errors="replace"), self._password.proof.encode())
        if scheme.lower() != "basic" or (password := _password(credentials)) is None:
            return False
        key = hmac.digest(self._secret, password.encode(errors="surrogatepass"), "sha256")
        return self._is_remembered(key) or await self._try(key, password, self._password, _network(client))

    def _is_remembered(self, key: bytes) -> bool:
        now = self._seconds()
        if key not in self._right or now - self._right[key] > _REMEMBERED_SECONDS:
            return False
        self._right[key] = now
        self._right.move_to_end(key)
        return True

    async def _try(self, key: bytes, password: str, known: PasswordHash, who: str) -> bool:
        """Try it; the same password is tried once, however many say it at once."""
        if not (attempt := self._trying.get(key)):
            if self._turns.waiting + len(self._pauses) >= _MOST_WAITING:
                self._make_room(who)
            turn = self._turns.ask(who)
            attempt = self._trying[key] = asyncio.create_task(self._attempt(key, password, known, who, turn))
            attempt.add_done_callback(lambda task: task.cancelled() or task.exception())  # perhaps nobody waits
        return await asyncio.shield(attempt)

    def _make_room(self, who: str) -> None:
        """End the oldest pause, or else an attempt of the address that has most. Raises TooManyAttemptsError."""
        if self._pauses:
            pause, _ = self._pauses.popitem(last=False)
            pause.cancel()
        else:
            self._turns.refuse_one(for_whom=who)

    async def _attempt(
        self, key: bytes, password: str, known: PasswordHash, who: str, turn: asyncio.Future[None]
    ) -> bool:
        try:
            await turn
            is_right = await self._compare(known, password)
            if not is_right:
                self._tell_wrong(who)
                await self._pause()
            elif known == self._password:
                self._right[key] = self._seconds()
                if len(self._right) > _MOST_REMEMBERED:
                    self._right.popitem(last=False)
            return is_right and known == self._password
        finally:
            del self._trying[key]

    async def _compare(self, known: PasswordHash, password: str) -> bool:
        is_right = False
        try:
            is_right = await asyncio.to_thread(known.is_of, password)
        finally:
            rest = 0 if is_right else _REST * self._pause_seconds
            asyncio.get_running_loop().call_later(rest, self._turns.give)
        return is_right

    async def _pause(self) -> None:
        """Wait, at the longest until another attempt needs the room."""
        pause = asyncio.create_task(asyncio.sleep(self._pause_seconds))
        self._pauses[pause] = None
        await asyncio.wait([pause])
        self._pauses.pop(pause, None)

    def _tell_wrong(self, who: str) -> None:
        self._wrong += 1
        if self._seconds() - self._told_at >= _LOG_AGAIN_SECONDS:
            _log.warning("web_listen: %d wrong passwords since this was last told, now from %s", self._wrong, who)
            self._wrong, self._told_at = 0, self._seconds()


class _FairQueue:
    """One attempt at a time, and one address after the other."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._is_taken = False

    @property
    def waiting(self) -> int:
        return sum(map(len, self._queues.values()))

    def ask(self, who: str) -> asyncio.Future[None]:
        """Return what is done when it is this one's turn. Raises TooManyAttemptsError."""
        turn = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(who, deque())
        if len(queue) >= _MOST_OF_ONE:
            raise TooManyAttemptsError
        queue.append(turn)
        if not self._is_taken:
            self.give()
        return turn

    def refuse_one(self, for_whom: str) -> None:
        """Refuse the newest attempt of the address that has most; raise TooManyAttemptsError if no other has more."""
        queue = max(self._queues.values(), key=len)
        if len(queue) <= len(self._queues.get(for_whom, ())) + 1:
            raise TooManyAttemptsError
        queue.pop().set_exception(TooManyAttemptsError())

    def give(self) -> None:
        """Let the next one have its turn."""
        self._is_taken = False
        while self._queues and not self._is_taken:
            who, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._queues[who] = queue
            if not turn.done():  # given up when bley stops
                turn.set_result(None)
                self._is_taken = True


def _password(credentials: str) -> str | None:
    """The password of `user:password` in base64, whatever the user; None: there is none."""
    try:
        _, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if colon and password else None


def _network(client: Address) -> str:
    """One machine may have all addresses of an IPv6 network."""
    return str(ip_network((client, _IPV6_PREFIX), strict=False) if isinstance(client, IPv6Address) else client)
