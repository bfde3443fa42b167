"""The check of the password (RFC 7617), at a cost that strangers cannot drive up.

One hash is computed at a time, in a thread, with a rest after each wrong one. Addresses take turns: an address that
tries many passwords delays only its own attempts, and none is locked out. However many a stranger tries, the right
password from another address waits for one turn of each address that is trying.
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
from bley.core.escapes import escape_controls
from bley.core.mail import Address
from bley.core.quantity import quantity
from bley.settings.web_password import PasswordHash

__all__ = ["PasswordGate", "TooManyAttemptsError", "user_name"]

_CACHE_SECONDS = 600.0
_MAX_CACHED = 64
_PAUSE_SECONDS = 2.0
"""From a wrong password to its response."""
_REST = 0.15
"""Share of the pause between a wrong hash and the next one: 0.3 s. A hash takes 0.1 s. So strangers, all of them
together, use at most a quarter of a core and try some 2.5 passwords a second."""
_MAX_QUEUED_PER_ADDRESS = 4
_MAX_PENDING = 32
"""Attempts that are queued or pause. Each occupies one of the 100 connections."""
_LOG_INTERVAL_SECONDS = 60.0
_IPV6_PREFIX = 64
_LONGEST_USER = 64
"""Characters of a user name."""

_log = logging.getLogger(__name__)


class TooManyAttemptsError(BleyError):
    """Too many attempts are pending; the client should retry later."""

    def __init__(self) -> None:
        super().__init__(f"too many password attempts: retry after {_PAUSE_SECONDS:g} s")


class PasswordGate:
    """Admits clients that know the password.

    A right password is cached for ten minutes after its last use, as a hash with a random key. The response to a wrong
    one is delayed.
    """

    def __init__(
        self, pause_seconds: float = _PAUSE_SECONDS, monotonic_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause_seconds, self._seconds = pause_seconds, monotonic_seconds
        self._password: PasswordHash | None = None
        self._secret = secrets.token_bytes(32)
        self._cache: OrderedDict[bytes, float] = OrderedDict()
        """The last use of each right password, by its hash, the least recent one first."""
        self._attempts: dict[bytes, asyncio.Task[bool]] = {}
        self._queue = _FairQueue()
        self._pauses: OrderedDict[asyncio.Task[None], None] = OrderedDict()
        self._wrong, self._logged_at = 0, -_LOG_INTERVAL_SECONDS

    def set_password(self, password: PasswordHash | None) -> None:
        """Require this password from now on; None requires none."""
        if password != self._password:
            self._password = password
            self._secret = secrets.token_bytes(32)
            self._cache.clear()

    async def admits(self, authorization: str, client: Address) -> bool:
        """Return whether the header `Authorization` has the password, or the proof of one of bley's own commands.

        `client` is the address to which the attempt is attributed. Raises TooManyAttemptsError.
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
        return self._is_cached(key) or await self._try(key, password, self._password, _network(client))

    def _is_cached(self, key: bytes) -> bool:
        now = self._seconds()
        if key not in self._cache or now - self._cache[key] > _CACHE_SECONDS:
            return False
        self._cache[key] = now
        self._cache.move_to_end(key)
        return True

    async def _try(self, key: bytes, password: str, expected: PasswordHash, network: str) -> bool:
        """Return whether the password is right; concurrent attempts with the same password share one hash."""
        if not (attempt := self._attempts.get(key)):
            if self._queue.length + len(self._pauses) >= _MAX_PENDING:
                self._make_room(network)
            turn = self._queue.join(network)
            attempt = asyncio.create_task(self._attempt(key, password, expected, network, turn))
            self._attempts[key] = attempt
            attempt.add_done_callback(lambda task: task.cancelled() or task.exception())  # its readers may be gone
        return await asyncio.shield(attempt)

    def _make_room(self, network: str) -> None:
        """End the oldest pause, or evict an attempt of the address with the most. Raises TooManyAttemptsError."""
        if self._pauses:
            pause, _ = self._pauses.popitem(last=False)
            pause.cancel()
        else:
            self._queue.evict_one(network)

    async def _attempt(
        self, key: bytes, password: str, expected: PasswordHash, network: str, turn: asyncio.Future[None]
    ) -> bool:
        try:
            await turn
            is_right = await self._compare(expected, password)
            if not is_right:
                self._log_wrong(network)
                await self._pause()
            elif expected == self._password:
                self._cache[key] = self._seconds()
                if len(self._cache) > _MAX_CACHED:
                    self._cache.popitem(last=False)
            return is_right and expected == self._password
        finally:
            del self._attempts[key]

    async def _compare(self, expected: PasswordHash, password: str) -> bool:
        is_right = False
        try:
            is_right = await asyncio.to_thread(expected.is_of, password)
        finally:
            rest = 0 if is_right else _REST * self._pause_seconds
            asyncio.get_running_loop().call_later(rest, self._queue.start_next)
        return is_right

    async def _pause(self) -> None:
        """Wait before the response to a wrong password, unless another attempt needs the room."""
        pause = asyncio.create_task(asyncio.sleep(self._pause_seconds))
        self._pauses[pause] = None
        await asyncio.wait([pause])
        self._pauses.pop(pause, None)

    def _log_wrong(self, network: str) -> None:
        self._wrong += 1
        if self._seconds() - self._logged_at >= _LOG_INTERVAL_SECONDS:
            count = quantity(self._wrong, "wrong password")
            _log.warning("web_listen: %s since the last such warning, the latest from %s", count, network)
            self._wrong, self._logged_at = 0, self._seconds()


