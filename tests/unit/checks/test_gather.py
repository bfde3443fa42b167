"""All checks of a request: at once, in time, and no more than is needed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_address

import pytest

from bley.checks.dns_lists import ConfiguredList
from bley.checks.gather import Checks, Gathered
from bley.checks.helo import OwnIdentity
from bley.checks.lists.watch import ListWatch
from bley.core.dnslists.lists import DnsList, Meaning, parse_dns_lists, parse_domain_lists
from bley.core.errors import ResolverError
from bley.core.evidence import Evidence, Finding, found
from bley.core.findings import LOG_FIELDS, AnyCheck, Check, FindingKind
from bley.core.mail import Address, Request
from bley.core.policy import Thresholds, decisive_lists, judge
from bley.core.reasons import Reason
from bley.core.scores import parse_scores
from bley.metrics import REGISTRY
from bley.ports import Outcome, ResourceRecord, RrType
from tests.fakes import SILENT, FakeClock, FakeResolver, Zone

pytestmark = pytest.mark.leaps

REQUEST = Request(
    client_address="192.0.2.1",
    client_name="mx.example.com",
    helo_name="smtp.example.com",
    sender="a@example.com",
    recipient="b@example.org",
)
CLIENT = ip_address(REQUEST.client_address)
RFC: set[AnyCheck] = {Check.HELO, Check.DYNAMIC, Check.SENDER_IS_RECIPIENT}
LISTED = ["127.0.0.2"]
SHORT, LONG = timedelta(milliseconds=20), timedelta(hours=1)


@dataclass
class FakeSpf:
    """Finds what it is told to, or fails, or never answers (None)."""

    finding: Finding | ResolverError | None = field(default_factory=lambda: Finding(1, "fail"))
    asked: int = 0
    _released: asyncio.Future[Finding] | None = None

    def start(self, request: Request, address: Address) -> asyncio.Future[Finding]:
        self.asked += 1
        loop = asyncio.get_running_loop()
        self._released = loop.create_future()
        if self.finding is not None:
            loop.call_soon(self.release, self.finding)
        return self._released

    @property
    def is_running(self) -> bool:
        return self._released is not None and not self._released.done()

    def release(self, outcome: Finding | Exception) -> None:
        """Let the check that never answers answer after all."""
        assert self._released
        if self._released.done():
            return
        if isinstance(outcome, Finding):
            self._released.set_result(outcome)
        else:
            self._released.set_exception(outcome)


class LateResolver(FakeResolver):
    """Lets a silent name answer later."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone)
        self.asked: dict[str, asyncio.Future[Sequence[ResourceRecord]]] = {}

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        return self.asked.setdefault(name, super().resolve(name, rrtype))


