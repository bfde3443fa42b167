"""The rows of waiting triplets."""

from datetime import timedelta

from bley.core.greylist import Record, Status, Timing
from bley.core.history.delayed_mail import DelayedMail, DomainMail, MostDelayed
from bley.core.mail import Triplet
from bley.settings.sections import Timings
from bley.web.waiting import suspected_rows
from tests.fakes import NOON


def test_suspected_rows_have_their_reason_and_their_wait_with_most_retries_first() -> None:
    delayed = DelayedMail(MostDelayed(NOON, 0, []), {"x.example": "x.example"}, {"x.example": DomainMail(2)}, 28)
    senders = {"a@x.example": 0, "b@y.example": 3}
    records = [
        (Triplet("192.0.2.0/24", sender, "c@example.org"), Record(Status.GREYLISTED, NOON, NOON, attempts))
        for sender, attempts in senders.items()
    ]
    retried, passed = suspected_rows(
        records, delayed, Timings(Timing(), []), NOON + timedelta(minutes=6), observes=False
    )
    assert (retried.triplet.sender, retried.why, retried.passed, retried.left) == (
        "b@y.example",
        "retried 3 times",
        0,
        120,
    )
    assert (passed.why, passed.passed, passed.left) == ("2 mails of x.example passed in 28 days", 2, -60)
