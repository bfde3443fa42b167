"""Records as JSON lines: what `bley export` writes and `bley import FILE` reads, from any engine to any engine.

    {"bley": "3.0.0", "format": 1, "privacy": "off"}
    {"client": "192.0.2.0/24", "sender": "a@example.com", "recipient": "b@example.org", "status": "clean",
     "first_seen": "2026-11-24T12:00:00+00:00", "last_seen": "2026-11-24T12:05:00+00:00", "attempts": 0}

each in one line. `status` is greylisted, clean or trusted. With privacy = keyed-hash the first line has a `key_check`
too, by which the key is told apart from others (privacy.py).
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bley import __version__
from bley.core.errors import BleyError
from bley.core.escapes import escape_controls
from bley.core.greylist import MAX_ATTEMPTS, Record, Status
from bley.core.imported_record import is_any
from bley.core.mail import Triplet
from bley.core.triplet import TripletRules, bounded
from bley.settings.privacy_key import check_value

__all__ = ["FormatError", "header", "line", "read_lines"]

_FORMAT = 1

_NUMBER = re.compile(r"[-+.\deE]+")
"""An instant in seconds since some year, which pydantic would guess."""

_Part = Annotated[str, Field(pattern=r"^[^\r\n\x00]*$")]


_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""No bley has seen mail before or after; the few minutes by which a clock is ahead are the importer's."""


def _client(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: write an address, a network or a domain")
    return text


def _recipient(text: str) -> str:
    # An empty one is exported by a store in which an older bley recorded a recipient of blanks.
    if text and not text.strip():
        raise ValueError("is blank: write a mail address")
    return text


def _utc(instant: datetime) -> datetime:
    try:
        instant = instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the calendar") from error
    if not _EARLIEST <= instant < _LATEST:
        raise ValueError(f"is not between {_EARLIEST.year} and {_LATEST.year}: write it as 2026-11-24T12:00:00+00:00")
    return instant


def _in_words(value: object) -> object:
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        raise ValueError("is no instant: write it as 2026-11-24T12:00:00+00:00")
    return value


_Instant = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_in_words), AfterValidator(_utc)]


class FormatError(BleyError):
    """The file is not what `bley export` writes, or cannot be used with these settings."""


class _Header(BaseModel):
    model_config = ConfigDict(strict=True)

    bley: str
    format: int
    privacy: Literal["off", "keyed-hash"]
    key_check: str = ""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    client: Annotated[_Part, AfterValidator(_client)]
    sender: _Part
    recipient: Annotated[_Part, AfterValidator(_recipient)]
    status: Literal["greylisted", "clean", "trusted"]
    first_seen: _Instant
    last_seen: _Instant
    attempts: Annotated[int, Field(ge=0, le=MAX_ATTEMPTS)] = 0

    @model_validator(mode="after")
    def _is_in_order(self) -> "_Line":
        if self.first_seen > self.last_seen:
            raise ValueError("first_seen is after last_seen: exchange them")
        return self


def header(privacy: str, privacy_key: bytes = b"") -> str:
    """The first line, for records whose addresses are hashed by this key, or in clear."""
    key_check = {"key_check": _key_check(privacy_key)} if privacy_key else {}
    return json.dumps({"bley": __version__, "format": _FORMAT, "privacy": privacy, **key_check})


def _key_check(privacy_key: bytes) -> str:
    return f"{check_value(privacy_key):016x}"


def line(triplet: Triplet, record: Record) -> str:
    """One record."""
    values = {
        "client": triplet.client,
        "sender": triplet.sender,
        "recipient": triplet.recipient,
        "status": record.status.name.lower(),
        "first_seen": record.first_seen.isoformat(),
        "last_seen": record.last_seen.isoformat(),
        "attempts": record.attempts,
    }
    return json.dumps(values, ensure_ascii=False)


def read_lines(lines: Iterable[bytes], rules: TripletRules) -> Iterator[tuple[Triplet, Record] | str]:
    """Records by these rules; in place of a line that is none, why, with its number.

    Addresses that the file has in clear are hashed if `rules` say so. Raises FormatError.
    """
    numbered = enumerate(lines, start=1)
    is_hashed = _read_header(next(numbered, (1, b""))[1], rules)
    for number, text in numbered:
        try:
            read = _Line.model_validate_json(text)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            place = "".join(f"{part}: " for part in detail["loc"])
            yield escape_controls(f"line {number}: {place}{detail['msg']}")  # the file's own words may be in it
            continue
        sender, recipient = read.sender, read.recipient
        if rules.privacy_key and not is_hashed:
            sender = sender if is_any(sender) else rules.as_stored(sender)
            recipient = recipient if is_any(recipient) else rules.as_stored(recipient)
        triplet = Triplet(bounded(read.client), bounded(sender), bounded(recipient))
        status = Status[read.status.upper()]
        yield triplet, Record(status, read.first_seen, read.last_seen, read.attempts)


def _read_header(text: bytes, rules: TripletRules) -> bool:
    """Whether the addresses in the file are hashed."""
    try:
        read = _Header.model_validate_json(text)
    except ValidationError as error:
        raise FormatError("line 1 is not the first line of a file of `bley export`") from error
    if read.format != _FORMAT:
        version = escape_controls(read.bley)
        raise FormatError(f"is of format {read.format}, of bley {version}; this bley reads {_FORMAT}: upgrade bley")
    is_hashed = read.privacy == "keyed-hash"
    if is_hashed and not rules.privacy_key:
        raise FormatError("has hashed addresses: set privacy = keyed-hash here too, and take over its privacy_key_file")
    if is_hashed and read.key_check not in ("", _key_check(rules.privacy_key)):
        raise FormatError(
            "has addresses that are hashed by another key than this bley's: import it into an empty store, with the "
            "privacy_key_file of the bley that exported it"
        )
    return is_hashed
