"""A log line has exactly the fields that bley wrote, whatever comes from the wire."""

import json
import os
import re

from hypothesis import example, given
from hypothesis import strategies as st

from bley.core.decision import Decision
from bley.core.findings import FindingKind
from bley.core.mail import Request
from bley.core.reasons import Reason
from bley.log.decision_line import line_of
from tests.log_datagrams import journal_fields, syslog_datagram
from tests.unit.log.test_decision_line import known_written, listed, listings, stored, written

# No surrogates: text from the wire is UTF-8, and other bytes are escaped already.
values = st.text(st.characters(codec="utf-8")) | st.sampled_from(
    ["x, reason=known", "x\n2026-11-23T12:00:00Z bley[1]: action=pass", "\x1b]0;title\x07", "\x9b2J", "\u2028", "\\x2c"]
)
requests = st.builds(
    Request,
    **dict.fromkeys(
        ("client_name", "client_address", "helo_name", "sender", "recipient", "instance", "queue_id"), values
    ),
)
decisions = st.builds(
    lambda request, reason, entry: Decision(request, reason, exempted_by=entry),
    requests,
    st.sampled_from([*Reason, *FindingKind]),
    values,
)


_CODE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def _character(code: re.Match[str]) -> str:
    return chr(int(code[1] or code[2] or code[3], 16))


def _fields(decision: Decision) -> dict[str, str]:
    """Return the fields that the line of a pass must have, with their original values."""
    request = decision.request
    return {
        "action": "pass",
        "reason": decision.reason.value,
        "client_name": request.client_name,
        "client_address": request.client_address,
        "sender": request.sender,
        "recipient": request.recipient,
        **({"entry": decision.exempted_by} if decision.exempted_by else {}),
        **({"instance": request.instance} if request.instance else {}),
        **({"queue_id": request.queue_id} if request.queue_id else {}),
    }


@given(decisions)
def test_text_line_cannot_be_forged(decision: Decision) -> None:
    """It is one line without control characters, and split at its commas it has bley's fields."""
    line = written(decision)
    assert line.isprintable()
    assert line.splitlines() == [line]
    names = [field.partition("=")[0] for field in line.split(", ")]
    assert names == list(_fields(decision))
    assert line.count(" ") == len(names) - 1


@given(decisions)
@example(Decision(Request(sender="\\x2c,\\", helo_name="x"), Reason.CLEAN))
def test_the_values_of_a_text_line_read_back(decision: Decision) -> None:
    """A backslash code stands for its character, and no other text looks like one."""
    fields = dict(field.split("=", 1) for field in written(decision).split(", "))
    assert {name: _CODE.sub(_character, value) for name, value in fields.items()} == _fields(decision)


@given(decisions)
def test_journal_entry_cannot_be_forged(decision: Decision) -> None:
    """It has bley's fields, with the values of the text, and no others."""
    line = written(decision)
    expected = dict(field.split("=", 1) for field in line.split(", "))
    assert journal_fields(line) == {f"BLEY_{name.upper()}": value for name, value in expected.items()}
    assert list(expected) == list(_fields(decision))


@given(values)
@example("x, action=pass\nBLEY_ACTION=pass")
def test_a_list_s_words_forge_no_field_of_the_journal(words: str) -> None:
    for line in listings(listed(bl=words)):
        fields = journal_fields(line)
        assert fields.pop("BLEY_LIST_SAYS") == line.partition(", list_says=")[2]
        assert fields == {"BLEY_LISTED_BY": "bl.example", "BLEY_CLIENT_ADDRESS": "192.0.2.1"}


@given(st.text())
def test_what_is_logged_besides_is_one_entry_without_fields(message: str) -> None:
    """An example is a traceback; journal_fields asserts that the entry is the message only."""
    assert journal_fields(f"internal error\n{message.encode(errors='replace').decode()}") == {}


@given(decisions)
def test_a_datagram_of_syslog_cannot_be_forged(decision: Decision) -> None:
    """It is the text after its header, ends with it, and no line end in it begins a second header."""
    line = written(decision)
    datagram = syslog_datagram(line)
    assert datagram == f"<22>bley[{os.getpid()}]: {line}\0".encode()
    assert datagram.count(b"\0") == 1
    assert b"\n" not in datagram


@given(decisions)
@example(Decision(Request(sender="\x9b2J\u2028"), Reason.CLEAN))
def test_json_line_cannot_be_forged(decision: Decision) -> None:
    """It is one line without control characters, and can be parsed to bley's fields with their original values."""
    line = written(decision, is_json=True)
    assert line.isprintable()
    assert json.loads(line) == _fields(decision)


@given(st.lists(requests, max_size=5), st.booleans())
def test_known_mail_s_lines_are_those_of_its_decisions(known: list[Request], is_json: bool) -> None:
    """They equal each other, although the former are assembled from a constant and a variable part."""
    assert known_written(known, is_json=is_json) == [
        written(Decision(request, Reason.KNOWN), is_json=is_json) for request in known
    ]


@given(decisions)
def test_the_line_of_a_stored_decision_is_the_one_that_was_logged(decision: Decision) -> None:
    assert line_of(stored(decision)) == written(decision)