class CachingResolver(FakeResolver):
    """Answers before `query` returns, as from a cache; a name that is silent answers when the test says so."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone)
        self.awaited: dict[str, Callable[[Outcome], object]] = {}

    def query(self, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
        found = self.zone.get((name, rrtype), ())
        if found == SILENT:
            self.awaited[name] = then
        else:
            then(found if isinstance(found, ResolverError) else [ResourceRecord(name, rrtype, data) for data in found])


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


async def well(lists: str, parse: Callable[[str], tuple[DnsList, ...]] = parse_dns_lists) -> list[ConfiguredList]:
    """The lists of a setting, tested and found well."""
    parsed, watch = parse(lists), ListWatch(FakeClock())
    entries: Zone = {(f"{entry}.{each.zone}", "A"): LISTED for each in parsed for entry in ("2.0.0.127", "test")}
    watch.follow([DnsList(each.zone, (), each.is_of_domains) for each in parsed], FakeResolver(entries))
    await settle()
    await watch.close()
    return [ConfiguredList(each, watch.lists[each.key]) for each in parsed]


def answers(**of_lists: Sequence[str] | ResolverError) -> FakeResolver:
    """A DNS in which the lists, `wl` for wl.example, answer this about the client."""
    return FakeResolver({(f"1.2.0.192.{name}.example", "A"): answer for name, answer in of_lists.items()})


async def make(
    resolver: FakeResolver | None = None,
    spf: FakeSpf | None = None,
    *,
    dnswls: str = "wl.example",
    dnsbls: str = "bl.example, bl2.example",
    domain_lists: str = "",
    thresholds: Thresholds | None = None,
    within: timedelta = LONG,
) -> Checks:
    return Checks(
        resolver=resolver or FakeResolver(),
        dnswls=await well(dnswls),
        dnsbls=await well(dnsbls),
        domain_lists=await well(domain_lists, parse_domain_lists),
        spf=spf,
        thresholds=thresholds or Thresholds(),
        timeout=within,
    )


async def gather(checks: Checks, **changes: str) -> Evidence:
    """The evidence; nothing is left running. Who waits for what it need not wait for takes too long."""
    async with asyncio.timeout(5):
        _, evidence, whole = await checks.gather(REQUEST._replace(**changes), CLIENT)
    if whole:
        whole.cancel()
        await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return evidence


async def waits(checks: Checks) -> bool:
    """Whether there is no evidence before time is up."""
    gathering = asyncio.create_task(checks.gather(REQUEST, CLIENT))
    await settle()
    is_waiting = not gathering.done()
    gathering.cancel()
    await asyncio.gather(gathering, return_exceptions=True)
    return is_waiting


class TestEvidence:
    async def test_without_lists_and_spf_the_request_alone_is_looked_at(self) -> None:
        evidence = await gather(await make(dnswls="", dnsbls=""))
        assert set(evidence) == RFC
        assert [evidence[check].score for check in RFC if check is not Check.HELO] == [0, 0]

    async def test_sender_is_recipient_whatever_the_case_but_never_for_the_null_sender(self) -> None:
        checks = await make(dnswls="", dnsbls="")
        same = await gather(checks, sender="B@example.ORG")
        null = await gather(checks, sender="", recipient="")
        assert (same[Check.SENDER_IS_RECIPIENT].score, null[Check.SENDER_IS_RECIPIENT].score) == (1, 0)

    async def test_all_that_is_configured_is_found(self) -> None:
        evidence = await gather(await make(answers(bl2=LISTED), FakeSpf()))
        assert (evidence[Check.DNSWL].score, evidence[Check.DNSBL].score) == (0, 1)

    async def test_findings_stand_in_one_order_whoever_answers_first(self) -> None:
        """So that the log's lines look alike."""
        checks = replace(await make(FakeResolver(), FakeSpf()), thresholds=Thresholds(rfc_threshold=4))
        evidence = await gather(checks, helo_name="localhost")
        assert list(evidence) == [*(check for check in LOG_FIELDS if check in evidence)]
        assert list(evidence)[-2:] == [FindingKind.HELO_NOT_FQDN, FindingKind.HELO_IS_LOCAL]
        every = await make(FakeResolver(), FakeSpf(), domain_lists="dbl.example")
        assert list(await gather(every)) == list(Check)

    async def test_spf_is_asked_only_where_it_can_tip_the_judgement(self) -> None:
        """With HELO 1 it can; with 0 it cannot, and with 2 it need not."""
        asked = []
        for helo_name in ("mx.example.com", "smtp.example.com", "friend"):
            spf = FakeSpf()
            await gather(await make(spf=spf), helo_name=helo_name)
            asked.append(spf.asked)
        assert asked == [0, 1, 0]

    async def test_lists_and_spf_are_asked_at_once(self) -> None:
        """Also where an allowlist will decide."""
        resolver, spf = answers(wl=LISTED), FakeSpf()
        await gather(await make(resolver, spf))
        assert len(resolver.questions) == 3

    async def test_spf_of_a_mail_to_oneself_is_asked_also_with_helo_0(self) -> None:
        spf = FakeSpf(found(FindingKind.SPF_FAIL, "fail"))
        evidence = await gather(await make(spf=spf), helo_name="mx.example.com", sender="b@example.org")
        assert (spf.asked, evidence[Check.SPF].score) == (1, 1)

    async def test_scores_say_what_each_finding_counts(self) -> None:
        scores = parse_scores("helo-half-match=3, spf-fail=7")
        checks = replace(await make(spf=FakeSpf(found(FindingKind.SPF_FAIL, "fail"))), scores=scores)
        checks = replace(checks, thresholds=Thresholds(rfc_threshold=10))
        evidence = await gather(checks)
        assert (evidence[Check.HELO].score, evidence[Check.SPF].score) == (3, 7)

    async def test_our_own_name_and_networks_are_known_to_the_checks(self) -> None:
        checks = replace(await make(dnswls="", dnsbls=""), us=OwnIdentity("mx.example.org"))
        assert FindingKind.HELO_CLAIMS_US in await gather(checks, helo_name="mx.example.org")


class TestWhatIsWaitedFor:
    @pytest.mark.parametrize("silent", ["wl2", "bl", "bl2"])
    async def test_an_allowlist_that_decides_waits_for_nobody(self, silent: str) -> None:
        resolver = answers(wl=LISTED, **{silent: SILENT})
        evidence = await gather(await make(resolver, FakeSpf(None), dnswls="wl.example, wl2.example"))
        assert evidence[Check.DNSWL].score == 1
        assert Check.SPF not in evidence

    async def test_allowlists_decide_by_their_sum(self) -> None:
        resolver = answers(wl=LISTED, wl2=LISTED, wl3=SILENT, bl=SILENT)
        thresholds = Thresholds(dnswl_threshold=3)
        lists = "wl.example*2, wl2.example, wl3.example"
        evidence = await gather(await make(resolver, dnswls=lists, thresholds=thresholds))
        assert evidence[Check.DNSWL].score == 3
        resolver.zone["1.2.0.192.wl2.example", "A"] = SILENT
        assert await waits(await make(resolver, dnswls=lists, thresholds=thresholds))

    async def test_a_negative_weight_among_allowlists_keeps_it_open(self) -> None:
        resolver = answers(wl=LISTED, wl2=SILENT)
        assert await waits(await make(resolver, dnswls="wl.example, wl2.example*-1", dnsbls=""))
        assert not await waits(await make(resolver, dnswls="wl.example*2, wl2.example*-1", dnsbls=""))

    async def test_blocklists_that_decide_wait_for_no_other_blocklist_nor_spf(self) -> None:
        evidence = await gather(await make(answers(bl=LISTED, bl2=SILENT), FakeSpf(None)))
        assert set(evidence) == RFC | {Check.DNSWL, Check.DNSBL}
        assert evidence[Check.DNSBL].score == 1

    async def test_blocklists_that_decide_wait_for_an_allowlist_that_could_still_outdo_them(self) -> None:
        assert await waits(await make(answers(bl=LISTED, wl=SILENT)))

    async def test_blocklists_that_decide_do_not_wait_for_an_allowlist_that_could_not(self) -> None:
        """Its weight alone does not reach the threshold."""
        checks = await make(answers(bl=LISTED, wl=SILENT), thresholds=Thresholds(dnswl_threshold=2))
        evidence = await gather(checks)
        assert evidence[Check.DNSBL].score == 1
        assert Check.DNSWL not in evidence

    async def test_blocklists_that_decide_and_an_allowlist_that_answers_later(self) -> None:
        """Whose answer then is the one that counts."""
        resolver = LateResolver(answers(bl=LISTED, bl2=SILENT, wl=SILENT).zone)
        gathering = asyncio.create_task((await make(resolver)).gather(REQUEST, CLIENT))
        await settle()
        assert not gathering.done()
        resolver.asked["1.2.0.192.wl.example"].set_result([])
        async with asyncio.timeout(5):
            evidence = (await gathering).evidence
        assert (evidence[Check.DNSWL].score, evidence[Check.DNSBL].score) == (0, 1)

    async def test_a_negative_weight_among_blocklists_keeps_it_open(self) -> None:
        """As postscreen's users write an allowance."""
        resolver = answers(bl=LISTED, bl2=SILENT)
        assert await waits(await make(resolver, dnsbls="bl.example*2, bl2.example*-2"))
        assert not await waits(await make(resolver, dnsbls="bl.example*3, bl2.example*-2"))

    async def test_blocklists_that_cannot_decide_any_more_are_not_waited_for(self) -> None:
        checks = await make(
            answers(bl2=SILENT), dnsbls="bl.example*2, bl2.example", thresholds=Thresholds(dnsbl_threshold=2)
        )
        evidence = await gather(checks)
        assert evidence[Check.DNSBL].score == 0

    async def test_spf_is_waited_for_where_no_list_decides(self) -> None:
        assert await waits(await make(spf=FakeSpf(None)))
        assert (await gather(await make(spf=FakeSpf())))[Check.SPF].score == 1


