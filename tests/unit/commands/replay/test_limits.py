"""What a replay cannot show is named, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from bley.commands.replay.judge import NewJudge
from bley.commands.replay.limits import describe_limits, queried_lists
from bley.commands.replay.tally import Tally
from bley.core.history.audit import AuditEntry
from bley.settings.snapshot import Snapshot, take_snapshot
from tests.fakes import NOON
from tests.unit.commands.replay.test_judge import HOST, configured
from tests.unit.commands.replay.test_tally import MISMATCH, decision


def limits(
    folder: Path, then: dict[str, Any], now: dict[str, Any], *changes: AuditEntry, private: bool = False
) -> list[str]:
    """Return the limits of a replay by the one settings, of decisions by the others."""
    snapshot = Snapshot.parse(take_snapshot(configured(folder, **then)).document)
    configuration = configured(folder, **now)
    queried = queried_lists(snapshot, [])
    tally = Tally(NewJudge(configuration, HOST, queried))
    return describe_limits(configuration, snapshot, queried, changes, tally, is_private=private)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"rfc_threshold": 3, "dnsbl_threshold": 2, "scores": "bley2", "classic": 1, "greylist_period": "1h"},
        {"dnsbls": "bl.example*3", "dnswls": "", "use_spf": 0, "check_names": 0},
        {"trusted_networks": "192.0.2.0/24", "reject_msg": "later", "purge_days": "90d"},
    ],
)
def test_what_is_replayed_is_no_limit(changed: dict[str, Any], tmp_path: Path) -> None:
    """Lists that are gone or weigh otherwise, queries that are not needed any more, thresholds, scores and waits."""
    assert limits(tmp_path, {}, changed) == []


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        ({}, {"dnswls": "wl.example, new.example"}, "new.example was not queried then: here it lists nothing"),
        ({}, {"domain_lists": "bl.example"}, "bl.example (domains) was not queried then: here it lists nothing"),
        ({"use_spf": 0}, {}, "SPF was not checked then (use_spf = 0): its results are missing"),
        ({"check_names": 0}, {}, "the names of clients were not queried then (check_names = 0)"),
        ({}, {"use_spf_guess": 1}, "use_spf_guess: the results of SPF stay those of then"),
        ({}, {"cache_valid": "5m"}, "cache_valid: a client whose judgement was cached then"),
        ({}, {"greylist_by": "address"}, "greylist_by: the triplets stay those of then; 0 mails would wait again"),
        ({}, {"ipv4_prefix": 32, "recipient_delimiter": "-"}, "ipv4_prefix, recipient_delimiter: the triplets stay"),
        ({}, {"mode": "observe"}, "mode = observe: all this mail would pass"),
    ],
)
def test_a_setting_that_needs_other_facts_is_named(
    then: dict[str, Any], now: dict[str, Any], words: str, tmp_path: Path
) -> None:
    [limit] = limits(tmp_path, then, now)
    assert limit.startswith(words)


def test_entries_without_effect_are_named(tmp_path: Path) -> None:
    (tmp_path / "whitelist_clients").write_text("dyn:home.example.org\n")
    assert limits(tmp_path, {}, {}) == [
        "the addresses of entries dyn:… are not known: here these entries exempt no client"
    ]
    (tmp_path / "whitelist_clients").unlink()
    [limit] = limits(tmp_path, {}, {}, private=True)
    assert limit.startswith("local parts are stored as hashes (privacy)")


def test_list_files_of_then_that_are_not_read_are_named(tmp_path: Path) -> None:
    """A copy of bley.conf in another folder finds none of those next to it."""
    (tmp_path / "whitelist_senders").write_text("example.com\nexample.net\n")
    snapshot = Snapshot.parse(take_snapshot(configured(tmp_path)).document)
    other = tmp_path / "other"
    other.mkdir()
    configuration = configured(other)
    tally = Tally(NewJudge(configuration, HOST, frozenset()))
    queried = queried_lists(snapshot, [])
    [limit] = describe_limits(configuration, snapshot, queried, [], tally, is_private=False)
    assert limit.endswith(
        "whitelist_senders had 2 entries then, and is not read now: list files are searched in the folder of --config"
    )


def test_changes_within_the_time_are_named(tmp_path: Path) -> None:
    """They change results too; a start changes nothing, nor does a reload for another reason."""
    acts = [
        AuditEntry(NOON, "mx1", "start", "", "first start"),
        *(
            AuditEntry(NOON, "mx1", "reload", "", what)
            for what in ("no setting changed", "rfc_threshold: from 2 to 3", "mode: from observe to enforce")
        ),
    ]
    [limit] = limits(tmp_path, {}, {}, *acts)
    assert limit.startswith("the settings were changed 2 times in this time")


def test_without_the_settings_of_then_the_decisions_name_the_lists(tmp_path: Path) -> None:
    said = {"list": "bl.example", "is": "bl.example does not list it", "says": "", "weight": 0}
    found = [decision("helo", 0, findings=MISMATCH | {"dnsbl": {"score": 0, "lists": [said]}})]
    assert queried_lists(None, found) == {"bl.example"}
    configuration = configured(tmp_path, dnsbls="bl.example", dnswls="")
    tally = Tally(NewJudge(configuration, HOST, frozenset()))
    [limit] = describe_limits(configuration, None, queried_lists(None, found), [], tally, is_private=False)
    assert limit.startswith("the store does not have the settings of then")
