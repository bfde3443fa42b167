"""The value of findings: the counts of labelled sessions."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from bench.efficacy import first_contacts, interval, main
from click.testing import CliRunner

SERVER = {"client_address": "192.0.2.1", "client_name": "mx.example.com", "helo_name": "mx.example.com"}
LINE = {"client_address": "203.0.112.2", "client_name": "x.dsl.example.net", "helo_name": "x.dsl.example.net"}
FORGED = {"client_address": "198.51.100.3", "client_name": "mx.example.net", "helo_name": "friend"}


def _session(
    label: str, client: dict[str, str], sender: str = "a@example.com", month: str = "2026-10", day: int = 1
) -> dict[str, str]:
    date = f"{month}-{day:02}T00:00:00"
    return {"label": label, **client, "sender": sender, "recipient": "b@example.org", "date": date}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    sessions = [
        _session("ham", SERVER),
        _session("ham", SERVER, sender="A@Example.com"),
        _session("ham", SERVER, sender="c@example.com"),
        _session("ham", FORGED),
        _session("spam", LINE),
        _session("spam", LINE, sender="c@example.com", month="2026-11"),
        _session("spam", SERVER, sender="d@example.com"),
    ]
    path = tmp_path / "sessions.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, sessions)).encode()))
    return path


def test_a_first_contact_is_the_first_of_its_triplet_in_any_case(file: Path) -> None:
    assert Counter(session["label"] for session in first_contacts(file)) == {"ham": 3, "spam": 3}


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (11, 2226, 0.0028, 0.0088), (0, 0, 0, 1)],
)
def test_interval_is_wilson_s(part: int, whole: int, low: float, high: float) -> None:
    """It equals published tables; without any contact it is the whole range."""
    assert interval(part, whole) == pytest.approx((low, high), abs=5e-5)


def test_the_report(file: Path) -> None:
    """It shows findings, delays by both scores, sources, and delayed ham."""
    result = CliRunner().invoke(main, [str(file)])
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[0] == "3 first contacts of ham, 3 of spam"
    assert "2 *client-looks-dynamic, helo-looks-dynamic" in result.output
    delayed = [line.split()[3:5] + line.split()[8:10] for line in lines if line.startswith("first contacts delayed")]
    assert [(ham, spam) for ham, _, spam, _ in delayed] == [("1", "0"), ("1", "2")]
    assert any(line.startswith("clients delayed the first time 1 50.00%") and "1 50.00%" in line[40:] for line in lines)
    assert any(line.startswith("2026-11 0 0.00%") and "1 100.00%" in line for line in lines)
    assert any(line.startswith("helo-looks-dynamic 0 0.00%") and "2 66.67%" in line for line in lines)
    assert "spam that passes: 1 contacts of 1 clients, most of" in lines
    delayed_ham = "mx.example.net [198.51.100.3], HELO friend, from example.com to example.org"
    assert f"{delayed_ham}: helo-mismatch, helo-not-fqdn" in lines


def _rows(file: Path) -> dict[str, tuple[str, str]]:
    """Return the numbers of ham and spam in each row below the head of the memory."""
    output = CliRunner().invoke(main, [str(file)]).output.partition("delayed, in the order of time")[2]
    rows = [re.fullmatch(r" *(\S.*?) +(\d+) +\S+% .*?- +\S+% +(\d+) .*", line) for line in output.splitlines()]
    return {row[1]: (row[2], row[3]) for row in rows if row}


def test_memory_is_shown_in_three_units(tmp_path: Path) -> None:
    """Ham is retried, so the second mail of a triplet is known, and on the next day that of its pair."""
    sessions = [
        _session("ham", FORGED, day=1),
        _session("ham", FORGED, day=2),
        _session("ham", {**FORGED, "client_address": "192.0.2.4"}, day=2),
        _session("ham", FORGED, sender="c@example.com", day=3),
        _session("spam", FORGED, sender="d@example.edu", day=3),
    ]
    path = tmp_path / "sessions.jsonl"
    path.write_text("\n".join(map(json.dumps, reversed(sessions))))
    rows = _rows(path)
    assert rows["first contacts, each by itself"] == ("3", "1")
    assert rows["first contacts, without relations"] == ("2", "1")
    assert rows["first contacts, with memory"] == ("1", "1")
    assert rows["relations, each by itself"] == ("2", "1")
    assert rows["relations, with memory"] == ("1", "1")
    assert rows["messages, each by itself"] == ("4", "1")
    assert rows["messages, with memory"] == ("1", "1")
    assert (rows["known"], rows["known-pair"], rows["helo"]) == (("1", "0"), ("1", "0"), ("1", "1"))


def test_sessions_without_a_date_have_no_memory(tmp_path: Path) -> None:
    session = _session("ham", SERVER)
    del session["date"]
    path = tmp_path / "sessions.jsonl"
    path.write_text(json.dumps(session))
    assert "no memory: no session has a date" in CliRunner().invoke(main, [str(path)]).output


def test_other_scores_are_compared(file: Path) -> None:
    result = CliRunner().invoke(main, [str(file), "--scores", "helo-looks-dynamic=0"])
    assert "scores = default, helo-looks-dynamic=0" in result.output
    assert "*helo-looks-dynamic" not in result.output


def test_wrong_scores_say_what_would_be_right(file: Path) -> None:
    result = CliRunner().invoke(main, [str(file), "--scores", "helo-claim-us=2"])
    assert result.exit_code == 2
    assert "did you mean 'helo-claims-us'?" in result.output
