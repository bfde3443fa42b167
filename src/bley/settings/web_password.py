"""The password of the web interface. bley stores only its hash, the single line of a file:

    scrypt:ln=15,r=8,p=1:SALT:HASH      SALT and HASH in base64; scrypt's parameters N = 2^ln, r and p (RFC 7914)

The file does not reveal the password. But any user who can read it can query the web interface as bley's own commands
do (`PasswordHash.proof`), so keep it at mode 0600 or 0640.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from bley.core.errors import Fault, SettingsError
from bley.durable_files import create_private, replacing
from bley.operator_files import read_text

__all__ = [
    "SHORTEST_PASSWORD",
    "PasswordHash",
    "hash_password",
    "parse_password_hash",
    "read_password_hash",
    "write_password_hash",
]

SHORTEST_PASSWORD = 8

_LN, _R, _P = 15, 8, 1
"""32 MiB and about 0.1 s. More would not help: bley delays guesses anyway, and the file itself grants access."""
_LINE = re.compile(r"scrypt:ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3}):([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
_SALT_BYTES, _HASH_BYTES = 16, 32
_LEAST_LN = 10
_MOST_BYTES = 1 << 28
_OTHERS = 0o007


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """The hash of a password. Its string is the line of the file."""

    ln: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(each).decode() for each in (self.salt, self.digest))
        return f"scrypt:ln={self.ln},r={self.r},p={self.p}:{salt}:{digest}"

    def is_of(self, password: str) -> bool:
        """Return whether this is the hash of a password. Takes about 0.1 s, without holding the GIL."""
        digest = _scrypt(password, self.salt, self.ln, self.r, self.p, len(self.digest))
        return hmac.compare_digest(digest, self.digest)

    @property
    def proof(self) -> str:
        """The token with which bley's commands prove that they can read the file, instead of the password."""
        return hmac.digest(self.digest, b"a command of bley", "sha256").hex()


def hash_password(password: str) -> PasswordHash:
    """Hash a new password with a random salt."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return PasswordHash(_LN, _R, _P, salt, _scrypt(password, salt, _LN, _R, _P, _HASH_BYTES))


def parse_password_hash(text: str) -> PasswordHash:
    """Parse the line of the file. Raises ValueError without quoting it, since it may be the password itself."""
    if not (match := _LINE.fullmatch(text)):
        raise ValueError("is not a password hash")
    ln, r, p = int(match[1]), int(match[2]), int(match[3])
    if ln < _LEAST_LN or not r or not p or 128 * r * p << ln > _MOST_BYTES:
        raise ValueError(f"costs too little or too much: ln is at least {_LEAST_LN}, 128 r p 2^ln at most 2^28")
    try:
        salt, digest = (base64.b64decode(each, validate=True) for each in match.group(4, 5))
    except binascii.Error as error:
        raise ValueError("is not base64") from error
    if len(salt) < _SALT_BYTES or len(digest) < _HASH_BYTES:
        raise ValueError(f"is cut off: the salt has {_SALT_BYTES} bytes or more, the hash {_HASH_BYTES}")
    return PasswordHash(ln, r, p, salt, digest)


def read_password_hash(file: Path) -> PasswordHash:
    """Return the hash in the file.

    Raises OSError if the file cannot be read, SettingsError if it has no hash or other users can access it.
    """
    remedy = f"create it with `bley web-password {file}`"
    text = read_text(file, errors="replace")
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if len(lines) != 1:
        number = lines[1][0] if lines else 1
        raise SettingsError([Fault(str(file), number, f"must have one line with a hash: {remedy}")])
    [(number, line)] = lines
    try:
        password = parse_password_hash(line)
    except ValueError as error:
        raise SettingsError([Fault(str(file), number, f"{error}: {remedy}")]) from error
    if file.stat().st_mode & _OTHERS:
        raise SettingsError([Fault(str(file), 0, f"can be accessed by other users: chmod o= {file}")])
    return password


def write_password_hash(file: Path, password: PasswordHash) -> None:
    """Create the file with mode 0600, or replace its hash and keep its owner and mode. Raises OSError."""
    content = f"{password}\n".encode()
    try:
        create_private(file, content)
    except FileExistsError:
        with replacing(file, 0o600, max_mode=0o777 & ~_OTHERS) as part:
            part.write(content)


def _scrypt(password: str, salt: bytes, ln: int, r: int, p: int, length: int) -> bytes:
    text = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")  # RFC 7617
    return hashlib.scrypt(text, salt=salt, n=1 << ln, r=r, p=p, maxmem=2 * _MOST_BYTES, dklen=length)