class _FairQueue:
    """A queue of attempts, served round robin by address, one at a time."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._is_busy = False

    @property
    def length(self) -> int:
        return sum(map(len, self._turns.values()))

    def join(self, network: str) -> asyncio.Future[None]:
        """Return a future that is resolved when it is this attempt's turn. Raises TooManyAttemptsError."""
        turn = asyncio.get_running_loop().create_future()
        turns = self._turns.setdefault(network, deque())
        if len(turns) >= _MAX_QUEUED_PER_ADDRESS:
            raise TooManyAttemptsError
        turns.append(turn)
        if not self._is_busy:
            self.start_next()
        return turn

    def evict_one(self, network: str) -> None:
        """Evict the newest attempt of the address with the most, if it has more than `network` would have then.

        Otherwise raises TooManyAttemptsError.
        """
        turns = max(self._turns.values(), key=len)
        if len(turns) <= len(self._turns.get(network, ())) + 1:
            raise TooManyAttemptsError
        turns.pop().set_exception(TooManyAttemptsError())

    def start_next(self) -> None:
        """Resolve the next turn; called when the previous attempt has ended."""
        self._is_busy = False
        while self._turns and not self._is_busy:
            network, turns = self._turns.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._turns[network] = turns
            if not turn.done():  # cancelled when bley stops
                turn.set_result(None)
                self._is_busy = True


def user_name(authorization: str) -> str | None:
    """Return the user name of a header `Authorization` with a password, shortened and escaped; None without one.

    Nothing verifies the name: all users have one password.
    """
    scheme, _, credentials = authorization.partition(" ")
    split = _split(credentials.strip()) if scheme.lower() == "basic" else None
    return escape_controls(split[0])[:_LONGEST_USER] if split else None


def _password(credentials: str) -> str | None:
    """Return the password of base64-encoded `user:password`, for any user; None if there is none."""
    split = _split(credentials)
    return split[1] if split and split[1] else None


def _split(credentials: str) -> tuple[str, str] | None:
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def _network(client: Address) -> str:
    """Return the unit that counts as one address: a single machine may own a whole IPv6 network."""
    return str(ip_network((client, _IPV6_PREFIX), strict=False) if isinstance(client, IPv6Address) else client)
