"""Whether who asks has said the password (RFC 7617), at a cost that no stranger can run up."""

import asyncio
import base64
import binascii
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network

from bley.core.errors import BleyError
from bley.core.mail import Address
from bley.web_password import PasswordHash

__all__ = ["PasswordGate", "TooManyAttemptsError"]

_REMEMBERED_SECONDS = 600.0
_MOST_REMEMBERED = 64
_MOST_ATTEMPTS = 4
"""At once. With a pause of 2 s and 0.1 s for a hash, strangers take a fifth of a core at the most."""
_PAUSE_SECONDS = 2.0
_LOG_AGAIN_SECONDS = 60.0
_IPV6_PREFIX = 64

_log = logging.getLogger(__name__)


class TooManyAttemptsError(BleyError):
    """Others are trying passwords, or the same peer is: this one is to come back in a while."""


class PasswordGate:
    """Lets in who knows the password. Each password is tried once, and one at a time.

    What was right is remembered for ten minutes after its last use, by a hash that is of no use elsewhere; what was
    wrong is answered after a pause, and meanwhile its peer is not heard again.
    """

    def __init__(
        self, pause_seconds: float = _PAUSE_SECONDS, monotonic_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause_seconds, self._seconds = pause_seconds, monotonic_seconds
        self._password: PasswordHash | None = None
        self._secret = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._trying: dict[bytes, asyncio.Task[bool]] = {}
        self._peers: set[str] = set()
        self._hashing = asyncio.Lock()
        self._wrong, self._told_at = 0, -_LOG_AGAIN_SECONDS

    def take(self, password: PasswordHash | None) -> None:
        """Ask for this password from now on; who had said another is forgotten."""
        if password != self._password:
            self._password = password
            self._secret = secrets.token_bytes(32)
            self._right.clear()

    async def admits(self, authorization: str, peer: Address) -> bool:
        """Whether the header `Authorization` has the password, or a command's proof. Raises TooManyAttemptsError."""
        if self._password is None:
            return True
        scheme, _, credentials = authorization.partition(" ")
        credentials = credentials.strip()
        if scheme.lower() == "bearer":
            return hmac.compare_digest(credentials.encode(errors="replace"), self._password.proof.encode())
        if scheme.lower() != "basic" or (password := _password(credentials)) is None:
            return False
        key = hmac.digest(self._secret, password.encode(errors="surrogatepass"), "sha256")
        return self._is_remembered(key) or await self._try(key, password, self._password, peer)

    def _is_remembered(self, key: bytes) -> bool:
        now = self._seconds()
        if key not in self._right or now - self._right[key] > _REMEMBERED_SECONDS:
            return False
        self._right[key] = now
        self._right.move_to_end(key)
        return True

    async def _try(self, key: bytes, password: str, known: PasswordHash, peer: Address) -> bool:
        """Try it; whoever says the same meanwhile gets the same answer."""
        if not (attempt := self._trying.get(key)):
            who = _network(peer)
            if who in self._peers or len(self._peers) >= _MOST_ATTEMPTS:
                raise TooManyAttemptsError(f"too many passwords are being tried: wait {self._pause_seconds:g} s")
            self._peers.add(who)
            attempt = self._trying[key] = asyncio.create_task(self._attempt(key, password, known, who))
        return await asyncio.shield(attempt)

    async def _attempt(self, key: bytes, password: str, known: PasswordHash, who: str) -> bool:
        try:
            async with self._hashing:
                is_right = await asyncio.to_thread(known.is_of, password)
            if not is_right:
                self._tell_wrong(who)
                await asyncio.sleep(self._pause_seconds)
            elif known == self._password:
                self._right[key] = self._seconds()
                if len(self._right) > _MOST_REMEMBERED:
                    self._right.popitem(last=False)
            return is_right and known == self._password
        finally:
            del self._trying[key]
            self._peers.discard(who)

    def _tell_wrong(self, who: str) -> None:
        self._wrong += 1
        if self._seconds() - self._told_at >= _LOG_AGAIN_SECONDS:
            _log.warning("web_listen: %d wrong passwords since this was last told, now from %s", self._wrong, who)
            self._wrong, self._told_at = 0, self._seconds()


def _password(credentials: str) -> str | None:
    """The password of `user:password` in base64, whoever the user is; None: there is none."""
    try:
        _, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if colon and password else None


def _network(peer: Address) -> str:
    """One machine may have all addresses of an IPv6 network."""
    return str(ip_network((peer, _IPV6_PREFIX), strict=False) if isinstance(peer, IPv6Address) else peer)
