"""What is answered from memory, and how much of it there can be."""

from datetime import timedelta

from bley.core.mail import RawRequest
from bley.service.known_mail import KnownMail
from tests.fakes import NOON


def test_a_long_request_is_not_remembered() -> None:
    """So that the memory's size is one in bytes: a peer may send 32 KB in each."""
    known = KnownMail(timedelta(hours=1), 100, lambda *_: None)
    ordinary, long = (RawRequest(f"sender={'a' * length}\n") for length in (1000, 5000))
    for raw in (ordinary, long):
        known.add_request("line", raw, NOON)
    known.add_request("l" * 5000, ordinary._replace(deciding="sender=b\n"), NOON)
    assert known.entries["requests"] == 1
    assert (ordinary.deciding in known._lines._young, long.deciding in known._lines._young) == (True, False)
