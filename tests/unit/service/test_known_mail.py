"""The caches of known mail: their size, and what they share."""

from bley.core.decision import KnownRequest
from bley.core.greylist import Standing
from bley.core.mail import RawRequest, Triplet
from bley.service.known_mail import KnownMail
from tests.fakes import NOON

TRIPLET = Triplet("example.com", "a@example.com", "b@example.org")


async def test_a_long_request_is_not_cached() -> None:
    """A peer may send 32 KB in each, and the cache's size is counted in requests."""
    known = KnownMail(100, lambda *_: None)
    ordinary, long = (RawRequest(f"sender={'a' * length}\n") for length in (1000, 5000))
    for raw in (ordinary, long):
        known.add_request("line", TRIPLET, raw, NOON)
    known.add_request("l" * 5000, TRIPLET, ordinary._replace(deciding="sender=b\n"), NOON)
    assert known.entries["requests"] == 1
    assert (known.answers(ordinary), known.answers(long)) == (True, False)


async def test_a_request_shares_the_text_of_its_triplet() -> None:
    """The text is in memory once for all requests with this triplet."""
    known = KnownMail(100, lambda *_: None)
    known.add_triplet(TRIPLET, NOON)
    for raw in (RawRequest("sender=a\n"), RawRequest("sender=b\n")):
        known.add_request("line", TRIPLET, raw, NOON)
    texts = {
        id(text) for text in [*known._triplets._young, *(each.triplet for each in known._requests._young.values())]
    }
    assert len(texts) == 1


async def test_each_mail_is_logged_with_the_cached_decision() -> None:
    """Instance and queue ID are its own; the requests of a tick are logged together."""
    logged: list[tuple[KnownRequest, RawRequest]] = []
    known = KnownMail(100, logged.extend)
    raws = [RawRequest("sender=a@example.com\n", f"i{number}", f"q{number}") for number in range(3)]
    known.add_request("line", TRIPLET, raws[0], NOON)
    assert all(map(known.answers, raws[1:]))
    assert logged == []
    known.flush()
    assert [raw for _, raw in logged] == raws
    decisions = [request.decision(raw) for request, raw in logged]
    assert {(each.reason, each.triplet, each.standing) for each in decisions} == {("known", TRIPLET, Standing.KNOWN)}
    assert [(each.request.instance, each.request.queue_id) for each in decisions] == [raw[1:] for raw in raws]
