"""The card of the overview while anything is observed: the effect of enforcement, and what to exempt first."""

from pathlib import Path

import pytest

from bley.core.history.statistics import Count
from bley.settings.file import Configuration, load
from bley.web.observation import Observation, observation
from tests.fakes import FakeHistory
from tests.unit.web.dashboard_client import DashboardClient
from tests.unit.web.test_overview import SLOT, overview

OBSERVED = {
    ("would-defer", "dnsbl"): 60,
    ("would-defer", "helo"): 40,
    ("would-defer", "early"): 7,
    ("pass", "waited"): 5,
    ("delay", "600"): 5,
}
SECTION = "[recipients trial]\nmatch = trial.example\nmode = {}\n"


def configured(folder: Path, text: str) -> Configuration:
    """Return the configuration of a file with this text."""
    (folder / "bley.conf").write_text(text)
    return load(folder / "bley.conf")


def observed(folder: Path, text: str, counts: dict[tuple[str, str], int]) -> Observation | None:
    """Return the card for a day with these counts, by these settings."""
    return observation(overview(counts), configured(folder, text), "24h")


@pytest.mark.parametrize("text", ["[bley]\n", "[bley]\nmode = off\n", f"[bley]\n{SECTION.format('enforce')}"])
def test_without_observation_there_is_none(text: str, tmp_path: Path) -> None:
    """Even if all mail of the range was only observed: that is over."""
    assert observed(tmp_path, text, OBSERVED) is None


def test_it_counts_the_mail_that_would_have_been_deferred(tmp_path: Path) -> None:
    """Retries are not counted: each mail counts once."""
    card = observed(tmp_path, "[bley]\nmode = observe\n", OBSERVED)
    assert card
    assert card.whose == "all mail"
    assert card.sentence.replace("\u202f", "") == (
        "100 mails would have been deferred in this range: 60.0% for dnsbl, 40.0% for helo."
    )
    assert card.repeats.replace("\xa0", " ").startswith("5 mails came again after the wait, half within 10 min")
    assert card.search == "/search?outcome=would-defer&range=24h"


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        (f"[bley]\n{SECTION.format('observe')}", "mail of the recipients in [recipients trial]"),
        (
            f"[bley]\nmode = observe\n{SECTION.format('enforce')}",
            "all mail, except that of the recipients in [recipients trial]",
        ),
        (f"[bley]\nmode = observe\n{SECTION.format('observe')}", "all mail"),
    ],
)
def test_sections_have_modes_of_their_own(text: str, whose: str, tmp_path: Path) -> None:
    card = observed(tmp_path, text, OBSERVED)
    assert card
    assert card.whose == whose


def test_mail_that_was_really_deferred_is_not_said_to_come_again(tmp_path: Path) -> None:
    """Where one section observes, mail that came back after a real deferral is not apart from the rest."""
    card = observed(tmp_path, f"[bley]\n{SECTION.format('observe')}", OBSERVED | {("greylist", "helo"): 9})
    assert card
    assert card.sentence.startswith("100 mails would have been deferred")
    assert (card.repeats, card.exempt_first) == ("", [])


def test_nothing_was_observed_yet(tmp_path: Path) -> None:
    card = observed(tmp_path, "[bley]\nmode = observe\n", {("pass", "known"): 3})
    assert card
    assert (card.sentence, card.search) == ("Nothing would have been deferred in this range.", "")


async def test_the_page_has_the_card_and_a_link_to_it(tmp_path: Path) -> None:
    counts = {Count(1200, SLOT, kind, name): number for (kind, name), number in OBSERVED.items()}
    site = DashboardClient(FakeHistory([], {}, counts), [])
    assert "Is it time to enforce?" not in (await site.page("/")).text
    site.data.reconfigure(configured(tmp_path, "[bley]\nmode = observe\n"))
    page = (await site.page("/")).text
    assert "Is it time to enforce?" in page
    assert "Skip to: Is it time to enforce?" in page
    assert "bley observes all mail." in page
