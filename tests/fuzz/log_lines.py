"""The log: each form of a line can be read back, and nothing from the wire forges a field or a line."""

import json
import os
import re
from datetime import timedelta

from bley.core.decision import Decision
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check
from bley.core.greylist import Standing
from bley.core.mail import Request
from bley.core.reasons import Reason
from bley.log.decision_line import line_of
from tests.fuzz.fields import SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.log_datagrams import journal_fields, syslog_datagram
from tests.step_time import in_time
from tests.unit.log.test_decision_line import known_written, stored, written

_LONGEST = 2000
_FROM_WIRE = ("client_name", "client_address", "sender", "recipient", "instance", "queue_id")
_CODE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_EVIDENCE: Evidence = {Check.HELO: Finding(2, "why"), Check.DNSBL: Finding(None, "why")}


def check(data: bytes) -> None:
    """Check a kind of decision, the entry that exempts, and the request."""
    fields = Fields(data)
    kind, entry = fields.number(), fields.text()[:_LONGEST]
    request = Request(**{name: fields.text()[:_LONGEST] for name in _FROM_WIRE})
    decision = _decision(request, kind, entry)
    line = in_time(lambda: written(decision))
    assert line.isprintable(), "a terminal would take it for a command"
    assert line.splitlines() == [line], "more than one line"
    read = [field.partition("=")[::2] for field in line.split(", ")]
    assert len(dict(read)) == len(read), "a field twice"
    values = {name: _CODE.sub(_character, value) for name, value in read}
    told = {name: value for name, value in request._asdict().items() if value or name in _FROM_WIRE[:4]}
    expected = told | ({"entry": entry} if entry else {})
    assert {name: values[name] for name in values if name in expected} == expected, f"{line} reads otherwise"
    names = {name for name, _ in read} | {check.value for check in decision.evidence}
    assert journal_fields(line).keys() == {f"BLEY_{name.upper()}" for name in names}, "other fields of the journal's"
    assert syslog_datagram(line) == b"<22>bley[%d]: " % os.getpid() + line.encode() + b"\0", "syslog has another line"
    _check_json(decision, expected)
    if not decision.delayed:
        assert line_of(stored(decision)) == line, "from the store it is another line"
    for is_json in (False, True):
        known = Decision(request, Reason.KNOWN)
        assert known_written([request], is_json=is_json) == [written(known, is_json=is_json)], "known mail's is another"


def _decision(request: Request, kind: int, entry: str) -> Decision:
    match kind % 3:
        case 0:
            return Decision(request, Reason.CLEAN, exempted_by=entry)
        case 1:
            waited = timedelta(seconds=kind)
            return Decision(request, Reason.WAITED, standing=Standing.WAITED, delayed=waited, exempted_by=entry)
    wait = timedelta(seconds=kind)
    return Decision(request, Reason.HELO, True, standing=Standing.NEW, evidence=_EVIDENCE, wait=wait, exempted_by=entry)


def _check_json(decision: Decision, expected: dict[str, str]) -> None:
    line = written(decision, is_json=True)
    assert line.isprintable(), "a terminal would take it for a command"
    read = json.loads(line)
    assert {name: read[name] for name in expected} == expected, f"{line} reads otherwise"


def _character(code: re.Match[str]) -> str:
    return chr(int(code[1] or code[2] or code[3], 16))


def _seed(kind: int, entry: str, *request: str | bytes) -> bytes:
    raw = [each.encode() if isinstance(each, str) else each for each in request]
    return SEPARATOR.join([bytes([kind]), entry.encode(), *raw])


HARNESS = Harness(
    check,
    seeds=[
        _seed(0, "", "mx.example.com", "192.0.2.1", "a@example.com", "b@example.org", "1.2.0", "4Xy"),
        _seed(1, "clients:3:example.com", "unknown", "2001:db8::1", "", "b@example.org"),
        _seed(2, "", "unknown", "192.0.2.1", "x, reason=known", "x\n2026-11-23T12:00:00Z bley[1]: action=pass"),
        _seed(0, "a, b\\x2c", "\x1b]0;title\x07", "\x9b2J", "\u2028", "\\x2c", "\U0001f600\U000e0001", "\0"),
        _seed(2, "", b"\xff\xfd", "=", ", =", "a=b,c=d"),
    ],
    words=[
        b", ",
        b"=",
        b"action=pass",
        b"reason=known",
        b"\\x2c",
        b"\\",
        b"\n",
        b"\x1b",
        "\u2028".encode(),
        b"queue_id=",
    ],
)
