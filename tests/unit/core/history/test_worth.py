"""The sentences about the work of bley, and its worth."""

from dataclasses import replace

import pytest

from bley.core.history.statistics import Figures
from bley.core.history.worth import describe_repeats, describe_work, describe_worth
from bley.web.formatting import SPELLING

BUSY = Figures(
    passed={"known": 40_000, "clean": 8_000, "waited": 4_401},
    deferred={"helo": 30_000, "dnsbl": 3_752, "early": 900},
    delays={"300": 1_000, "900": 3_000, "3600": 401},
)


def test_what_it_does() -> None:
    assert describe_work(BUSY, observes=False) == (
        "87,053 requests: 48,000 passed at once, 4,401 passed after the wait, 33,752 were deferred, "
        "900 retried too early."
    )
    assert describe_work(BUSY, observes=True) == (
        "87,053 requests: 48,000 would have passed at once, 4,401 came again after the wait, "
        "33,752 would have been deferred, 900 came again too early."
    )
    assert describe_work(Figures(passed={"known": 1}), observes=False) == "1 request: 1 passed at once."
    assert describe_work(Figures(), observes=False) == "No request came in this range."


def test_whether_it_is_worth_it() -> None:
    """The cost is measured by the mail that passed: spam has no part in that."""
    assert describe_worth(BUSY, 0, observes=False) == (
        "29,351 of 33,752 deferred mails (87.0%) did not come back. "
        "4,401 came back, 8.4% of all mail that passed, half within 15 min."
    )


@pytest.mark.parametrize(
    ("figures", "waiting", "words"),
    [
        (Figures(), 0, "Nothing was deferred."),
        (Figures(passed={"known": 9}), 3, "Nothing was deferred."),
        (
            Figures(deferred={"helo": 3}),
            5,
            "3 of 3 deferred mails (100.0%) did not come back; 3 of them still may. None came back so far.",
        ),
        (
            Figures(passed={"waited": 2}, deferred={"helo": 1}, delays={"longer": 2}),
            0,
            (
                "0 of 1 deferred mail (0.0%) did not come back. 2 came back, 100.0% of all mail that passed, "
                "half after more than a day."
            ),
        ),
        (
            Figures(passed={"waited": 2}),
            0,
            "Nothing was deferred. Of the mail deferred before, 2 came back, 100.0% of all mail that passed.",
        ),
    ],
)
def test_little_mail(figures: Figures, waiting: int, words: str) -> None:
    assert describe_worth(figures, waiting, observes=False) == words


def test_an_observing_bley_claims_nothing() -> None:
    text = describe_worth(replace(BUSY, only_logged=BUSY.deferred), 9, observes=True)
    assert text.startswith("33,752 mails would have been deferred, and 48,000 would have passed at once.")
    assert "come back" in text
    assert "did not" not in text
    assert describe_worth(Figures(), 0, observes=True) == "Nothing would have been deferred."


def test_the_share_of_the_period_before_stands_beside_that_of_this_one() -> None:
    before = Figures(passed={"known": 900, "waited": 100}, deferred={"helo": 500})
    assert "8.4% of all mail that passed (before: 10.0%), half within" in describe_worth(
        BUSY, 0, observes=False, before=before
    )


def test_mail_that_came_again_is_named_without_a_claim_about_retries() -> None:
    assert describe_repeats(BUSY) == (
        "4,401 mails came again after the wait, half within 15 min: such senders write often, or retry."
    )
    assert describe_repeats(Figures(deferred={"helo": 3})) == ""


def test_a_page_has_its_own_form_of_numbers() -> None:
    """They do not break, and thousands are apart by a thin space."""
    assert describe_work(BUSY, observes=False, spelling=SPELLING).startswith(f"87{chr(0x202F)}053 requests: ")


def test_mail_that_was_only_logged_is_named_among_the_deferred() -> None:
    """One section observes, or the mode was changed: that mail passed, so it stays away for another reason."""
    some = Figures(deferred={"helo": 30, "early": 5}, only_logged={"helo": 10, "early": 5})
    assert describe_worth(some, 0, observes=False).endswith(
        "None came back so far. 10 of the deferred were only logged, by mode = observe, and had no need to come back."
    )
    assert "only logged" not in describe_worth(BUSY, 0, observes=False)
    assert "only logged" not in describe_worth(some, 0, observes=True)


def test_mail_that_was_deferred_before_mode_observe_is_named() -> None:
    some = Figures(deferred={"helo": 30, "early": 5}, only_logged={"helo": 10, "early": 5})
    assert describe_worth(some, 0, observes=True).startswith(
        "30 mails would have been deferred (20 were, by mode = enforce), and 0 would have passed at once. "
    )
