"""Received headers (trial.received): read in time; no HELO hides the client that the mail server saw, or the host."""

import re

from bley.core.mail import parse_address
from bley.trial.received import LONGEST_RECEIVED, parse_date, parse_received
from tests.fuzz.fields import REPEAT, SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.step_time import in_time
from tests.unit.trial.test_received import FORMS

_LONGEST_HELO = 512
_ADDRESS = parse_address("192.0.2.1")
_TAILS = {
    "Postfix": "from {} (unknown [192.0.2.1]) by mx.example.org (Postfix) with SMTP id 1; 6 Nov 2026 09:00:00 +0000",
    "Postfix, with a name": "from {} (a.example.com [192.0.2.1]) (using TLSv1.3 (x)) by mx.example.org (Postfix); x",
    "Gmail": "from {} ([192.0.2.1]) by mx.example.org with ESMTPS id 1 (version=TLS1_3 x=y); 6 Nov 2026 09:00:00 +0000",
}
"""Headers of servers that write any HELO, without its control characters."""


def check(data: bytes) -> None:
    """Check any text as a header, and as the HELO of a header."""
    fields = Fields(data)
    text, helo = fields.text(), fields.text()
    hop = in_time(lambda: parse_received(text))
    assert hop.address or not (hop.name or hop.helo), "a name without a client"
    assert len(hop.helo) <= LONGEST_RECEIVED, "a HELO that is longer than what is read"
    assert hop == parse_received(f"  {text} "), "blanks around it matter"
    assert hop.at is None or hop.at > 0, "a date before 1970"
    in_time(lambda: parse_date(text))
    helo = " ".join(re.sub(r"[^ -~\x80-\U0010ffff]", "", helo)[:_LONGEST_HELO].split())
    for server, tail in _TAILS.items():
        forged = in_time(lambda tail=tail: parse_received(tail.format(helo)))  # type: ignore[misc]
        assert (forged.by, forged.address) == ("mx.example.org", _ADDRESS), f"{helo!r} hides the client from {server}"
        assert forged.name == ("a.example.com" if "name" in server else "unknown"), f"{helo!r} is a name for {server}"
        assert forged.helo == (helo or "unknown"), f"another HELO for {server}"


HARNESS = Harness(
    check,
    seeds=[
        SEPARATOR.join([text.encode(), helo.encode()])
        for text, helo in zip(
            (form for form, _ in FORMS.values()),
            [
                "mx.example.com",
                "x (mail.example.com [203.0.113.9]) by mx.evil.example",
                "(HELO x) (203.0.113.9)",
                "a by b",
            ]
            * 9,
            strict=False,
        )
    ],
    words=[b"from ", b" by ", b" with ", b"(", b")", b"[192.0.2.1]", b"(HELO ", b" helo=", b"; ", b"(Exim 4)", REPEAT],
)
