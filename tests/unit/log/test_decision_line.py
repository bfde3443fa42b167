"""The log: one line a decision, in the form that postgrey's tools read."""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from bley.core.decision import Decision, DecisionEntry, KnownRequest
from bley.core.dnslists.lists import Answer, ListAnswer, Meaning, parse_dns_lists, parse_domain_lists
from bley.core.evidence import Evidence, Finding
from bley.core.findings import Check, FindingKind
from bley.core.greylist import Standing
from bley.core.history.search import StoredDecision
from bley.core.mail import RawRequest, Request
from bley.core.reasons import Reason
from bley.log.decision_line import DecisionLog, line_of, printable
from tests.fakes import NOON

REQUEST = Request(client_address="192.0.2.1", client_name="unknown", sender="a@example.com", recipient="b@example.org")
DEFERRAL = Decision(
    REQUEST,
    Reason.HELO,
    defers=True,
    standing=Standing.NEW,
    evidence={Check.HELO: Finding(2, "why"), Check.DYNAMIC: Finding(0, "why"), Check.DNSBL: Finding(None, "why")},
    wait=timedelta(minutes=5),
)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _collected(level: int) -> Iterator[list[str]]:
    """What is written of decisions at this level."""
    logger, handler = logging.getLogger("bley.decisions"), _Collector()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def known_written(requests: Iterable[Request], *, is_json: bool) -> list[str]:
    """Return the lines of requests of known mail."""
    with _collected(logging.INFO) as lines:
        log = DecisionLog(is_json=is_json, observes=False)
        log.write_known(
            [
                (KnownRequest(log.known_line(request), ""), RawRequest("", request.instance, request.queue_id))
                for request in requests
            ]
        )
    return lines


def _lines(decision: Decision, level: int, *, is_json: bool = False, observes: bool = False) -> list[str]:
    with _collected(level) as lines:
        DecisionLog(is_json=is_json, observes=observes).write(decision)
    return lines


def test_json_names_the_node_and_text_does_not() -> None:
    for is_json, expected in ((True, True), (False, False)):
        with _collected(logging.INFO) as lines:
            log = DecisionLog(is_json=is_json, observes=False, node="mx1.example.org")
            log.write(DEFERRAL)
            known = KnownRequest(log.known_line(Request()), "")
            log.write_known([(known, RawRequest("", "1f.2", "8045F2AB23"))])
        assert [("mx1.example.org" in line) for line in lines] == [expected] * 2
        if is_json:
            assert [json.loads(line)["node"] for line in lines] == ["mx1.example.org"] * 2


def listings(decision: Decision, *, is_json: bool = False) -> list[str]:
    """What the log has of the lists' own words."""
    with _collected(logging.INFO) as lines:
        DecisionLog(is_json=is_json, observes=False).write_listings(decision)
    return lines


def written(decision: Decision, *, is_json: bool = False, observes: bool = False) -> str:
    """The one line that the log has of `decision`."""
    (line,) = _lines(decision, logging.INFO, is_json=is_json, observes=observes)
    return line


def stored(decision: Decision) -> StoredDecision:
    """The decision, as a store gives it back."""
    request = decision.request
    kept = DecisionEntry(NOON, decision.outcome(observes=False), decision, request.sender, request.recipient)
    fields = request._asdict()
    del fields["protocol_state"], fields["sasl_username"]
    return StoredDecision("1", NOON, kept.outcome, decision.reason.value, **fields, details=kept.details)


_WHO = "client_name=unknown, client_address=192.0.2.1, sender=a@example.com, recipient=b@example.org"


