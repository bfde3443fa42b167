"""predecessors/: a record of postgrey, sqlgrey or bley 2 is refused, or becomes one that bley could have made."""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from bley.core.greylist import Lifetimes, Record
from bley.core.imported_record import ImportedRecord, is_any
from bley.core.mail import Triplet
from bley.core.triplet import LONGEST_PART, TripletRules
from bley.predecessors import bley2, postgrey, sqlgrey
from bley.predecessors.record_converter import RecordConverter
from tests.fakes import NOON
from tests.fuzz.fields import SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.step_time import in_time

_RULES = (TripletRules(), TripletRules("address"), TripletRules("network", 8, 32, "-"))
_FOREVER = Lifetimes(*[timedelta(days=36_500)] * 3)
_DELAY = timedelta(seconds=300)


def check(data: bytes) -> None:
    """Check the rules, the greylister, and the fields of its record."""
    fields = Fields(data)
    rules, read = fields.pick(_RULES), fields.pick((_postgrey, _postgrey_client, _sqlgrey, _bley2, _dump))
    for inherited in in_time(lambda: read(Fields(data[4:]))):
        if isinstance(inherited, str):
            assert inherited, "skipped without a reason"
            continue
        taken = _take(inherited, rules)
        if not isinstance(taken, str):
            _check_taken(*taken, rules)


def _postgrey(fields: Fields) -> list[ImportedRecord | str]:
    return [postgrey._triplet(fields.text(), fields.text(), _DELAY)]


def _postgrey_client(fields: Fields) -> list[ImportedRecord | str]:
    return [postgrey._client(fields.text(), fields.text(), 5)]


def _dump(fields: Fields) -> list[ImportedRecord | str]:
    lines = b"".join(b" " + fields.octets().hex().encode() + b"\n" for _ in range(2))
    key, value = postgrey._fields(io.BytesIO(lines))
    return [postgrey._triplet(key, value, _DELAY)]


def _sqlgrey(fields: Fields) -> list[ImportedRecord | str]:
    table, (texts, instants) = fields.pick(list(sqlgrey._TABLES.items()))
    assert table, "a table without a name"
    row = {name: _value(fields) for name in (*texts, *instants)}
    return [sqlgrey._parse_row(row)]


def _bley2(fields: Fields) -> list[ImportedRecord | str]:
    names = ("ip", "sender", "recipient", "status", "last_action", "fail_count")
    return [bley2._parse_row(cast(Any, SimpleNamespace(**{name: _value(fields) for name in names})))]


def _value(fields: Fields) -> object:
    """Return any value that a database may have in a column: NULL, a number, a text or bytes."""
    octets = fields.octets()
    kind, octets = octets[:1], octets[1:]
    if kind == b"0":
        return None
    if kind == b"i":
        return int.from_bytes(octets[:8], "big", signed=True)
    if kind == b"f":
        return float(int.from_bytes(octets[:8], "big", signed=True)) / 1000
    return octets if kind == b"b" else octets.decode("utf-8", "backslashreplace")


def _take(inherited: ImportedRecord, rules: TripletRules) -> tuple[Triplet, Record] | str:
    async def items() -> AsyncIterator[ImportedRecord]:
        yield inherited

    converter = RecordConverter(rules, _FOREVER, NOON)
    taken = asyncio.run(_gathered(converter.portions(items(), 1)))
    return taken[0] if taken else next(iter(converter.skipped))


async def _gathered(portions: AsyncIterator[Sequence[tuple[Triplet, Record]]]) -> list[tuple[Triplet, Record]]:
    return [each async for portion in portions for each in portion]


def _check_taken(triplet: Triplet, record: Record, rules: TripletRules) -> None:
    assert triplet.client, "no client"
    for part in triplet:
        assert len(part.encode()) <= LONGEST_PART, f"{len(part.encode())} bytes in one part"
        assert not any(mark in part for mark in "\0\r\n"), "what no engine keeps"
    assert is_any(triplet.sender) or rules.sender(triplet.sender) == triplet.sender, "a sender that is not normalised"
    assert is_any(triplet.recipient) or rules.recipient(triplet.recipient) == triplet.recipient, "nor a recipient"
    assert record.first_seen <= record.last_seen <= NOON, "an instant of the future, or a last before the first"
    assert record.attempts >= 0, "fewer attempts than none"


def _seed(rules: int, kind: int, *fields: bytes) -> bytes:
    return SEPARATOR.join([bytes([rules]), bytes([kind]), *fields])


_TIMES = b"1700000000,1700000400"

HARNESS = Harness(
    check,
    seeds=[
        _seed(0, 0, b"192.0.2.0/jane@example.com/b@example.org", _TIMES),
        _seed(1, 0, b"192.0.2.7/32/a/b@d/b@example.org", b"1700000000,1700000001,x"),
        _seed(0, 0, b"2001:db8:0:1:0:0:0:0//b@example.org", _TIMES),
        _seed(0, 1, b"192.0.2.7", b"5,1700000000"),
        _seed(2, 1, b"0123456789012345678901234567890123456789", b"1,1"),
        _seed(0, 2, b"\0", b"tjane", b"texample.com", b"t192.0.2", b"tb@example.org", b"i\0\0\0\0\x65\x53\xf1\0"),
        _seed(
            0, 2, b"\1", b"t-undef-", b"t-undef-", b"t2001:db8:0:1", b"t2023-11-14 22:13:20", b"t2023-11-14 22:13:20"
        ),
        _seed(0, 2, b"\2", b"texample.com", b"t192.0.2.7", b"f\0\0\0\0\x65\x53\xf1\0", b"t0"),
        _seed(0, 3, b"t192.0.2.0", b"ta@d", b"tb@d", b"i\0\0\0\0\0\0\0\2", b"t2023-11-14T22:13:20", b"0"),
        _seed(0, 3, b"b\xff", b"bANY", b"tb@d", b"i\xff", b"i\1", b"i\1"),
        _seed(0, 4, b"192.0.2.0/jane@example.com/b@example.org", _TIMES),
    ],
    finds={
        "a sqlgrey domain of 255 characters": _seed(
            0, 2, b"\2", b"t" + b"x" * 255, b"t192.0.2.7", b"i\0\0\0\0\x65\x53\xf1\0", b"i\0\0\0\0\x65\x53\xf1\0"
        ),
    },
    words=[b"192.0.2.", b"/32/", b"@", b"/", b",", b"ANY", b"ANY@", b"-undef-", b"RCPT", b"2001:db8::", SEPARATOR],
)
