"""Records as JSON lines, which `bley export` writes and `bley import FILE` reads, for any engine.

    {"bley": "3.0.0", "format": 1, "privacy": "off"}
    {"client": "192.0.2.0/24", "sender": "a@example.com", "recipient": "b@example.org", "status": "clean",
     "first_seen": "2026-11-24T12:00:00+00:00", "last_seen": "2026-11-24T12:05:00+00:00", "attempts": 0,
     "cause": "helo"}

Each object is one line. `status` is greylisted, clean or trusted, or the kind of a relation
(core.relations). An older bley writes no `cause`, and refuses lines
with one; where it is empty, it is left out. With privacy = keyed-hash the first line also has a
`key_check`, which identifies the key (settings/privacy_key.py).
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
from bley.commands.output import record_document
from bley.core.errors import BleyError
from bley.core.escapes import escape_controls
from bley.core.greylist import LONGEST_CAUSE, MAX_ATTEMPTS, Record, Status
from bley.core.imported_record import is_any
from bley.core.mail import Triplet
from bley.core.triplet import TripletRules, bounded
from bley.settings.privacy_key import check_value

__all__ = ["FormatError", "header", "line", "read_lines"]

_FORMAT = 1

_NUMBER = re.compile(r"[-+.\deE]+")
"""A number, which pydantic would accept as seconds since 1970."""

_Part = Annotated[str, Field(pattern=r"^[^\r\n\x00]*$")]


_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Bounds of a plausible instant. A clock that is minutes ahead is not refused here, but by the RecordConverter."""


def _client(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: write an address, a network or a domain")
    return text


def _recipient(text: str) -> str:
    # An empty recipient is valid: an older bley stored one for a recipient of blanks.
    if text and not text.strip():
        raise ValueError("is blank: write a mail address")
    return text


def _cause(text: str) -> str:
    if len(text) > LONGEST_CAUSE or not (text.isascii() and text.isprintable()):
        raise ValueError(f"is not ASCII of at most {LONGEST_CAUSE} characters: write a reason, or leave it out")
    return text


def _utc(instant: datetime) -> datetime:
    try:
        instant = instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the calendar") from error
    if not _EARLIEST <= instant < _LATEST:
        raise ValueError(f"is not between {_EARLIEST.year} and {_LATEST.year}: write it as 2026-11-24T12:00:00+00:00")
    return instant


def _iso_text(value: object) -> object:
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        raise ValueError("is not an instant: write it as 2026-11-24T12:00:00+00:00")
    return value


_Instant = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_iso_text), AfterValidator(_utc)]


class FormatError(BleyError):
    """A file that `bley export` did not write, or that does not fit these settings."""


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
    status: Literal["greylisted", "clean", "trusted", "new_pair", "pair", "client", "correspondent", "pool"]
    first_seen: _Instant
    last_seen: _Instant
    attempts: Annotated[int, Field(ge=0, le=MAX_ATTEMPTS)] = 0
    cause: Annotated[str, AfterValidator(_cause)] = ""

    @model_validator(mode="after")
    def _is_in_order(self) -> "_Line":
        if self.first_seen > self.last_seen:
            raise ValueError("first_seen is after last_seen: exchange them")
        return self


def header(privacy: str, privacy_key: bytes = b"") -> str:
    """Return the first line, for records with addresses that are hashed with this key, or in clear."""
    key_check = {"key_check": _key_check(privacy_key)} if privacy_key else {}
    return json.dumps({"bley": __version__, "format": _FORMAT, "privacy": privacy, **key_check})


def _key_check(privacy_key: bytes) -> str:
    return f"{check_value(privacy_key):016x}"


def line(triplet: Triplet, record: Record) -> str:
    """Return the line of one record. It has no characters that command a terminal."""
    document = record_document(triplet, record)
    if not record.cause:
        del document["cause"]
    text = json.dumps(document, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(document)


def read_lines(lines: Iterable[bytes], rules: TripletRules) -> Iterator[tuple[Triplet, Record] | str]:
    """Yield the records, normalised by these rules; for an invalid line, yield its number and the error.

    Addresses in clear are hashed if `rules` have a privacy key. Raises FormatError.
    """
    numbered = enumerate(lines, start=1)
    is_hashed = _read_header(next(numbered, (1, b""))[1], rules)
    for number, text in numbered:
        try:
            read = _Line.model_validate_json(text)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            place = "".join(f"{part}: " for part in detail["loc"])
            yield escape_controls(f"line {number}: {place}{detail['msg']}")  # the message may quote the file
            continue
        sender, recipient = read.sender, read.recipient
        if rules.privacy_key and not is_hashed:
            sender = sender if is_any(sender) else rules.as_stored(sender)
            recipient = recipient if is_any(recipient) else rules.as_stored(recipient)
        triplet = Triplet(bounded(read.client), bounded(sender), bounded(recipient))
        status = Status[read.status.upper()]
        yield triplet, Record(status, read.first_seen, read.last_seen, read.attempts, read.cause)


def _read_header(text: bytes, rules: TripletRules) -> bool:
    """Return whether the addresses in the file are hashed. Raises FormatError."""
    try:
        read = _Header.model_validate_json(text)
    except ValidationError as error:
        raise FormatError("line 1 is not the first line of a file of `bley export`") from error
    if read.format != _FORMAT:
        version = escape_controls(read.bley)
        raise FormatError(
            f"has format {read.format}, of bley {version}; this bley reads format {_FORMAT}: upgrade bley"
        )
    is_hashed = read.privacy == "keyed-hash"
    if is_hashed and not rules.privacy_key:
        raise FormatError("has hashed addresses: set privacy = keyed-hash here too, and copy its privacy_key_file")
    if is_hashed and read.key_check not in ("", _key_check(rules.privacy_key)):
        raise FormatError(
            "has addresses that are hashed by another key than this bley's: import it into an empty store, with the "
            "exporting bley's privacy_key_file"
        )
    return is_hashed