class TestDomainLists:
    """They are queried with all others, about the domains of sender, HELO and client."""

    SNOWSHOE = REQUEST._replace(client_name="mx.snow.com", helo_name="mx.snow.com", sender="a@snow.com")

    async def test_a_perfect_sender_in_a_listed_domain_is_found(self) -> None:
        resolver = FakeResolver({("snow.com.dbl.example", "A"): LISTED})
        checks = await make(resolver, domain_lists="dbl.example")
        gathered = await checks.gather(self.SNOWSHOE, CLIENT)
        gathered.cancel_rest()
        assert judge(gathered.evidence, Thresholds()).reason is Reason.DOMAIN_LIST
        assert [name for name, _ in resolver.questions if "dbl" in name] == ["snow.com.dbl.example"]

    async def test_they_are_queried_in_the_same_round(self) -> None:
        """Before any other list has answered."""
        resolver = answers(wl=SILENT, bl=SILENT, bl2=SILENT)
        gathering = asyncio.create_task((await make(resolver, domain_lists="dbl.example")).gather(REQUEST, CLIENT))
        await asyncio.sleep(0)
        asked = {name for name, _ in resolver.questions}
        assert asked >= {"1.2.0.192.wl.example", "1.2.0.192.bl.example", "example.com.dbl.example"}
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)

    async def test_a_silent_one_is_waited_for_until_the_time_is_up(self) -> None:
        zone: Zone = {("example.com.dbl.example", "A"): SILENT}
        assert await waits(await make(FakeResolver(zone), domain_lists="dbl.example"))
        evidence = await gather(await make(FakeResolver(zone), domain_lists="dbl.example", within=SHORT))
        assert evidence[Check.DOMAIN_LIST] == evidence[Check.DOMAIN_LIST]._replace(score=None)
        assert evidence[Check.DOMAIN_LIST].detail == "dbl.example unknown: no answer in time"

    async def test_an_allowlist_that_decides_does_not_wait_for_it(self) -> None:
        zone: Zone = {("example.com.dbl.example", "A"): SILENT, ("1.2.0.192.wl.example", "A"): LISTED}
        assert Check.DOMAIN_LIST not in await gather(await make(FakeResolver(zone), domain_lists="dbl.example"))

    async def test_they_alone_are_checked_for_mail_that_is_related_to_earlier_mail(self) -> None:
        resolver = FakeResolver({("snow.com.dbl.example", "A"): LISTED})
        checks = await make(resolver, domain_lists="dbl.example")
        assert (await checks.check_domains(self.SNOWSHOE, CLIENT))[0] is True
        assert [name for name, _ in resolver.questions] == ["snow.com.dbl.example"]
        assert (await checks.check_domains(REQUEST, CLIENT))[0] is False

    async def test_a_silent_one_does_not_hold_such_mail_longer_than_the_time_of_all_checks(self) -> None:
        zone: Zone = {("example.com.dbl.example", "A"): SILENT}
        checks = await make(FakeResolver(zone), domain_lists="dbl.example", within=SHORT)
        is_listed, rest = await checks.check_domains(REQUEST, CLIENT)
        assert (is_listed, rest.timeout) == (False, timedelta(0))

    async def test_without_them_such_mail_costs_nothing(self) -> None:
        resolver = FakeResolver()
        checks = await make(resolver)
        assert await checks.check_domains(REQUEST, CLIENT) == (False, checks)
        assert resolver.questions == []

    async def test_a_name_that_bley_verifies_is_queried_too(self) -> None:
        """As soon as it is known; the judgement waits for it."""
        zone: Zone = {
            ("1.2.0.192.in-addr.arpa", "PTR"): ["mx.snow.com"],
            ("mx.snow.com", "A"): ["192.0.2.1"],
            ("snow.com.dbl.example", "A"): LISTED,
        }
        checks = replace(await make(FakeResolver(zone), domain_lists="dbl.example"), queries_names=True)
        evidence = await gather(checks, client_name="unknown", helo_name="mx.snow.com", sender="")
        assert evidence[Check.DOMAIN_LIST].score == 1
        evidence = await gather(checks, client_name="unknown", helo_name="friend", sender="")
        assert evidence[Check.DOMAIN_LIST].detail == "dbl.example lists snow.com: 127.0.0.2 (weight 1)"

    async def test_names_that_are_late_leave_what_is_known_of_the_sender(self) -> None:
        zone: Zone = {("1.2.0.192.in-addr.arpa", "PTR"): SILENT, ("snow.com.dbl.example", "A"): LISTED}
        checks = await make(FakeResolver(zone), domain_lists="dbl.example", within=SHORT)
        evidence = await gather(
            replace(checks, queries_names=True), client_name="unknown", helo_name="friend", sender="a@snow.com"
        )
        assert evidence[Check.DOMAIN_LIST].score == 1

    @pytest.mark.parametrize("address", ["192.168.0.1", "10.1.2.3", "fe80::1"])
    async def test_the_sender_of_a_hidden_client_has_a_domain_all_the_same(self, address: str) -> None:
        """Its address says nothing, and no address list is queried."""
        resolver = FakeResolver({("snow.com.dbl.example", "A"): LISTED})
        checks = await make(resolver, domain_lists="dbl.example")
        evidence = (await checks.gather(self.SNOWSHOE, ip_address(address))).evidence
        assert evidence[Check.DOMAIN_LIST].score == 1
        assert {name for name, _ in resolver.questions} == {"snow.com.dbl.example"}

    async def test_without_them_no_domain_is_queried(self) -> None:
        resolver = FakeResolver()
        evidence = await gather(await make(resolver))
        assert Check.DOMAIN_LIST not in evidence
        assert all(name.startswith("1.2.0.192.") for name, _ in resolver.questions)


