"""The comparison of stored decisions with the new settings: first attempts, and what follows from them."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bley.commands.replay.judge import NewJudge
from bley.commands.replay.tally import MOST_EXAMPLES, Change, Tally
from bley.core.history.search import StoredDecision
from tests.fakes import NOON
from tests.unit.commands.replay.test_judge import HOST, configured

MISMATCH = {
    "helo": {"score": 2, "detail": "friend is not the client's name, which is unknown"},
    "dyn": {"score": 0, "detail": "no name, so none that looks dynamic"},
    "s_eq_r": {"score": 0, "detail": "sender is another"},
    "client-has-no-name": {"score": 0, "detail": "192.0.2.1 has no PTR record"},
    "helo-not-fqdn": {"score": 1, "detail": "friend has no domain"},
    "spf": {"score": 0, "detail": "none: example.com has no SPF record"},
    "dnsbl": {"score": 0, "detail": "no list"},
    "dnswl": {"score": 0, "detail": "no list"},
}
MATCH = MISMATCH | {"helo": {"score": 0, "detail": "mail.example.com is the client's name"}}


def decision(reason: str, minutes: float, *, sender: str = "a@example.com", **details: Any) -> StoredDecision:
    """Return a decision at this time, about mail of this sender."""
    passes = ("clean", "known", "waited", "client-good", "trusted", "exempt-client", "authenticated", "off", "released")
    outcome = "pass" if reason in passes else "greylist"
    words = "192.0.2.1", "unknown", "friend", sender, "b@example.org", "4.5", ""
    triplet = ["192.0.2.0/24", sender, "b@example.org"]
    at = NOON + timedelta(minutes=minutes)
    return StoredDecision(f"{minutes}{sender}", at, outcome, reason, *words, {"triplet": triplet, **details}, "mx1")


def retry(reason: str, minutes: float, first: float = 0, attempts: int = 0, **more: Any) -> StoredDecision:
    """Return a retry of mail that was first seen at this minute."""
    first_seen = (NOON + timedelta(minutes=first)).isoformat()
    return decision(reason, minutes, first_seen=first_seen, attempts=attempts, **more)


def tallied(folder: Path, decisions: Iterable[StoredDecision], **settings: Any) -> Tally:
    """Return the tally of these decisions, in any order, by these settings."""
    tally = Tally(NewJudge(configured(folder, **settings), HOST, frozenset()))
    for each in sorted(decisions, key=lambda each: each.at, reverse=True):
        tally.add(each)
    tally.finish()
    return tally


def test_retries_follow_from_their_first_attempt(tmp_path: Path) -> None:
    """Mail that passes at once has no retries: the later attempts are those of known mail."""
    story = [decision("helo", 0, findings=MISMATCH), retry("early", 2), retry("waited", 9), decision("known", 60)]
    same = tallied(tmp_path, story)
    assert dict(same.changes) == {Change(name, name in ("helo", "early"), name, name in ("helo", "early")): 1
                                  for name in ("helo", "early", "waited", "known")}  # fmt: skip
    assert (same.newly_deferred.number, same.newly_passing.number, same.changed) == (0, 0, {})
    mild = tallied(tmp_path, story, rfc_threshold=9)
    assert dict(mild.changes) == {
        Change("helo", True, "clean", False): 1,
        Change("early", True, "known", False): 1,
        Change("waited", False, "known", False): 1,
        Change("known", False, "known", False): 1,
    }
    assert (mild.newly_passing.number, mild.newly_passing.came_again) == (1, 1)


def test_retries_of_mail_that_is_exempt_now_are_exempt_too(tmp_path: Path) -> None:
    """Where mode = off, in a section too, no record makes the later attempts known."""
    story = [decision("helo", 0, findings=MISMATCH), retry("early", 2), retry("waited", 9)]
    off = tallied(tmp_path, story, mode="off")
    assert dict(off.changes) == {
        Change("helo", True, "off", False): 1,
        Change("early", True, "off", False): 1,
        Change("waited", False, "off", False): 1,
    }


def test_mail_that_is_newly_deferred_is_good_if_its_sender_wrote_again(tmp_path: Path) -> None:
    story = [
        decision("clean", 0, findings=MISMATCH),
        decision("known", 60),
        decision("clean", 1, sender="once@example.com", findings=MISMATCH),
        decision("trusted", 2, sender="listed@example.com", findings=MISMATCH),
    ]
    found = tallied(tmp_path, story).newly_deferred
    assert (found.number, found.came_again, found.trusted) == (3, 1, 1)
    assert found.examples[0].decision.sender == "a@example.com"


def test_a_shorter_or_longer_wait(tmp_path: Path) -> None:
    """The retries are those of then: an early one passes after a shorter wait."""
    story = [decision("helo", 0, findings=MISMATCH), retry("early", 2), retry("waited", 9, attempts=1)]
    assert tallied(tmp_path, story, greylist_period="1m").changes[Change("early", True, "waited", False)] == 1
    longer = tallied(tmp_path, story, greylist_period="20m")
    assert longer.changes[Change("waited", False, "early", True)] == 1
    assert all(change.matters for change in longer.changed)


def test_the_judgement_of_a_client_is_that_of_all_its_mails_in_this_time(tmp_path: Path) -> None:
    story = [
        decision("helo", 0, findings=MISMATCH),
        decision("client-bad", 0.5, sender="b@example.com", cause="helo"),
        decision("client-good", 0.7, sender="c@example.com"),
    ]
    same = tallied(tmp_path, story)
    assert same.changes[Change("client-bad", True, "client-bad", True)] == 1
    assert dict(same.not_judged) == {"client-good": 1}, "no judgement as good precedes it"
    mild = tallied(tmp_path, story, rfc_threshold=9)
    assert mild.changes[Change("client-bad", True, "client-good", False)] == 1
    assert mild.newly_passing.number == 2
    late = [story[0], decision("client-bad", 90, sender="b@example.com")]
    assert dict(tallied(tmp_path, late).not_judged) == {"client-bad": 1}


def test_a_client_that_waited_is_good(tmp_path: Path) -> None:
    story = [
        decision("helo", 0, findings=MISMATCH),
        retry("waited", 9),
        decision("client-good", 9.5, sender="c@example.com"),
    ]
    assert tallied(tmp_path, story).changes[Change("client-good", False, "client-good", False)] == 1


def test_what_has_no_evidence_is_counted_as_such(tmp_path: Path) -> None:
    story = [
        decision("exempt-client", 0),
        decision("store-error", 1, sender="b@example.com"),
        decision("off", 2, sender="c@example.com"),
        decision("classic", 3, sender="d@example.com"),
        decision("authenticated", 4, sender="e@example.com"),
        decision("released", 5, sender="f@example.com"),
    ]
    found = tallied(tmp_path, story)
    assert dict(found.not_judged) == {"exempt-client": 1, "store-error": 1, "off": 1, "classic": 1}
    assert (found.read, found.first_attempts) == (5, 4)
    assert found.changes[Change("authenticated", False, "authenticated", False)] == 1


def test_retries_without_their_first_attempt(tmp_path: Path) -> None:
    """It is older than the replay: then the wait alone decides."""
    found = tallied(tmp_path, [retry("early", 2), retry("waited", 9), decision("known", 20)], greylist_period="1m")
    assert found.changes[Change("early", True, "waited", False)] == 1
    assert found.changes[Change("waited", False, "waited", False)] == 1
    assert found.first_attempts == 0


def test_a_retry_of_another_client_starts_anew_by_address(tmp_path: Path) -> None:
    story = [decision("helo", 0, findings=MISMATCH), retry("waited", 9)._replace(client_address="192.0.2.77")]
    assert tallied(tmp_path, story, greylist_by="address").restarted == 1
    assert tallied(tmp_path, story, greylist_by="network").restarted == 0


def test_examples_are_bounded_and_of_both_kinds(tmp_path: Path) -> None:
    story = [decision("helo", number, sender=f"{number}@example.com", findings=MISMATCH) for number in range(40)]
    story += [retry("waited", number + 50, number, sender=f"{number}@example.com") for number in range(20)]
    found = tallied(tmp_path, story, rfc_threshold=9).newly_passing
    assert (found.number, found.came_again) == (40, 20)
    assert len(found.examples) == MOST_EXAMPLES
    assert sum(each.came_again for each in found.examples) == MOST_EXAMPLES // 2


def test_an_exempt_retry_passes(tmp_path: Path) -> None:
    (tmp_path / "whitelist_clients").write_text("192.0.2.1\n")
    found = tallied(tmp_path, [decision("helo", 0, findings=MISMATCH), retry("early", 2)])
    assert found.changes[Change("helo", True, "exempt-client", False)] == 1
    assert found.changes[Change("early", True, "exempt-client", False)] == 1


def test_mail_that_no_judgement_of_its_client_covers_any_more_is_judged_by_itself(tmp_path: Path) -> None:
    """Its section has become another one, or the mail for which the client was judged is exempt now.

    The DNS answers about the client are those of that mail, but SPF is about another sender.
    """
    bad = decision("client-bad", 0.5, sender="b@example.com")._replace(recipient="c@example.org")
    story = [decision("helo", 0, findings=MISMATCH), bad]
    section = "[recipients mild]\nmatch = c@example.org\nrfc_threshold = 9\n"
    found = tallied(tmp_path, story, sections=section, use_spf=0)
    assert found.changes[Change("client-bad", True, "clean", False)] == 1
    assert found.changes[Change("helo", True, "helo", True)] == 1
    (tmp_path / "whitelist_senders").write_text("a@example.com\n")
    exempt = tallied(tmp_path, story)
    assert exempt.changes[Change("helo", True, "exempt-sender", False)] == 1
    assert exempt.changes[Change("client-bad", True, "helo", True)] == 1
    later = bad._replace(at=bad.at + timedelta(minutes=1), sender="d@example.com", number="d")
    (tmp_path / "whitelist_senders").write_text("b@example.com\n")
    both = tallied(tmp_path, [*story, later])
    assert both.changes[Change("client-bad", True, "exempt-sender", False)] == 1
    assert both.changes[Change("client-bad", True, "client-bad", True)] == 1
    (tmp_path / "whitelist_senders").write_text("a@example.com\n")
    other = [story[0], bad._replace(client_address="192.0.2.2")]
    assert dict(tallied(tmp_path, other).not_judged) == {"client-bad": 1}, "another host of the network"


def test_a_judgement_of_domains_is_not_that_of_other_domains(tmp_path: Path) -> None:
    """Domain lists judge the sender with the client, so the cache has the domains too."""
    said = "dbl.example lists example.com: 127.0.1.2 (weight 1)"
    listed = MATCH | {
        "domain-list": {"score": 1, "lists": [{"list": "dbl.example", "is": said, "says": "", "weight": 1}]}
    }
    story = [
        decision("domain-list", 0, findings=listed),
        decision("client-bad", 0.5, sender="b@example.com"),
        decision("client-bad", 0.6, sender="c@other.example.net"),
    ]
    found = tallied(tmp_path, story, domain_lists="dbl.example", dnsbls="")
    assert found.changes[Change("client-bad", True, "client-bad", True)] == 1
    assert dict(found.not_judged) == {"client-bad": 1}
