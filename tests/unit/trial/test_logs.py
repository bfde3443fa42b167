"""The logs of mail servers and greylisters, as they write them."""

import time
from pathlib import Path

import pytest

from bley.trial.border import Border
from bley.trial.facts import ATTEMPT, HAM, LOCAL, NO_HELO, NO_NAME, Facts
from bley.trial.log_dates import LineDates
from bley.trial.postfix_log import OTHER_REJECT
from bley.trial.reading import Reader, Source
from tests.unit.trial.test_reading import LATEST

AT = 1_793_955_600
DATA = Path(__file__).parents[2] / "data" / "logs"

ISO = "2026-11-06T10:00:00+01:00 mx "
POSTFIX = (DATA / "postfix.log").read_text()
EXIM = (DATA / "exim.log").read_text()
GREYLISTERS = (DATA / "greylisters.log").read_text()

MAIL, NAMELESS = ("192.0.2.1", "mail.example.com"), ("2001:db8::1", "unknown")
JANE = ("203.0.113.5", "line.example.net")


def _read(path: Path, text: str, start: str = ISO) -> tuple[list[Facts], Reader]:
    path.write_text("".join(f"{start}{line}\n" for line in text.splitlines()))
    reader = Reader(Border([]), LATEST, lambda _: None)
    facts = list(reader.facts(Source(path, HAM)))
    return [each._replace(place=each.place.rpartition(":")[2], folder="", server="") for each in facts], reader


def test_postfix_s_lines_become_one_request_for_each_recipient(tmp_path: Path) -> None:
    """The HELO is that of the last reject of the same client; a greylister's lines in the log are of the same mail."""
    facts, reader = _read(tmp_path / "mail.log", POSTFIX)
    assert facts == [
        Facts(HAM, AT, *MAIL, "", "a@example.com", "info@example.org", "2", NO_HELO),
        Facts(HAM, AT, *MAIL, "", "a@example.com", "c@example.org", "2", NO_HELO),
        Facts(ATTEMPT, AT, *NAMELESS, "friend", "", "b@example.org", "12"),
        Facts(HAM, AT, *NAMELESS, "friend", "", "b@example.org", "14"),
        Facts(HAM, AT, *JANE, "", "jane@example.org", "d@example.com", "5", NO_HELO, True),
    ]
    assert reader.problems.counts == {OTHER_REJECT: 1}


def test_exim_s_lines_have_the_helo(tmp_path: Path) -> None:
    facts, reader = _read(tmp_path / "mainlog", EXIM, "2026-11-06 10:00:00 +0100 ")
    assert facts == [
        Facts(HAM, AT, *MAIL, "helo.example.com", "a@example.com", "b@example.org", "1"),
        Facts(HAM, AT, *MAIL, "helo.example.com", "a@example.com", "c@example.org", "1"),
        Facts(HAM, AT, *NAMELESS, "friend", "", "b@example.org", "5"),
        Facts(HAM, AT, *NAMELESS, "friend", "", "c@example.org", "5"),
        Facts(HAM, AT, *JANE, "line.example.net", "jane@example.org", "d@example.com", "6", 0, True),
        Facts(ATTEMPT, AT, "192.0.2.7", "mail.example.net", "mail.example.net", "a@example.net", "b@example.org", "8"),
    ]
    assert reader.problems.counts == {OTHER_REJECT: 1}


def test_lines_of_greylisters_are_requests(tmp_path: Path) -> None:
    facts, reader = _read(tmp_path / "postgrey.log", GREYLISTERS)
    assert facts == [
        Facts(ATTEMPT, AT, *MAIL, "", "a@example.com", "b@example.org", "1", NO_HELO),
        Facts(HAM, AT, *NAMELESS, "", "", "b@example.org", "3", NO_HELO),
        Facts(HAM, AT, MAIL[0], "unknown", MAIL[1], "a@example.com", "b@example.org", "5", NO_NAME),
    ]
    assert reader.problems.counts == {OTHER_REJECT: 1}


def test_rspamd_s_greylisting_is_that_of_a_milter(tmp_path: Path) -> None:
    """It rejects the whole mail at its end, by Postfix's cleanup, or with the text of a greylister."""
    start = "postfix/cleanup[1]: 4X: milter-reject: END-OF-MESSAGE from line.example.net[203.0.113.5]: "
    end = "; from=<a@example.com> to=<b@example.org> proto=ESMTP helo=<x>"
    texts = ("4.7.1 Try again later", "451 4.7.1 Greylisted, come back", "5.7.1 Spam message rejected", "4.7.1 Virus")
    facts, reader = _read(tmp_path / "mail.log", "".join(f"{start}{text}{end}\n" for text in texts))
    assert facts == [
        Facts(ATTEMPT, AT, JANE[0], JANE[1], "x", "a@example.com", "b@example.org", place) for place in "12"
    ]
    assert reader.problems.counts == {OTHER_REJECT: 2}


def test_mail_that_a_filter_returns_is_no_stranger_s(tmp_path: Path) -> None:
    """An after-queue filter gives each mail back from localhost, in a new queue file."""
    facts, reader = _read(
        tmp_path / "mail.log", POSTFIX.replace("line.example.net[203.0.113.5]", "localhost[127.0.0.1]")
    )
    assert len(facts) == 4
    assert reader.problems.counts == {OTHER_REJECT: 1, LOCAL: 1}


def test_a_system_log_may_start_without_a_line_about_mail(tmp_path: Path) -> None:
    other = 2000 * "kernel: a line of another program, long enough\n"
    for text, number in ((POSTFIX, 5), (GREYLISTERS, 3)):
        facts, reader = _read(tmp_path / "syslog", other + text)
        assert len(facts) == number
        assert not reader.files.counts


def test_a_file_of_other_text_is_no_log(tmp_path: Path) -> None:
    facts, reader = _read(tmp_path / "syslog", "kernel: action=none\nCRON[1]: (root) CMD (x)\n")
    assert facts == []
    assert reader.files.counts.total() + reader.problems.counts.total() == 1


def test_a_mail_that_quotes_a_log_is_a_mail(tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_text(f"Subject: our log\n\n{ISO}{POSTFIX}")
    reader = Reader(Border([]), LATEST, lambda _: None)
    assert list(reader.facts(Source(path, HAM))) == []
    assert (reader.mails, reader.logged) == (1, 0)


@pytest.mark.parametrize("line", ["", "\0", "postfix/smtpd[1]: A: client=[", "postfix/smtpd[1]: A: client=x[999.1.1]"])
def test_broken_lines_are_skipped(tmp_path: Path, line: str) -> None:
    facts, _ = _read(tmp_path / "mail.log", f"{POSTFIX}{line}\n{POSTFIX}")
    assert len(facts) == 10


def test_dates_without_a_year_end_when_the_file_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    from datetime import UTC, datetime

    dates = LineDates(datetime(2026, 1, 10, tzinfo=UTC))
    expected = {"Jan 10 01:00:00": 2026, "Jan  9 01:00:00": 2026, "Dec 31 23:59:60": 2025, "Feb 29 00:00:00": 2024}
    for text, year in expected.items():
        found = dates.split(f"{text} mx x")
        assert found is not None
        assert datetime.fromtimestamp(found[0], UTC).year == year
    assert dates.split("Foo 10 01:00:00 mx x") is None
    assert dates.split("Jan 10 25:00:00 mx x") is None
    assert dates.split("2026-13-06T10:00:00Z x") is None
    monkeypatch.undo()
    time.tzset()
