"""The trial: the daemon's judgement with its memory, retries of ham, and the table of other settings."""

from collections.abc import Sequence

import pytest

from bley.checks.helo import OwnIdentity
from bley.core.decision import Decision
from bley.settings.file import Configuration, load
from bley.trial import trial as module
from bley.trial.facts import HAM, NO_HELO, SPAM, Facts
from bley.trial.trial import Trial, run_now

START = 1_790_000_000
MINUTE, DAY = 60, 86_400


def _mail(at: int, label: str = HAM, sender: str = "a@example.com", **more: str) -> Facts:
    """Return a mail of a suspicious client."""
    facts = Facts(label, START + at, "192.0.2.1", "mx.example.net", "friend", sender, "b@example.org", "place")
    return facts._replace(**more)  # type: ignore[arg-type]


def _clean(at: int, address: str = "203.0.113.1") -> Facts:
    return _mail(at, client_address=address, client_name="mail.example.com", helo_name="mail.example.com")


def _judged(mails: Sequence[Facts], configuration: Configuration | None = None) -> tuple[Trial, list[str]]:
    trial = Trial(configuration or load(None), OwnIdentity("mx.example.org"))
    decisions: list[Decision] = [run_now(trial.judge(facts)) for facts in mails]
    return trial, [decision.reason.value for decision in decisions]


def _alternatives(trial: Trial, label: str) -> dict[str, int]:
    return {row.settings: row.delayed[label] for row in trial.alternatives.rows}


def test_ham_is_retried_and_known_afterwards() -> None:
    trial, reasons = _judged([_mail(0), _mail(4 * MINUTE), _mail(20 * MINUTE)])
    assert reasons == ["helo", "early", "known"]
    figures = trial.figures[HAM]
    assert (figures.mails, figures.delayed, figures.strangers) == (3, 2, 1)
    assert figures.reasons == {"helo": 2}


def test_spam_is_not_retried() -> None:
    """Its next mail counts as the daemon counts it: as one that waited, or as a stranger when the record expired."""
    assert _judged([_mail(0, SPAM), _mail(20 * MINUTE, SPAM)])[1] == ["helo", "waited"]
    assert _judged([_mail(0, SPAM), _mail(11 * DAY, SPAM)])[1] == ["helo", "helo"]


def test_known_mail_expires_as_in_the_daemon() -> None:
    assert _judged([_mail(0), _mail(39 * DAY), _mail(78 * DAY), _mail(119 * DAY)])[1] == [
        "helo",
        "known",
        "known",
        "known-pair",
    ]


def test_a_client_is_judged_once_a_minute() -> None:
    others = [_mail(at, sender=f"a{at}@example.com") for at in (0, 10, 59, 100)]
    trial, reasons = _judged(others)
    assert reasons == ["helo", "client-bad", "client-bad", "helo"]
    assert trial.figures[HAM].reasons == {"helo": 4}


def test_settings_count(tmp_path: object) -> None:
    configuration = load(None).overridden({"mode": "off"})
    assert _judged([_mail(0)], configuration)[1] == ["off"]


def test_authenticated_mail_is_no_stranger_s() -> None:
    trial, reasons = _judged([_mail(0)._replace(is_authenticated=True)])
    assert reasons == ["authenticated"]
    assert sum(_alternatives(trial, HAM).values()) == 0


def test_a_missing_helo_is_unknown() -> None:
    trial, reasons = _judged([_mail(0)._replace(helo_name="", lacks=NO_HELO)])
    assert reasons == ["clean"]
    assert trial.lacks == {NO_HELO: 1}


def test_alternatives_are_those_of_a_trial_with_these_settings() -> None:
    """Each row has what a whole trial with its settings delays."""
    mails = sorted(
        [
            *(
                _mail(number * 97, SPAM, f"s{number % 40}@example.com", client_address=f"192.0.{number % 9}.7")
                for number in range(300)
            ),
            *(
                _mail(number * 131, HAM, f"h{number % 30}@example.com", client_address=f"198.51.{number % 5}.1")
                for number in range(200)
            ),
            *(_clean(number * 211, f"203.0.{number % 11}.{number % 4 + 1}") for number in range(100)),
        ],
        key=lambda facts: facts.at,
    )  # fmt: skip
    settings = load(None).settings
    changes: dict[str, dict[str, object]] = {
        "as set": {},
        "rfc_threshold = 3": {"rfc_threshold": settings.rfc_threshold + 1},
        "classic = 1": {"classic": True},
        "greylist_by = network": {"greylist_by": "network"},
        "greylist_by = address": {"greylist_by": "address"},
    }
    trial, _ = _judged(mails)
    for label in (HAM, SPAM):
        rows = _alternatives(trial, label)
        for text, change in changes.items():
            other, _ = _judged(mails, load(None).overridden(change))
            delayed = other.figures[label].delayed
            assert rows[text] == pytest.approx(delayed, abs=max(0.03 * delayed, 1)), (text, label)


def test_evidence_is_kept_of_a_bounded_number_of_mails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DELAYED", 2)
    trial, _ = _judged([_mail(number * DAY, sender=f"a@x{number}.example") for number in range(5)])
    assert (len(trial.delayed), trial.delayed_beyond) == (2, 3)


def test_a_coroutine_that_waits_is_a_bug() -> None:
    class Waits:
        def __await__(self):  # type: ignore[no-untyped-def]
            yield

    async def wait() -> None:
        await Waits()

    with pytest.raises(RuntimeError, match="waited"):
        run_now(wait())