class TestTimeIsUp:
    async def test_a_silent_list_is_unknown_and_the_others_count(self) -> None:
        checks = await make(answers(bl=LISTED, wl=SILENT), within=SHORT)
        evidence = await gather(checks)
        assert (evidence[Check.DNSWL].score, evidence[Check.DNSWL].detail) == (
            None,
            "wl.example unknown: no answer in time",
        )
        assert evidence[Check.DNSBL].score == 1

    async def test_it_comes_after_the_timeout_and_not_before(self) -> None:
        loop = asyncio.get_running_loop()
        checks = await make(answers(wl=SILENT), FakeSpf(None), within=SHORT)
        begun = loop.time()
        await gather(checks)
        assert loop.time() - begun == pytest.approx(SHORT.total_seconds())

    async def test_silent_spf_is_unknown(self) -> None:
        evidence = await gather(await make(spf=FakeSpf(None), within=SHORT))
        assert evidence[Check.SPF] == Finding(None, "no answer in time")

    async def test_spf_that_was_in_time_counts_although_a_list_was_not(self) -> None:
        evidence = await gather(await make(answers(wl=SILENT), FakeSpf(), within=SHORT))
        assert evidence[Check.SPF].score == 1

    async def test_failing_spf_is_unknown(self) -> None:
        evidence = await gather(await make(spf=FakeSpf(ResolverError("example.com", "TXT", "SERVFAIL"))))
        assert evidence[Check.SPF] == Finding(None, "example.com TXT: SERVFAIL")

    async def test_a_request_that_is_given_up_leaves_nothing_running(self) -> None:
        checks = await make(answers(wl=SILENT, bl=SILENT), FakeSpf(None))
        gathering = asyncio.create_task(checks.gather(REQUEST, CLIENT))
        await settle()
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}


class TestUnknownFindings:
    async def counted(self, checks: Checks) -> dict[str, float]:
        """By how much each check's count grows."""

        def counts() -> dict[str, float]:
            values = {
                check.value: REGISTRY.get_sample_value("bley_unknown_findings_total", {"check": check.value})
                for check in Check
            }
            return {check: value for check, value in values.items() if value is not None}

        before = counts()
        await gather(checks)
        return {check: value - before[check] for check, value in counts().items() if value != before[check]}

    async def test_what_is_late_or_failed_is_counted(self) -> None:
        error = ResolverError("", "A", "SERVFAIL")
        checks = await make(answers(wl=SILENT, bl=error, bl2=error), FakeSpf(error), within=SHORT)
        assert await self.counted(checks) == {"dnswl": 1, "dnsbl": 1, "spf": 1}

    async def test_what_was_found_or_not_needed_is_not(self) -> None:
        error = ResolverError("", "A", "SERVFAIL")
        checks = await make(answers(wl=LISTED, bl=SILENT, bl2=error), FakeSpf(None))
        assert await self.counted(checks) == {}


class TestFindings:
    async def test_what_is_found_is_counted_by_name(self) -> None:
        def counts() -> list[float]:
            values = [REGISTRY.get_sample_value("bley_findings_total", {"finding": fact}) for fact in FindingKind]
            return [value for value in values if value is not None]

        before = counts()
        await gather(await make(dnswls="", dnsbls=""), client_name="unknown", helo_name="friend")
        grown = {fact for fact, was, now in zip(FindingKind, before, counts(), strict=True) if now == was + 1}
        assert grown == {FindingKind.HELO_MISMATCH, FindingKind.HELO_NOT_FQDN, FindingKind.CLIENT_HAS_NO_NAME}


