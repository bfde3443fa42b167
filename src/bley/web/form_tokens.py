"""Tokens of forms: only a page of this process can have made a form, for this user, and not long ago (CSRF)."""

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

__all__ = ["FormTokens"]

_LIFETIME_SECONDS = 3600.0


class FormTokens:
    """Makes and checks tokens. A restart makes all older ones invalid."""

    def __init__(self, monotonic_seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._secret = monotonic_seconds, secrets.token_bytes(32)

    def make(self, user: str, path: str, fields: Mapping[str, str]) -> str:
        """Return the token of a form with these fixed fields."""
        return self._signed(str(int(self._seconds() + _LIFETIME_SECONDS)), user, path, fields)

    def is_valid(self, token: str, user: str, path: str, fields: Mapping[str, str]) -> bool:
        """Return whether `make` returned this token for the same form within the last hour."""
        end, _, _ = token.partition(".")
        expected = self._signed(end, user, path, fields)
        if not hmac.compare_digest(token.encode(errors="replace"), expected.encode(errors="replace")):
            return False
        return self._seconds() <= int(end)

    def _signed(self, end: str, user: str, path: str, fields: Mapping[str, str]) -> str:
        text = urlencode([("", end), ("", user), ("", path), *sorted(fields.items())], errors="surrogatepass")
        return f"{end}.{hmac.digest(self._secret, text.encode(), 'sha256').hex()}"
