"""All checks of a request: at once, in time, and no more than is needed."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bley.checks.gather import Checks
from bley.core.dnslists import parse_dns_lists
from bley.core.errors import ResolverError
from bley.core.evidence import Check, Evidence, Finding
from bley.core.mail import Address, Request, parse_address
from bley.core.policy import Thresholds
from tests.fakes import SILENT, FakeResolver

REQUEST = Request(
    client_address="192.0.2.1",
    client_name="mx.example.com",
    helo_name="smtp.example.com",
    sender="a@example.com",
    recipient="b@example.org",
)
RFC = {Check.HELO, Check.DYNAMIC, Check.SENDER_IS_RECIPIENT}
LISTED = ["127.0.0.2"]


@dataclass
class FakeSpf:
    """Finds what it is told to, or fails, or never answers (None)."""

    finding: Finding | ResolverError | None = field(default_factory=lambda: Finding(1, "fail"))
    asked: int = 0

    async def check(self, request: Request, address: Address) -> Finding:
        self.asked += 1
        if self.finding is None:
            await asyncio.Event().wait()
        if isinstance(self.finding, ResolverError):
            raise self.finding
        assert self.finding
        return self.finding


def make(resolver: FakeResolver | None = None, spf: FakeSpf | None = None, *, lists: bool = True) -> Checks:
    return Checks(
        resolver=resolver or FakeResolver(),
        dnswls=parse_dns_lists("wl.example") if lists else (),
        dnsbls=parse_dns_lists("bl.example, bl2.example") if lists else (),
        spf=spf,
        thresholds=Thresholds(),
        timeout=timedelta(milliseconds=100),
    )


async def gather(checks: Checks, **changes: str) -> tuple[Evidence, float]:
    """The evidence and how long it took, in seconds; nothing is left running."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    address = parse_address(REQUEST.client_address)
    assert address
    evidence = await checks.gather(replace(REQUEST, **changes), address)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return evidence, loop.time() - begun


async def test_without_lists_and_spf_the_request_alone_is_looked_at() -> None:
    evidence, _ = await gather(make(lists=False))
    assert set(evidence) == RFC
    assert [evidence[check].score for check in RFC if check is not Check.HELO] == [0, 0]


async def test_sender_is_recipient_whatever_the_case_but_never_for_the_null_sender() -> None:
    same, _ = await gather(make(lists=False), sender="B@example.ORG")
    null, _ = await gather(make(lists=False), sender="", recipient="")
    assert (same[Check.SENDER_IS_RECIPIENT].score, null[Check.SENDER_IS_RECIPIENT].score) == (1, 0)


async def test_all_that_is_configured_is_found() -> None:
    zone = {("1.2.0.192.bl2.example", "A"): LISTED}
    evidence, _ = await gather(make(FakeResolver(zone), FakeSpf()))
    assert (evidence[Check.DNSWL].score, evidence[Check.DNSBL].score) == (0, 1)


async def test_an_allowlist_that_decides_waits_for_nobody() -> None:
    zone = {("1.2.0.192.wl.example", "A"): LISTED, ("1.2.0.192.bl.example", "A"): SILENT}
    evidence, seconds = await gather(make(FakeResolver(zone), FakeSpf(None)))
    assert seconds < 0.09
    assert set(evidence) == RFC | {Check.DNSWL}


async def test_a_blocklist_that_decides_waits_for_the_allowlist_alone() -> None:
    zone = {("1.2.0.192.bl.example", "A"): LISTED}
    evidence, seconds = await gather(make(FakeResolver(zone), FakeSpf(None)))
    assert seconds < 0.09
    assert set(evidence) == RFC | {Check.DNSWL, Check.DNSBL}


async def test_a_silent_list_is_unknown_and_the_others_count() -> None:
    """Nothing takes longer than the time for all."""
    zone = {("1.2.0.192.bl.example", "A"): LISTED, ("1.2.0.192.wl.example", "A"): SILENT}
    evidence, seconds = await gather(make(FakeResolver(zone)))
    assert 0.09 < seconds < 0.5
    assert evidence[Check.DNSWL] == Finding(None, "wl.example unknown: no answer in time")
    assert evidence[Check.DNSBL].score == 1


async def test_silent_spf_is_unknown() -> None:
    evidence, seconds = await gather(make(spf=FakeSpf(None)))
    assert 0.09 < seconds < 0.5
    assert evidence[Check.SPF] == Finding(None, "no answer in time")


async def test_failing_spf_is_unknown() -> None:
    evidence, _ = await gather(make(spf=FakeSpf(ResolverError("example.com", "TXT", "SERVFAIL"))))
    assert evidence[Check.SPF] == Finding(None, "example.com TXT: SERVFAIL")


async def test_spf_is_asked_only_where_it_can_tip_the_judgement() -> None:
    """With HELO 1 it can; with 0 it cannot, and with 2 it need not."""
    asked = []
    for helo_name in ("mx.example.com", "smtp.example.com", "friend"):
        spf = FakeSpf()
        await gather(make(spf=spf), helo_name=helo_name)
        asked.append(spf.asked)
    assert asked == [0, 1, 0]


async def test_a_request_that_is_given_up_leaves_nothing_running() -> None:
    zone = {("1.2.0.192.wl.example", "A"): SILENT, ("1.2.0.192.bl.example", "A"): SILENT}
    gathering = asyncio.create_task(gather(make(FakeResolver(zone), FakeSpf(None))))
    await asyncio.sleep(0.01)
    gathering.cancel()
    await asyncio.gather(gathering, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_findings_stand_in_one_order_whoever_answers_first() -> None:
    """So that the log's lines look alike."""
    evidence, _ = await gather(make(FakeResolver(), FakeSpf()))
    assert list(evidence) == list(Check)