class TestExplain:
    async def test_lists_that_name_the_client_are_asked_why(self) -> None:
        resolver = answers(bl=LISTED)
        resolver.zone["1.2.0.192.bl.example", "TXT"] = [b"it sent spam"]
        checks = await make(resolver)
        evidence = await gather(checks)
        explained = await checks.explain(evidence, CLIENT)
        assert list(explained) == list(evidence)
        assert [each.text for each in explained[Check.DNSBL].answers] == ["it sent spam", ""]
        assert [each.answer.meaning for each in explained[Check.DNSBL].answers] == [Meaning.LISTED, Meaning.CLEAR]
        assert {check: explained[check].score for check in explained} == {
            check: evidence[check].score for check in evidence
        }

    async def test_for_the_judgement_nobody_is_asked_why(self) -> None:
        resolver = answers(bl=LISTED)
        await gather(await make(resolver))
        assert {rrtype for _, rrtype in resolver.questions} == {"A"}

    async def test_a_list_that_does_not_say_why_takes_no_longer_than_the_timeout(self) -> None:
        resolver = answers(bl=LISTED)
        resolver.zone["1.2.0.192.bl.example", "TXT"] = SILENT
        checks = await make(resolver, within=SHORT)
        evidence = await gather(checks)
        async with asyncio.timeout(5):
            assert await checks.explain(evidence, CLIENT) == evidence

    async def test_a_thorough_gathering_waits_for_every_list(self) -> None:
        """What decided is explained with all that was asked, whoever answered first."""
        checks = replace(await make(answers(wl=LISTED, bl=LISTED)), is_thorough=True)
        evidence = await gather(checks)
        assert [len(evidence[check].answers) for check in (Check.DNSWL, Check.DNSBL)] == [
            len(checks.dnswls),
            len(checks.dnsbls),
        ]


class TestSpfAlone:
    """For a sender that is exempt only if SPF passes."""

    async def test_its_result_is_known_to_the_checks_that_follow(self) -> None:
        """They do not ask again, have what is left of the time, and judge by it."""
        spf = FakeSpf()
        checks = replace(await make(spf=spf), sender_spf=spf)
        finding, rest = await checks.check_spf(REQUEST, CLIENT)
        evidence = await gather(rest)
        assert (finding, evidence[Check.SPF], spf.asked) == (spf.finding, spf.finding, 1)

    async def test_both_together_take_no_longer_than_the_checks_may(self) -> None:
        loop = asyncio.get_running_loop()
        spf = FakeSpf(None)
        resolver = answers(wl=SILENT, bl=SILENT, bl2=SILENT)
        checks = replace(await make(resolver, spf, within=SHORT), sender_spf=spf)
        started = loop.time()
        finding, rest = await checks.check_spf(REQUEST, CLIENT)
        evidence = await gather(rest)
        assert (finding.score, evidence[Check.SPF]) == (None, finding)
        assert loop.time() - started < 1.5 * SHORT.total_seconds()

    async def test_a_failure_of_the_dns_is_unknown(self) -> None:
        checks = replace(await make(), sender_spf=FakeSpf(ResolverError("example.com", "TXT", "SERVFAIL")))
        finding, _ = await checks.check_spf(REQUEST, CLIENT)
        assert (finding.score, finding.is_pass) == (None, False)

    async def test_without_use_spf_it_counts_nothing(self) -> None:
        """The entry works all the same, and its result is shown."""
        checks = replace(await make(), sender_spf=FakeSpf(found(FindingKind.SPF_FAIL, "fail")))
        finding, rest = await checks.check_spf(REQUEST, CLIENT)
        evidence = await gather(rest)
        assert not finding.is_pass
        assert evidence[Check.SPF] == Finding(0, "fail")

    async def test_a_best_guess_is_asked_for_by_itself(self) -> None:
        """It may judge, but it does not exempt."""
        guess, real = FakeSpf(Finding(1, "fail")), FakeSpf(found(FindingKind.SPF_NO_PASS, "none"))
        checks = replace(await make(spf=guess), sender_spf=real)
        finding, rest = await checks.check_spf(REQUEST, CLIENT)
        evidence = await gather(rest, helo_name="other.example.net", sender="b@example.org")
        assert (finding, evidence[Check.SPF]) in [(real.finding, guess.finding), (real.finding, real.finding)]
        assert (real.asked, guess.asked <= 1) == (1, True)


PTR = ("1.2.0.192.in-addr.arpa", "PTR")
HERE = ["192.0.2.1"]
SERVFAIL = ResolverError("", "PTR", "SERVFAIL")


