"""The result of a replay in words: what changes, what stays, and what cannot be told."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bley.commands.replay.page import Replay
from bley.core.history.advice import ListFiles
from bley.core.history.search import StoredDecision
from tests.fakes import NOON
from tests.unit.commands.replay.test_tally import MISMATCH, decision, retry, tallied

STORY = [
    decision("helo", 0, findings=MISMATCH),
    retry("waited", 9),
    decision("helo", 20, sender="x@example.com", findings=MISMATCH),
]
FILES = ListFiles("clients", "senders", "recipients", option=("-c", "new.conf"))


def replayed(folder: Path, decisions: list[StoredDecision], **settings: object) -> Replay:
    """Return the result for these decisions by these settings."""
    tally = tallied(folder, decisions, **settings)
    return Replay(Path("new.conf"), NOON - timedelta(days=7), NOON, tally, ["a limit"], True, False, FILES)


def test_the_numbers_come_first_and_then_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replayed(tmp_path, STORY, rfc_threshold=9).show()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "replay of 3 decisions by new.conf"
    assert lines[3:7] == [
        "2 first attempts of mail, without known mail and retries:",
        "0 would newly be deferred.",
        "2 would newly pass; 1 of them came back then, and 1 did not.",
        "0 would be decided as they were.",
    ]
    assert lines[lines.index("limits of this replay") + 1] == "- a limit"
    examples = lines[lines.index("would newly pass: 2 of 2") + 1 :]
    assert examples[0] == "2026-11-23 12:00:00 UTC  helo then, clean by these settings; came back later"
    assert examples[2] == "    bley why -c new.conf 4.5"


def test_an_observing_bley_deferred_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The words of a verdict then say would."""
    observed = [each._replace(outcome="would-defer" if each.defers else "pass") for each in STORY]
    replace(replayed(tmp_path, observed, rfc_threshold=9), observed=True).show()
    page = capsys.readouterr().out
    assert "1 of them came again then" in page
    assert "would defer" in page
    assert "deferred  clean" not in page


def test_what_lacks_a_fact_is_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without_spf = {name: found for name, found in MISMATCH.items() if name != "spf"}
    found = replayed(tmp_path, [decision("helo", 0, findings=without_spf)], rfc_threshold=5)
    found.show()
    page = capsys.readouterr().out
    assert "1 cannot be decided without facts that were not queried then: SPF." in page
    assert "helo then, clean by these settings; lacks SPF" in page
    assert found.unchanged == 0
    assert found.document["open"]["missing"] == {"SPF": 1}


def test_what_cannot_be_judged_has_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replayed(tmp_path, [decision("exempt-client", 0), decision("store-error", 1, sender="b@example.com")]).show()
    page = capsys.readouterr().out
    assert "2 cannot be judged again; the reasons are below." in page
    assert "would not be exempt any more" in page
    assert "the store was unavailable" in page


def test_nothing_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replayed(tmp_path, []).show()
    assert "No first attempt of a mail is stored in this time." in capsys.readouterr().out
