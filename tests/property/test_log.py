"""Whatever comes from the wire, a log line has the fields that bley gave it, and no others."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from bley.core.decision import Decision
from bley.core.mail import Request
from bley.core.policy import Reason
from tests.unit.test_log import written

# No surrogates: what comes from the wire is UTF-8, and bytes that are not are written out by then.
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
    st.sampled_from(Reason),
    values,
)


def _fields(decision: Decision) -> dict[str, str]:
    """The fields that the line of a pass must have, with their values as they came."""
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
    """It is one line without control characters, and cut at its commas it has bley's fields."""
    line = written(decision)
    assert line.isprintable()
    assert line.splitlines() == [line]
    names = [field.partition("=")[0] for field in line.split(", ")]
    assert names == list(_fields(decision))
    assert line.count(" ") == len(names) - 1


@given(decisions)
@example(Decision(Request(sender="\x9b2J\u2028"), Reason.CLEAN))
def test_json_line_cannot_be_forged(decision: Decision) -> None:
    """It is one line without control characters, and reads back as bley's fields with the values as they came."""
    line = written(decision, is_json=True)
    assert line.isprintable()
    assert json.loads(line) == _fields(decision)