class TestTheRestOfTheAnswers:
    """After the judgement: the answers that show whether a DNS list has decided alone."""

    @staticmethod
    async def whole(checks: Checks) -> asyncio.Future[Evidence]:
        """Return the evidence to come, after the judgement of a listed client."""
        async with asyncio.timeout(5):
            gathered = await checks.gather(REQUEST, CLIENT)
        assert gathered.whole
        assert not gathered.whole.done()
        return gathered.whole

    @pytest.mark.parametrize(("second", "decisive"), [(LISTED, []), ([], ["bl.example"])])
    async def test_a_slower_list_shows_if_the_faster_one_has_decided_alone(
        self, second: list[str], decisive: list[str]
    ) -> None:
        resolver = LateResolver(answers(bl=LISTED, bl2=SILENT).zone)
        checks = await make(resolver)
        whole = await self.whole(checks)
        name = "1.2.0.192.bl2.example"
        resolver.asked[name].set_result([ResourceRecord(name, "A", code) for code in second])
        evidence = await asyncio.wait_for(whole, 5)
        assert [name for _, name in decisive_lists(evidence, checks.thresholds)] == decisive

    async def test_a_silent_list_is_unknown_when_the_time_is_up(self) -> None:
        checks = await make(answers(bl=LISTED, bl2=SILENT), within=SHORT)
        evidence = await asyncio.wait_for(await self.whole(checks), 5)
        assert [each.answer.meaning for each in evidence[Check.DNSBL].answers] == [Meaning.LISTED, Meaning.SILENT]

    async def test_spf_that_would_have_deferred_as_well(self) -> None:
        """Nobody waits for SPF, which cannot change the judgement, but it shows that the list did not decide alone."""
        spf = FakeSpf(None)
        checks = await make(answers(bl=LISTED), spf)
        half = REQUEST._replace(helo_name="example.com")
        gathered = await checks.gather(half, CLIENT)
        assert Check.SPF not in gathered.evidence
        assert gathered.whole
        spf.release(Finding(1, "fail", kind=FindingKind.SPF_FAIL))
        evidence = await asyncio.wait_for(gathered.whole, 5)
        assert evidence[Check.SPF].score == 1
        assert decisive_lists(evidence, checks.thresholds) == []

    async def test_nothing_is_awaited_if_no_list_can_have_decided_alone(self) -> None:
        """Of two that list the client, none has; SPF cannot change that, nor can answers if no list lists it."""
        half = REQUEST._replace(helo_name="example.com")
        for resolver in (answers(bl=LISTED, bl2=LISTED), FakeResolver()):
            checks = await make(resolver, FakeSpf(None), within=SHORT)
            gathered = await checks.gather(half, CLIENT)
            assert gathered.whole is None
            assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_all_that_runs_ends_if_it_is_cancelled(self) -> None:
        spf = FakeSpf(None)
        checks = await make(answers(bl=LISTED), spf)
        gathered = await checks.gather(REQUEST._replace(helo_name="example.com"), CLIENT)
        assert gathered.whole
        assert spf.is_running
        gathered.whole.cancel()
        await settle()
        assert not spf.is_running

    async def test_a_bug_of_spf_is_that_of_the_evidence(self) -> None:
        spf = FakeSpf(None)
        checks = await make(answers(bl=LISTED), spf)
        gathered = await checks.gather(REQUEST._replace(helo_name="example.com"), CLIENT)
        assert gathered.whole
        spf.release(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(gathered.whole, 5)

    async def test_names_of_a_client_that_an_allowlist_lets_through(self) -> None:
        """They are not needed for the answer, but without the allowlist they would have counted."""
        resolver = LateResolver({**answers(wl=LISTED).zone, ("1.2.0.192.in-addr.arpa", "PTR"): SILENT})
        checks = replace(await make(resolver), queries_names=True)
        gathered = await checks.gather(REQUEST._replace(client_name="unknown", helo_name="friend"), CLIENT)
        assert gathered.whole
        assert Check.HELO not in gathered.evidence
        resolver.asked["1.2.0.192.in-addr.arpa"].set_result([])
        evidence = await asyncio.wait_for(gathered.whole, 5)
        assert decisive_lists(evidence, checks.thresholds) == [(Check.DNSWL, "wl.example")]


class TestAnswersFromACache:
    """They are there before anything waits for them."""

    NAMELESS = REQUEST._replace(client_name="unknown", helo_name="friend")

    async def test_names_that_an_allowlist_makes_needless_are_there_at_once(self) -> None:
        """No further answer comes, on which the evidence to come could be completed."""
        checks = replace(await make(CachingResolver(answers(wl=LISTED).zone)), queries_names=True)
        gathered = await checks.gather(self.NAMELESS, CLIENT)
        assert Check.HELO not in gathered.evidence
        assert gathered.whole
        evidence = await asyncio.wait_for(gathered.whole, 5)
        assert decisive_lists(evidence, checks.thresholds) == [(Check.DNSWL, "wl.example")]

    async def test_missing_answers_have_the_time_limit_too_if_the_others_were_cached(self) -> None:
        checks = await make(CachingResolver(answers(bl=LISTED, bl2=SILENT).zone), within=SHORT)
        gathered = await checks.gather(REQUEST, CLIENT)
        assert gathered.whole
        evidence = await asyncio.wait_for(gathered.whole, 5)
        assert [each.answer.meaning for each in evidence[Check.DNSBL].answers] == [Meaning.LISTED, Meaning.SILENT]

    async def test_domain_of_a_late_name_is_cached_by_all_lists(self) -> None:
        """The evidence is complete once, after the last list, whose answer comes while the names are taken."""
        resolver, spf = CachingResolver({**answers(wl=LISTED).zone, PTR: SILENT}), FakeSpf()
        resolver.zone.update({("mx.example.net", "A"): HERE, ("example.net.dl.example", "A"): LISTED})
        checks = replace(await make(resolver, spf, domain_lists="dl.example, dl2.example"), queries_names=True)
        gathered = await checks.gather(self.NAMELESS, CLIENT)
        assert gathered.whole
        resolver.awaited[PTR[0]]([ResourceRecord(PTR[0], "PTR", "mx.example.net")])
        evidence = await asyncio.wait_for(gathered.whole, 5)
        assert evidence[Check.DOMAIN_LIST].score == 1
        assert spf.asked <= 1

    async def test_names_are_complete_only_after_the_addresses_of_all(self) -> None:
        """The addresses of the first may be cached before the others are queried."""
        resolver = CachingResolver({**answers(wl=LISTED).zone, PTR: SILENT, ("mx2.example.net", "A"): HERE})
        checks = replace(await make(resolver), queries_names=True)
        gathered = await checks.gather(self.NAMELESS, CLIENT)
        assert gathered.whole
        pointed = [ResourceRecord(PTR[0], "PTR", f"{name}.example.net") for name in ("mx1", "mx2")]
        resolver.awaited[PTR[0]](pointed)
        evidence = await asyncio.wait_for(gathered.whole, 5)
        assert "client-name-unverified" not in evidence
        assert decisive_lists(evidence, checks.thresholds) == [(Check.DNSWL, "wl.example")]


def names_of(checks: Checks, **zone: Sequence[str] | ResolverError | str) -> Checks:
    """Let the checks query names, in a DNS with this PTR (`ptr`) and these addresses: `mx` for mx.example.com."""
    assert isinstance(checks.resolver, FakeResolver)
    checks.resolver.zone[PTR] = zone.pop("ptr", ())
    checks.resolver.zone.update({(f"{name}.example.com", "A"): found for name, found in zone.items()})
    return replace(checks, queries_names=True)


class TestNames:
    """A client for which the MTA found no name."""

    async def of(self, checks: Checks, helo: str = "mx.example.com", client_name: str = "unknown") -> Gathered:
        request = REQUEST._replace(client_name=client_name, helo_name=helo)
        async with asyncio.timeout(5):
            gathered = await checks.gather(request, CLIENT)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return gathered

    def scores(self, gathered: Gathered) -> dict[str, int | None]:
        return {check.value: finding.score for check, finding in gathered.evidence.items()}

    async def test_no_name_is_told(self) -> None:
        gathered = await self.of(names_of(await make(dnswls="", dnsbls="")))
        assert gathered.request.client_name == "unknown"
        assert self.scores(gathered) == {"helo": 2, "dyn": 0, "s_eq_r": 0, "client-has-no-name": 1}

    async def test_a_name_that_does_not_lead_back_is_told(self) -> None:
        gathered = await self.of(names_of(await make(dnswls="", dnsbls=""), ptr=["host.example.net"]))
        assert self.scores(gathered) == {"helo": 2, "dyn": 0, "s_eq_r": 0, "client-name-unverified": 0}

    @pytest.mark.parametrize("helo", ["mx.example.com", "friend", "localhost", "192.0.2.1", ""])
    async def test_without_an_answer_no_finding_about_the_name_counts(self, helo: str) -> None:
        gathered = await self.of(names_of(await make(dnswls="", dnsbls=""), ptr=SERVFAIL), helo)
        scores = self.scores(gathered)
        assert scores.items() >= {"helo": None, "dyn": None, "client-has-no-name": None}.items()
        assert {score for check, score in scores.items() if check != "s_eq_r"} == {None}

    async def test_a_name_that_leads_back_is_the_client_s(self) -> None:
        """HELO, the look of an access line, and the rest are judged by it."""
        checks = names_of(await make(dnswls="", dnsbls=""), ptr=["mx.example.com"], mx=HERE)
        gathered = await self.of(checks)
        assert gathered.request == REQUEST._replace(client_name="mx.example.com", helo_name="mx.example.com")
        assert self.scores(gathered) == {"helo": 0, "dyn": 0, "s_eq_r": 0}
        line = "ip-192-0-2-1.dsl.example.com"
        checks.resolver.zone.update({PTR: [line], (line, "A"): HERE})  # type: ignore[attr-defined]
        gathered = await self.of(checks, "smtp.example.com")
        assert self.scores(gathered) == {"helo": 1, "dyn": 1, "s_eq_r": 0}

    async def test_a_helo_name_that_resolves_is_half_a_match(self) -> None:
        gathered = await self.of(names_of(await make(dnswls="", dnsbls=""), mx=HERE))
        assert gathered.evidence[Check.HELO].kind is FindingKind.HELO_RESOLVES
        assert gathered.evidence[Check.HELO].score == 1

    async def test_a_client_with_a_name_costs_no_query(self) -> None:
        checks = names_of(await make(dnswls="", dnsbls=""))
        await self.of(checks, client_name="mx.example.net")
        assert checks.resolver.questions == []  # type: ignore[attr-defined]

    async def test_a_client_without_a_name_costs_two_queries_more(self) -> None:
        """Asked at once with the lists. A mismatch leaves nothing to ask SPF."""
        spf = FakeSpf()
        checks = await make(spf=spf)
        resolver = checks.resolver
        assert isinstance(resolver, FakeResolver)
        gathering = asyncio.create_task(names_of(checks).gather(REQUEST._replace(client_name="unknown"), CLIENT))
        await asyncio.sleep(0)
        assert {name for name, _ in resolver.questions} == {
            *(f"1.2.0.192.{zone}.example" for zone in ("wl", "bl", "bl2")),
            PTR[0],
            "smtp.example.com",
        }
        await gathering
        assert len(resolver.questions) == 5
        assert spf.asked == 0

    @pytest.mark.parametrize("bl", [LISTED, []])
    async def test_a_client_whose_answers_are_all_cached_waits_for_nothing(self, bl: Sequence[str]) -> None:
        """These answers come before the wait, so none of them can end it."""
        resolver = CachingResolver(answers(bl=bl).zone)
        checks = names_of(await make(resolver, within=LONG), ptr=["host.example.com"], host=HERE)
        gathered = await self.of(checks)
        assert gathered.request.client_name == "host.example.com"
        assert gathered.evidence[Check.DNSBL].score == len(bl)

    async def test_spf_is_asked_once_the_names_leave_it_open(self) -> None:
        for mx, asked in ((HERE, 1), ([], 0)):
            spf = FakeSpf(found(FindingKind.SPF_FAIL, "fail"))
            gathered = await self.of(names_of(await make(spf=spf), ptr=["host.example.net"], mx=mx))
            assert spf.asked == asked
            assert (Check.SPF in gathered.evidence) is bool(asked)

    async def test_an_allowlist_that_decides_waits_for_no_name(self) -> None:
        gathered = await self.of(names_of(await make(answers(wl=LISTED)), ptr=SILENT, mx=SILENT))
        assert self.scores(gathered) == {"s_eq_r": 0, "dnsbl": 0, "dnswl": 1}

    @pytest.mark.parametrize("silent", ["ptr", "mx"])
    async def test_a_blocklist_that_decides_waits_for_the_names(self, silent: str) -> None:
        """A record may exist under the client's name."""
        zone = {"ptr": ["host.example.com"], "host": HERE, "mx": [], silent: SILENT}
        checks = names_of(await make(answers(bl=LISTED), within=SHORT), **zone)
        begun = asyncio.get_running_loop().time()
        gathered = await self.of(checks)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(SHORT.total_seconds())
        assert gathered.request.client_name == ("unknown" if silent == "ptr" else "host.example.com")
        assert gathered.evidence[Check.DNSBL].score == 1

    async def test_what_is_late_is_unknown_and_so_is_spf_that_was_not_begun(self) -> None:
        spf = FakeSpf()
        checks = names_of(await make(spf=spf, within=SHORT, dnswls="", dnsbls=""), ptr=SILENT)
        gathered = await self.of(replace(checks, thresholds=Thresholds(rfc_threshold=1)))
        assert self.scores(gathered) == {
            "helo": None,
            "dyn": None,
            "s_eq_r": 0,
            "spf": None,
            "client-has-no-name": None,
        }
        assert spf.asked == 0

    @pytest.mark.parametrize("ptr", [(), SILENT])
    async def test_a_bug_in_a_check_is_raised_and_leaves_no_request_waiting(
        self, monkeypatch: pytest.MonkeyPatch, ptr: Sequence[str] | str
    ) -> None:
        checks = names_of(await make(within=SHORT), ptr=ptr)
        monkeypatch.setattr("bley.checks.gather.check_request", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            await self.of(checks)

    async def test_unknown_findings_are_counted(self) -> None:
        def count() -> float | None:
            return REGISTRY.get_sample_value("bley_unknown_findings_total", {"check": "client-has-no-name"})

        before = count()
        assert before is not None
        await self.of(names_of(await make(dnswls="", dnsbls=""), ptr=SERVFAIL))
        assert count() == before + 1

    @pytest.mark.parametrize("queries_names", [True, False])
    async def test_while_the_dns_is_silent_no_name_is_no_evidence(self, *, queries_names: bool) -> None:
        checks = replace(await make(dnswls="", dnsbls=""), queries_names=queries_names)
        assert isinstance(checks.resolver, FakeResolver)
        checks.resolver.is_down = True
        gathered = await self.of(checks)
        assert self.scores(gathered) == {"helo": None, "dyn": None, "s_eq_r": 0, "client-has-no-name": None}
        assert bool(checks.resolver.questions) is queries_names

    async def test_a_request_that_is_given_up_leaves_nothing_running(self) -> None:
        checks = names_of(await make(), ptr=SILENT)
        gathering = asyncio.create_task(checks.gather(REQUEST._replace(client_name="unknown"), CLIENT))
        await settle()
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("address", ["172.18.0.1", "127.0.0.5", "100.64.0.1", "fd00::1", "fe80::1"])
@pytest.mark.parametrize("is_thorough", [True, False])
async def test_no_list_and_no_spf_is_queried_about_a_local_address(address: str, is_thorough: bool) -> None:
    """The lists have none, and the real client is hidden or one of our own hosts."""
    client, resolver, spf = ip_address(address), FakeResolver(), FakeSpf()
    lists = await well("bl.example, wl.example")
    request = REQUEST._replace(client_address=address, client_name="unknown")
    checks = Checks(resolver, lists[1:], lists[:1], spf, Thresholds(rfc_threshold=3), SHORT, is_thorough=is_thorough)
    evidence = (await checks.gather(request, client)).evidence
    assert (resolver.questions, spf.asked) == ([], 0)
    assert {check: evidence[check].score for check in (Check.DNSBL, Check.DNSWL)} == {Check.DNSBL: 0, Check.DNSWL: 0}
    assert evidence[Check.DNSBL].detail.startswith(f"bl.example not queried: {client} is a ")
    assert Check.SPF not in evidence


async def test_local_address_gets_no_exemption_by_spf() -> None:
    spf = FakeSpf(Finding(0, "pass"))
    checks = Checks(FakeResolver(), [], [], spf, Thresholds(), SHORT, sender_spf=spf)
    finding, following = await checks.check_spf(REQUEST, ip_address("172.18.0.1"))
    assert (finding.score, finding.detail, finding.is_pass) == (
        None,
        "not queried: 172.18.0.1 is a private address",
        False,
    )
    assert (spf.asked, following.known_spf) == (0, finding)
