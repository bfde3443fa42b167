"""All sources of a trial; and mail by mail the same facts and judgement as from the sessions that it was made of."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bley.core.mail import Request, parse_address
from bley.core.policy import Thresholds
from bley.trial.border import Border
from bley.trial.facts import COPY, HAM, LOCAL, NO_CLIENT, NO_DATE, NO_RECEIVED, OTHER_WAY, SPAM, Facts
from bley.trial.judging import judge_offline
from bley.trial.reading import Reader, Source, sample_border, total_size
from bley.trial.sessions import NO_SESSION, SESSION_FIELDS
from tests.written_mail import BORDER, SERVERS, written_mail

DATA = Path(__file__).parents[2] / "data" / "sessions.jsonl.gz"
LATEST = 2_000_000_000

SESSIONS: list[dict[str, str]] = [
    json.loads(line) | {"date": f"2026-10-{number % 28 + 1:02}T10:00:00+02:00"}
    for number, line in enumerate(gzip.decompress(DATA.read_bytes()).splitlines())
]


def read(sources: Sequence[Source], border: Border | None = None) -> tuple[list[Facts], Reader]:
    reader = Reader(border or sample_border(sources), LATEST, lambda _: None)
    return [facts for source in sources for facts in reader.facts(source)], reader


def mbox(path: Path, mails: Sequence[bytes]) -> Source:
    line = b"From somebody@example.com Fri Nov  6 10:00:00 2026\n"
    path.write_bytes(b"".join(line + mail for mail in mails))
    return Source(path, HAM)


@pytest.mark.parametrize("server", SERVERS)
def test_mailboxes_have_the_judgement_of_their_sessions(tmp_path: Path, server: str) -> None:
    """Each mail has the facts of its session, and so the evidence and judgement of `make efficacy`."""
    facts, reader = read([mbox(tmp_path / "mbox", [written_mail(session, server) for session in SESSIONS])])
    assert len(facts) == len(SESSIONS) == reader.mails, reader.problems.counts
    for found, session in zip(facts, SESSIONS, strict=True):
        expected = Request(**{name: session[name] for name in SESSION_FIELDS})
        own = found.request._replace(protocol_state="")
        assert own == expected
        address = parse_address(session["client_address"])
        assert address
        assert judge_offline(own, address, Thresholds()) == judge_offline(expected, address, Thresholds())


def test_sessions_are_read_with_their_own_labels(tmp_path: Path) -> None:
    file = tmp_path / "sessions.jsonl.gz"
    file.write_bytes(gzip.compress(b"\n".join(json.dumps(session).encode() for session in SESSIONS) + b"\n{}\n{"))
    facts, reader = read([Source(file, HAM)])
    assert [each.label for each in facts] == [session["label"] for session in SESSIONS]
    assert reader.problems.counts == {NO_SESSION: 2}
    assert reader.problems.examples[NO_SESSION] == f"{file}:{len(SESSIONS) + 1}"


def test_the_border_is_found_by_itself(tmp_path: Path) -> None:
    source = mbox(tmp_path / "mbox", [written_mail(session, "Postfix") for session in SESSIONS])
    assert sample_border([source]).names == (BORDER,)


RECEIVED = "Received: from a.example.com (a.example.com [192.0.2.1]) by mx.example.org (Postfix)"
DATE = "; Fri, 6 Nov 2026 10:00:00 +0100\n"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Subject: x\n", NO_RECEIVED),
        ("Received: by mx.example.org (Postfix, from userid 0)\n", NO_CLIENT),
        (RECEIVED.replace("192.0.2.1", "10.0.0.1") + DATE, LOCAL),
        (RECEIVED.replace("mx.example.org", "mx.example.net") + DATE + RECEIVED + DATE, OTHER_WAY),
        (RECEIVED, NO_DATE),
        (RECEIVED + DATE.replace("2026", "1970"), NO_DATE),
        (RECEIVED + DATE.replace("2026", "2099"), NO_DATE),
        (RECEIVED[:40], NO_CLIENT),
    ],
)
def test_mail_that_cannot_be_used_is_counted_with_its_reason(tmp_path: Path, header: str, reason: str) -> None:
    path = tmp_path / "mail.eml"
    path.write_text(header)
    facts, reader = read([Source(path, HAM)], Border([BORDER]))
    assert facts == []
    assert reader.problems.counts == {reason: 1}
    assert reader.problems.examples == {reason: str(path)}


def test_what_is_missing_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_text(f"{RECEIVED}{DATE}From: A <a@example.com>\n")
    ((found,), _) = read([Source(path, SPAM)], Border([BORDER]))
    assert (found.label, found.sender, found.recipient, found.lacks) == (
        SPAM,
        "a@example.com",
        f"recipient@{BORDER}",
        12,
    )


def test_the_size_is_that_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(b"x" * 7)
    (tmp_path / "b.eml").write_bytes(b"x" * 8)
    assert total_size([Source(tmp_path, HAM)]) == 15


def test_a_mail_in_two_folders_counts_once(tmp_path: Path) -> None:
    """Not so a mail of another recipient, of another trace, or without a Message-ID."""
    received = "Received: from a (b.example.com [192.0.2.1]) by mx.example.org (Postfix) with ESMTP id {}; {}\n"
    first, second = (received.format(number, "Fri, 6 Nov 2026 10:00:00 +0100") for number in (1, 2))
    texts = [
        first + "Delivered-To: b@example.org\nMessage-ID: <1@example.com>\n\nx\n",
        first + "Delivered-To: b@example.org\nMessage-ID: <1@example.com>\nX-Flag: seen\n\nx\n",
        first + "Delivered-To: c@example.org\nMessage-ID: <1@example.com>\n\nx\n",
        second + "Delivered-To: b@example.org\nMessage-ID: <1@example.com>\n\nx\n",
        first + "Delivered-To: b@example.org\n\nx\n",
        first + "Delivered-To: b@example.org\n\nx\n",
    ]
    for number, text in enumerate(texts):
        folder = tmp_path / str(number) / "cur"
        folder.mkdir(parents=True)
        (folder / "mail").write_text(text)
    reader = Reader(Border(["mx.example.org"]), LATEST, lambda _: None)
    assert len(list(reader.facts(Source(tmp_path, HAM)))) == 5
    assert reader.problems.counts == {COPY: 1}