@pytest.mark.parametrize(
    ("decision", "line"),
    [
        pytest.param(Decision(REQUEST, Reason.CLEAN), f"action=pass, reason=clean, {_WHO}", id="pass"),
        pytest.param(
            DEFERRAL,
            f"action=greylist, reason=new, {_WHO}, why=helo, helo=2 dyn=0 dnsbl=?, wait=300",
            id="deferral, with all that was found",
        ),
        pytest.param(
            DEFERRAL._replace(evidence={Check.HELO: Finding(2, ""), FindingKind.HELO_NOT_FQDN: Finding(1, "")}),
            f"action=greylist, reason=new, {_WHO}, why=helo, helo=2 helo-not-fqdn=1, wait=300",
            id="deferral, with a finding that is told by its name",
        ),
        pytest.param(
            Decision(REQUEST, Reason.EARLY, defers=True, standing=Standing.EARLY, wait=timedelta(seconds=61)),
            f"action=greylist, reason=early, {_WHO}, why=early, wait=61",
            id="early retry",
        ),
        pytest.param(
            Decision(REQUEST, Reason.STORE_ERROR, defers=True, wait=timedelta(0)),
            f"action=greylist, reason=new, {_WHO}, why=store-error, wait=0",
            id="deferral of whom nothing is known",
        ),
        pytest.param(
            Decision(REQUEST, Reason.WAITED, standing=Standing.WAITED, delayed=timedelta(seconds=360)),
            f"action=pass, reason=waited, delay=360, {_WHO}",
            id="waited",
        ),
        pytest.param(
            Decision(REQUEST, Reason.EXEMPT_CLIENT, exempted_by="clients:3:example.com"),
            f"action=pass, reason=exempt-client, {_WHO}, entry=clients:3:example.com",
            id="exempt, by which entry",
        ),
        pytest.param(
            Decision(REQUEST, Reason.CLEAN, verified_name="mx.example.com"),
            f"action=pass, reason=clean, {_WHO}, verified_name=mx.example.com",
            id="a name that only bley found",
        ),
        pytest.param(
            Decision(Request(instance="123.456.7", queue_id="8045F2AB23"), Reason.INCOMPLETE),
            "action=pass, reason=incomplete, client_name=, client_address=, sender=, recipient=,"
            " instance=123.456.7, queue_id=8045F2AB23",
            id="what ties it to Postfix's own lines",
        ),
    ],
)
def test_line(decision: Decision, line: str) -> None:
    assert written(decision) == line
    assert line_of(stored(decision)) == line


