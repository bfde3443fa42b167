"""What Postfix is told of a decision, in the operator's words."""

from datetime import timedelta

import pytest

from bley import __version__
from bley.core.decision import Decision
from bley.core.mail import Request
from bley.core.reasons import Reason
from bley.service.actions import Actions
from bley.settings.settings import Settings
from tests.fakes import NOON, FakeClock

HOSTNAME = "mx.example.org"


def _deferral(wait: timedelta | None = timedelta(minutes=5)) -> Decision:
    return Decision(Request(), Reason.HELO, defers=True, wait=wait)


def _waited(instance: str = "") -> Decision:
    return Decision(Request(instance=instance), Reason.WAITED, delayed=timedelta(seconds=360.9))


def _answer(decision: Decision, **settings: object) -> str:
    return str(Actions(Settings.model_validate(settings), HOSTNAME).action(decision, NOON))


def test_pass_is_dunno() -> None:
    """Other restrictions still have their say; OK would end them."""
    assert _answer(Decision(Request(), Reason.CLEAN)) == "DUNNO"


def test_deferral() -> None:
    assert _answer(_deferral()) == "DEFER_IF_PERMIT greylisted, try again later"


@pytest.mark.parametrize(
    ("wait", "text"),
    [
        pytest.param(timedelta(minutes=5), "300 s, helo, 100%", id="whole seconds"),
        pytest.param(timedelta(seconds=0.2), "1 s, helo, 100%", id="rounded up: after them it is over"),
        pytest.param(timedelta(0), "0 s, helo, 100%", id="none"),
        pytest.param(None, "0 s, helo, 100%", id="not known"),
    ],
)
def test_reject_msg_tells_wait_and_reason(wait: timedelta | None, text: str) -> None:
    answer = _answer(_deferral(wait), reject_msg="%(wait)s s, %(reason)s, 100%%")
    assert answer == f"DEFER_IF_PERMIT {text}"


def test_observed_deferral_is_dunno() -> None:
    assert _answer(_deferral(), mode="observe") == "DUNNO"


def test_message_that_waited_bears_the_header() -> None:
    """With the date in the form of RFC 5322."""
    assert _answer(_waited()) == (
        f"PREPEND X-Greylist: delayed 360 seconds by bley-{__version__} at mx.example.org;"
        " Mon, 23 Nov 2026 12:00:00 +0000"
    )


def test_header_of_the_operator() -> None:
    assert _answer(_waited(), greylist_header="X-Waited: %(delta)s s (100%%)") == "PREPEND X-Waited: 360 s (100%)"


def test_no_header_is_wanted() -> None:
    assert _answer(_waited(), greylist_header="") == "DUNNO"


def test_when_observing_no_mail_bears_the_header() -> None:
    """It was never delayed."""
    assert _answer(_waited(), mode="observe") == "DUNNO"


def test_one_header_a_message() -> None:
    """However many recipients it has: Postfix asks for each, with the same instance."""
    actions, clock = Actions(Settings(), HOSTNAME), FakeClock()
    verbs = [actions.action(_waited(instance), clock()).verb for instance in ("1.a", "1.a", "2.b", "1.a")]
    assert verbs == ["PREPEND", "DUNNO", "PREPEND", "DUNNO"]


@pytest.mark.parametrize("cache_size", [0, 1, 2, 100_000])
def test_one_header_a_message_however_small_the_caches_are(cache_size: int) -> None:
    """And however many messages come meanwhile, as long as they are not ten thousand."""
    actions = Actions(Settings(cache_size=cache_size), HOSTNAME)
    assert actions.action(_waited("1.a"), NOON).verb == "PREPEND"
    for number in range(9_999):
        actions.action(_waited(f"other {number}"), NOON)
    assert actions.action(_waited("1.a"), NOON).verb == "DUNNO"
    assert len(actions._marked) == 10_000


@pytest.mark.parametrize("days", [-1, 1])
def test_one_header_a_message_though_the_clock_is_set(days: int) -> None:
    """The date in the header is the clock's, the memory is not."""
    actions = Actions(Settings(), HOSTNAME)
    assert actions.action(_waited("1.a"), NOON, NOON).verb == "PREPEND"
    assert actions.action(_waited("1.a"), NOON + timedelta(days=days), NOON + timedelta(seconds=1)).verb == "DUNNO"
    assert str(actions.action(_waited("2.b"), NOON + timedelta(days=1), NOON)).endswith(
        "Tue, 24 Nov 2026 12:00:00 +0000"
    )


def test_without_instance_each_recipient_bears_it() -> None:
    """Exim sends none; two headers are better than none."""
    actions = Actions(Settings(), HOSTNAME)
    assert [actions.action(_waited(), NOON).verb for _ in range(2)] == ["PREPEND", "PREPEND"]


def test_instance_is_remembered_for_an_hour() -> None:
    actions, clock = Actions(Settings(), HOSTNAME), FakeClock()
    verbs = []
    for minutes in (0, 59, 1):
        clock.advance(minutes=minutes)
        verbs.append(actions.action(_waited("1.a"), clock()).verb)
    assert verbs == ["PREPEND", "DUNNO", "PREPEND"]


def test_a_reload_changes_the_texts_and_shares_the_cache() -> None:
    actions = Actions(Settings(), HOSTNAME)
    actions.action(_waited("1.a"), NOON)
    before, actions = actions, actions.with_settings(Settings(reject_msg="later", greylist_header="X-Waited: yes"))
    assert str(before.action(_deferral(), NOON)) == "DEFER_IF_PERMIT greylisted, try again later"
    assert str(actions.action(_deferral(), NOON)) == "DEFER_IF_PERMIT later"
    assert str(actions.action(_waited("1.a"), NOON)) == "DUNNO"
    assert str(actions.action(_waited("2.b"), NOON)) == "PREPEND X-Waited: yes"
    actions = actions.with_settings(Settings(mode="observe"))
    assert str(actions.action(_deferral(), NOON)) == "DUNNO"
