"""Exim queries bley by an ACL, as `exim -bP config` prints it with all included files."""

from pathlib import Path

import pytest

from bley.commands.doctor.exim import judge_configuration
from bley.commands.doctor.finding import Level
from bley.commands.doctor.policy_place import BleyPlaces

ACL = Path(__file__).parents[4].joinpath("contrib/exim-acl.conf").read_text()
BLEY = BleyPlaces(("127.0.0.1:1337", "unix:/run/bley.sock"))


@pytest.mark.parametrize("place", ["inet:127.0.0.1:1337", "inet:localhost:1337", "/run/bley.sock"])
def test_the_acl_of_bley_is_well(place: str) -> None:
    [finding] = judge_configuration(ACL.replace("inet:127.0.0.1:1337", place), BLEY)
    assert finding.level is Level.WELL


@pytest.mark.parametrize(
    ("old", "new", "level", "words"),
    [
        ("127.0.0.1:1337", "127.0.0.1:1338", Level.FAULT, "no ACL queries bley"),
        ("127.0.0.1:1337", "[::1]:1337", Level.FAULT, "but bley listens at 127.0.0.1:1337"),
        ("inet:127.0.0.1:1337", "/run/bley/s", Level.FAULT, "queries /run/bley/s, but"),
        ("instance=", "", Level.WARNING, "without `instance`"),
        ("DEFER_IF_PERMIT", "DEFER", Level.FAULT, "does not act on its answer"),
    ],
)
def test_a_wrong_acl_is_found(old: str, new: str, level: Level, words: str) -> None:
    [finding] = judge_configuration(ACL.replace(old, new), BLEY)
    assert finding.level is level
    assert words in finding.what
    assert finding.remedy


def test_an_acl_in_a_comment_is_none() -> None:
    [finding] = judge_configuration("".join(f"# {line}\n" for line in ACL.splitlines()), BLEY)
    assert finding.what == "no ACL queries bley"


def test_greylistd_is_a_second_greylister() -> None:
    other = "defer condition = ${readsocket{/var/run/greylistd/socket}{--grey $sender_host_address}{5s}{}{}}\n"
    findings = list(judge_configuration(ACL + other, BLEY))
    assert [each.level for each in findings] == [Level.WELL, Level.WARNING]
    assert findings[1].what == "greylistd greylists too: /var/run/greylistd/socket"


def test_the_acl_belongs_to_rcpt_to() -> None:
    text = "acl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_check_rcpt:\n  accept\nacl_check_data:\n" + ACL
    [finding] = judge_configuration(text, BLEY)
    assert finding.level is Level.WARNING
    assert "outside of acl_check_rcpt" in finding.what
    moved = text.replace(ACL, "  accept\n").replace("acl_check_rcpt:\n", "acl_check_rcpt:\n" + ACL)
    assert [each.level for each in judge_configuration(moved, BLEY)] == [Level.WELL]
    called = text.replace("  accept\n", "  accept acl = acl_bley\n")
    assert [each.level for each in judge_configuration(called, BLEY)] == [Level.WELL]
