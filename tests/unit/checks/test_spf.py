"""SPF as bley uses it; the RFC 7208 suite is in tests/conformance."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bley.checks.spf import SpfChecker
from bley.core.errors import ResolverError
from bley.core.evidence import Finding
from bley.core.mail import Request, parse_address
from tests.fakes import SILENT, FakeResolver, Zone

ZONE: Zone = {
    ("pass.example", "TXT"): [b"v=spf1 ip4:192.0.2.0/24 -all"],
    ("fail.example", "TXT"): [b"other", b"v=spf1 -all"],
    ("soft.example", "TXT"): [b"v=spf1 ~all"],
    ("neutral.example", "TXT"): [b"v=spf1 ?all"],
    ("broken.example", "TXT"): [b"v=spf1 nonsense"],
    ("include.example", "TXT"): [b"v=spf1 include:silent.example -all"],
    ("silent.example", "TXT"): SILENT,
    ("down.example", "TXT"): [b"v=spf1 a:broken-dns.example -all"],
    ("broken-dns.example", "A"): ResolverError("broken-dns.example", "A", "SERVFAIL"),
    ("other.example", "TXT"): [b"no policy"],
    ("mx.example", "TXT"): [b"v=spf1 mx -all"],
    ("mx.example", "MX"): [(10, "mail.mx.example")],
    ("mail.mx.example", "A"): ["192.0.2.1"],
    ("guessed.example", "A"): ["192.0.2.9"],
}


@pytest.fixture
async def resolver() -> FakeResolver:
    return FakeResolver(ZONE)


@pytest.fixture
async def checker(resolver: FakeResolver) -> AsyncIterator[SpfChecker]:
    checker = SpfChecker(resolver, timedelta(seconds=0.2), best_guess=False)
    yield checker
    checker.close()


async def check(checker: SpfChecker, sender: str, helo_name: str = "helo.example") -> Finding:
    address = parse_address("192.0.2.1")
    assert address
    return await checker.check(Request(sender=sender, helo_name=helo_name), address)


@pytest.mark.parametrize(
    ("sender", "score", "result"),
    [
        ("a@pass.example", 0, "pass: sender SPF authorized (pass.example)"),
        ("a@mx.example", 0, "pass: "),
        ("a@fail.example", 1, "fail: SPF fail - not authorized (fail.example)"),
        ("a@soft.example", 1, "softfail: "),
        ("a@neutral.example", 0, "neutral: "),
        ("a@broken.example", 0, "permerror: "),
        ("a@down.example", None, "temperror: "),
        ("a@include.example", None, "temperror: "),
        ("a@other.example", 0, "none: other.example has no SPF record"),
        ("nowhere", 0, "none: nowhere has no SPF record"),
    ],
)
async def test_result_and_score(checker: SpfChecker, sender: str, score: int | None, result: str) -> None:
    """Fail and softfail count one, a temporary error is unknown, all else counts nothing."""
    finding = await check(checker, sender)
    assert finding.score == score
    assert finding.detail.startswith(result)


async def test_the_null_sender_is_judged_by_its_helo_name(checker: SpfChecker) -> None:
    """RFC 7208 2.4."""
    assert (await check(checker, "", "fail.example")).score == 1
    assert (await check(checker, "", "pass.example")).score == 0
    assert (await check(checker, "", "[192.0.2.1]")).detail == "none: [192.0.2.1] has no SPF record"


async def test_a_domain_without_a_record_costs_one_question_and_no_thread(
    checker: SpfChecker, resolver: FakeResolver
) -> None:
    before = threading.active_count()
    await check(checker, "a@other.example")
    assert resolver.questions == [("other.example", "TXT")]
    assert threading.active_count() <= before


async def test_best_guess_judges_domains_without_a_record(resolver: FakeResolver) -> None:
    """use_spf_guess: `v=spf1 a/24 mx/24 ptr`."""
    checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=True)
    assert (await check(checker, "a@guessed.example")).detail.startswith("pass: best guess, ")
    assert (await check(checker, "a@other.example")).detail.startswith("neutral: best guess, ")
    assert (await check(checker, "a@fail.example")).score == 1
    checker.close()


async def test_many_at_once_do_not_get_each_other_s_answers(checker: SpfChecker) -> None:
    senders = ["a@pass.example", "a@fail.example", "a@mx.example", "a@soft.example"] * 25
    findings = await asyncio.gather(*(check(checker, sender) for sender in senders))
    assert [finding.score for finding in findings] == [0, 1, 0, 1] * 25


async def test_the_loop_turns_while_threads_judge(checker: SpfChecker) -> None:
    """A silent DNS blocks a thread of the pool, never the loop."""
    judged = asyncio.ensure_future(check(checker, "a@include.example"))
    turns = 0
    while not judged.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 20


@pytest.mark.parametrize(
    "record",
    [
        b"v=spf1 ip4:192.0.2.1/" + b"1" * 5000 + b" -all",
        b"v=spf1 a//" + b"1" * 5000 + b" -all",
        b"v=spf1 exists:%{d" + b"9" * 5000 + b"}.example -all",
        b"v=spf1 a:\xff.example -all",
        b"v=spf1 exists:%{} -all",
        b"v=spf1 include:hostile.example redirect=hostile.example",
    ],
    ids=lambda record: ascii(record)[:40],
)
async def test_a_hostile_record_is_a_finding_like_any_other(
    checker: SpfChecker, resolver: FakeResolver, record: bytes
) -> None:
    """A stranger wrote it: it must not do away with what the other checks find."""
    resolver.zone["hostile.example", "TXT"] = [record]
    assert not (await check(checker, "a@hostile.example")).score


async def test_the_domain_is_what_follows_the_last_at_sign(checker: SpfChecker) -> None:
    """The local part may be quoted, and Postfix sends it without its quotes."""
    assert (await check(checker, "x@y@fail.example")).score == 1
    assert (await check(checker, "fail@fail.example@pass.example")).score == 0
    assert (await check(checker, "@fail.example")).score == 1


async def test_a_silent_dns_takes_no_longer_than_the_time_given_each_time(checker: SpfChecker) -> None:
    """Its threads are free again: of as many as there are, and as many again, none waits for more than two."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    findings = await asyncio.gather(*(check(checker, "a@include.example") for _ in range(16)))
    assert loop.time() - begun < 0.7
    assert [finding.score for finding in findings] == [None] * 16


async def test_who_is_still_judging_at_the_end_ends_by_itself(checker: SpfChecker) -> None:
    before = threading.active_count()
    judging = [asyncio.ensure_future(check(checker, "a@include.example")) for _ in range(12)]
    await asyncio.sleep(0.01)
    checker.close()
    done, pending = await asyncio.wait(judging, timeout=2)
    assert not pending
    assert sum(not task.cancelled() and task.result().score is None for task in done) == 8
    while threading.active_count() > before:  # noqa: ASYNC110 (nobody tells us)
        await asyncio.sleep(0.001)