def test_observed_deferral() -> None:
    assert written(DEFERRAL, observes=True).startswith("action=would-defer, reason=new, ")
    assert written(Decision(REQUEST, Reason.CLEAN), observes=True).startswith("action=pass, reason=clean, ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("jane@example.org", "jane@example.org"),
        ("jürgen@bücher.example", "jürgen@bücher.example"),
        ("a=b", "a=b"),
        ("x, reason=known", r"x\x2c\x20reason=known"),
        ("a b", r"a\x20b"),
        ("a\nb\r\tc\0", r"a\x0ab\x0d\x09c\x00"),
        ("back\\slash", r"back\x5cslash"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m", r"\x9b31m"),
        ("\u2028\u202e", r"\u2028\u202e"),
        ("\N{NO-BREAK SPACE}", r"\xa0"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_value_cannot_forge_anything(value: str, shown: str) -> None:
    """What could be taken for a field, a line or a terminal's command is written as its code."""
    line = written(Decision(Request(sender=value), Reason.CLEAN))
    assert line == f"action=pass, reason=clean, client_name=, client_address=, sender={shown}, recipient="


def test_debugging_tells_why_each_check_found_what_it_found() -> None:
    """In words, which may hold spaces and commas, but neither line ends nor a terminal's commands."""
    evidence: Evidence = {Check.HELO: Finding(2, "a, b\n\x1b[31m\\"), Check.SPF: Finding(None, "no answer in time")}
    decision = Decision(REQUEST, Reason.CLEAN, evidence=evidence)
    assert _lines(decision, logging.DEBUG) == [
        f"action=pass, reason=clean, {_WHO}, helo=2 spf=?",
        r"helo=2: a, b\x0a\x1b[31m\x5c",
        "spf=?: no answer in time",
    ]


def test_json() -> None:
    """The same fields, the findings as an object, what is unknown as null."""
    line = written(DEFERRAL, is_json=True)
    assert json.loads(line) == {
        "action": "greylist",
        "reason": "new",
        "client_name": "unknown",
        "client_address": "192.0.2.1",
        "sender": "a@example.com",
        "recipient": "b@example.org",
        "why": "helo",
        "evidence": {"helo": 2, "dyn": 0, "dnsbl": None},
        "wait": 300,
    }
    assert "\n" not in line


def listed(**texts: str) -> Decision:
    """A deferral by lists, `bl` for bl.example, that say this; the empty string: nothing."""
    answer = Answer(Meaning.LISTED, (IPv4Address("127.0.0.2"),))
    answers = [
        ListAnswer(dns_list, answer, text)
        for name, text in texts.items()
        for dns_list in parse_dns_lists(f"{name}.example")
    ]
    return DEFERRAL._replace(evidence={Check.HELO: Finding(2, ""), Check.DNSBL: Finding(1, "", tuple(answers))})


def test_each_list_that_says_why_it_names_the_client_has_a_line() -> None:
    assert listings(listed(bl="See https://bl.example/?192.0.2.1, please", mute="", bl2="spam")) == [
        "listed_by=bl.example, client_address=192.0.2.1, list_says=See https://bl.example/?192.0.2.1, please",
        "listed_by=bl2.example, client_address=192.0.2.1, list_says=spam",
    ]
    assert listings(DEFERRAL) == []


def with_listed_domain() -> Decision:
    """A deferral by a domain list that explains itself."""
    (dbl,) = parse_domain_lists("dbl.example")
    answer = ListAnswer(dbl, Answer(Meaning.LISTED, (IPv4Address("127.0.1.2"),)), "see there", ("spam.example",))
    return DEFERRAL._replace(evidence={Check.DOMAIN_LIST: Finding(1, "", (answer,))})


def test_the_line_of_a_domain_list_names_the_domain() -> None:
    assert listings(with_listed_domain()) == [
        "listed_by=dbl.example, client_address=192.0.2.1, domain=spam.example, list_says=see there"
    ]


def test_what_a_list_says_is_a_stranger_s_text() -> None:
    decision = listed(bl="a\nb\x1b[31m\\ \u2028")
    assert listings(decision) == [
        r"listed_by=bl.example, client_address=192.0.2.1, list_says=a\x0ab\x1b[31m\x5c \u2028"
    ]
    (line,) = listings(decision, is_json=True)
    assert line.isascii()
    assert line.isprintable()


def test_what_lists_say_in_json() -> None:
    (line,) = listings(listed(bl="Möglicher Spam, so"), is_json=True)
    assert json.loads(line) == {
        "listed_by": "bl.example",
        "client_address": "192.0.2.1",
        "list_says": "Möglicher Spam, so",
    }


def test_a_list_is_named_without_the_customer_s_key() -> None:
    key = "abcdefghijklmnopqrstuvwxyz"
    (dns_list,) = parse_dns_lists(f"{key}.zen.dq.spamhaus.net")
    answer = ListAnswer(dns_list, Answer(Meaning.LISTED, (IPv4Address("127.0.0.2"),)), "spam")
    decision = DEFERRAL._replace(evidence={Check.DNSBL: Finding(1, "", (answer,))})
    for is_json in (False, True):
        (line,) = listings(decision, is_json=is_json)
        assert "********.zen.dq.spamhaus.net" in line
        assert key not in line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("words, with spaces = and more", "words, with spaces = and more"),
        ("Jürgen 漢", "Jürgen 漢"),
        ("a\nb\r\tc\0", r"a\x0ab\x0d\x09c\x00"),
        ("back\\slash", r"back\x5cslash"),
        ("\x1b[31m\x9b", r"\x1b[31m\x9b"),
        ("\u2028\u202e\U000e0001", r"\u2028\u202e\U000e0001"),
        ("", ""),
    ],
)
def test_printable_text_stays_in_its_line_and_commands_no_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
