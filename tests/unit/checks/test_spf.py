"""SPF as bley uses it; the RFC 7208 suite is in tests/conformance."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bley.checks import spf as spf_module
from bley.checks.spf import SpfChecker, running_evaluations
from bley.core.errors import ResolverError
from bley.core.evidence import Finding
from bley.core.mail import Request, parse_address
from bley.ports import ResourceRecord, RrType
from tests.counted import counted
from tests.fakes import SILENT, FakeResolver, Zone

pytestmark = pytest.mark.leaps

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
async def checker(resolver: FakeResolver) -> SpfChecker:
    return SpfChecker(resolver, timedelta(seconds=0.2), best_guess=False)


async def check(
    checker: SpfChecker, sender: str, helo_name: str = "helo.example", client: str = "192.0.2.1"
) -> Finding:
    address = parse_address(client)
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


async def test_results_are_counted_kept_ones_too(checker: SpfChecker, resolver: FakeResolver) -> None:
    """A failure of the DNS is a temperror (RFC 7208 2.6.6)."""
    resolver.zone["failing.example", "TXT"] = ResolverError("failing.example", "TXT", "SERVFAIL")
    with counted("bley_spf_results_total") as results, counted("bley_cache_hits_total") as hits:
        for name in ("pass", "pass", "fail", "soft", "neutral", "broken", "down", "other"):
            await check(checker, f"a@{name}.example")
        with pytest.raises(ResolverError):
            await check(checker, "a@failing.example")
    one_each = dict.fromkeys(("fail", "softfail", "neutral", "permerror", "none"), 1)
    assert results == {"pass": 2, "temperror": 2, **one_each}
    assert hits == {"spf": 1}
    assert checker.cached_results == 5


async def test_the_null_sender_is_judged_by_its_helo_name(checker: SpfChecker) -> None:
    """RFC 7208 2.4."""
    assert (await check(checker, "", "fail.example")).score == 1
    assert (await check(checker, "", "pass.example")).score == 0
    assert (await check(checker, "", "[192.0.2.1]")).detail == "none: [192.0.2.1] has no SPF record"


async def test_a_domain_without_a_record_costs_one_question(checker: SpfChecker, resolver: FakeResolver) -> None:
    await check(checker, "a@other.example")
    assert resolver.questions == [("other.example", "TXT")]


async def test_best_guess_judges_domains_without_a_record(resolver: FakeResolver) -> None:
    """use_spf_guess: `v=spf1 a/24 mx/24 ptr`."""
    checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=True)
    assert (await check(checker, "a@guessed.example")).detail.startswith("pass: best guess, ")
    assert (await check(checker, "a@other.example")).detail.startswith("neutral: best guess, ")
    assert (await check(checker, "a@fail.example")).score == 1


async def test_a_domain_with_a_macro_has_no_record(resolver: FakeResolver) -> None:
    """Else pyspf would put the HELO name in its place, and the result would be cached for all HELO names."""
    checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=True)
    assert (await check(checker, "a@%{h}", "guessed.example")).detail == "none: %{h} has no SPF record"
    assert resolver.questions == []


@pytest.mark.parametrize("best_guess", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        *("mail", "mail.", "localhost", "localhost.", ".", "", "example", "192.0.2.1", "[192.0.2.1]", "[IPv6:::1]"),
        *("a..example", ".a.example", "a.example..", f"{'a' * 64}.example", f"{'a.' * 125}example", "2001:db8::1"),
        *(
            "a b.example",
            "a\n.example",
            "b\u00fccher",
            "\u3002example",
            "a\u3002\u3002example",
            "\u00fc" * 60 + ".example",
        ),
    ],
    ids=ascii,
)
async def test_a_name_that_is_no_domain_has_no_record_and_costs_no_question(
    resolver: FakeResolver, name: str, best_guess: bool
) -> None:
    """RFC 7208 4.3: malformed, or not of several labels; 2.3: a HELO name may be an address literal."""
    checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=best_guess)
    for sender, helo_name in ((f"a@{name}", "x"), ("", name)):
        finding = await check(checker, sender, helo_name)
        assert (finding.score, finding.detail) == (0, f"none: {name.lower() or 'the empty name'} has no SPF record")
    assert resolver.questions == []


async def test_a_final_dot_changes_nothing(checker: SpfChecker) -> None:
    """RFC 7208 4.3: an empty label at the end is no fault."""
    assert (await check(checker, "a@fail.example.")).detail == (await check(checker, "a@fail.example")).detail
    assert (await check(checker, "", "pass.example.")).detail == (await check(checker, "", "pass.example")).detail


BOOKS = "b\u00fccher.example"
A_BOOKS = "xn--bcher-kva.example"


class TestInternationalMail:
    """RFC 8616 4: U-labels are A-labels, in macros too; a local part that is not ASCII matches no macro."""

    @pytest.mark.parametrize(
        "record",
        [
            b"ip4:192.0.2.1",
            b"a",
            b"exists:%{d}.ok.example",
            b"exists:%{o}.ok.example",
            b"exists:%{h}.ok.example",
            b"include:%{d}.ok.example",
            b"redirect=%{d}.ok.example",
        ],
    )
    @pytest.mark.parametrize(
        "name", [BOOKS, "B\u00dcCHER.example", "bu\u0308cher.example", f"{BOOKS}.", A_BOOKS.upper()]
    )
    async def test_a_u_label_is_its_a_label(self, record: bytes, name: str) -> None:
        resolver = FakeResolver(
            {
                (A_BOOKS, "TXT"): [b"v=spf1 " + record + (b"" if b"redirect" in record else b" -all")],
                (A_BOOKS, "A"): ["192.0.2.1"],
                (f"{A_BOOKS}.ok.example", "A"): ["127.0.0.2"],
                (f"{A_BOOKS}.ok.example", "TXT"): [b"v=spf1 ip4:192.0.2.1 -all"],
            }
        )
        checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=False)
        for sender, helo_name in ((f"j\u00fcrgen@{name}", name), ("", name), (name, name), (f"@{name}", name)):
            assert (await check(checker, sender, helo_name)).detail.startswith("pass: ")
        if record in (b"a", b"ip4:192.0.2.1"):
            assert (await check(checker, f"a@{name}", client="198.51.100.1")).score == 1
        assert all(asked.isascii() for asked, _ in resolver.questions)

    @pytest.mark.parametrize(
        ("record", "result"),
        [
            ("include:%{h} -all", "permerror"),
            ("exists:%{h} a:%{h} -all", "fail"),
            ("redirect=%{h}", "permerror"),
        ],
    )
    async def test_a_name_without_a_labels_has_no_records(self, record: str, result: str) -> None:
        resolver = FakeResolver({("example.com", "TXT"): [f"v=spf1 {record}".encode()]})
        checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=False)
        finding = await check(checker, "a@example.com", "mx\u05de\u045a.example")
        assert finding.detail.startswith(f"{result}: ")
        assert {name for name, _ in resolver.questions} == {"example.com"}

    @pytest.mark.parametrize(
        ("record", "result"),
        [
            ("exists:%{l}.ok.example -all", "fail"),
            ("-exists:%{S}.ok.example ?all", "neutral"),
            ("include:%{l1r}.ok.example ~all", "softfail"),
            ("redirect=%{l}.ok.example", "neutral"),
            ("exists:%{l}.ok.1 -all", "permerror"),
            ("ip4:192.0.2.1 x=%{l} -all", "pass"),
            ("exists:%%{l}.any.example -all", "pass"),
        ],
    )
    async def test_a_local_part_that_is_not_ascii_matches_nothing(self, record: str, result: str) -> None:
        """The syntax of the term counts all the same."""
        zone: Zone = {("a.example", "TXT"): [f"v=spf1 {record}".encode()], ("%{l}.any.example", "A"): ["127.0.0.2"]}
        resolver = FakeResolver(zone)
        checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=False)
        assert (await check(checker, "j\u00fcrgen@a.example")).detail.startswith(f"{result}: ")
        assert all(asked.isascii() for asked, _ in resolver.questions)


class TestWhatPyspfReadsInAnotherWay:
    async def result(self, zone: Zone, client: str = "192.0.2.1") -> str:
        checker = SpfChecker(FakeResolver(zone), timedelta(seconds=1), best_guess=False)
        return (await check(checker, "a@a.example", client=client)).detail.partition(":")[0]

    @pytest.mark.parametrize(
        "end", ["ip4:192.0.2.3\n", "x=\x07", "a/33", "moo", "ip6:z", "-all\t", "redirect=b.1", "a:%{x}"]
    )
    async def test_an_error_after_the_match_is_a_permerror(self, end: str) -> None:
        """RFC 7208 4.6."""
        assert await self.result({("a.example", "TXT"): [f"v=spf1 ip4:192.0.2.1 {end}".encode()]}) == "permerror"

    @pytest.mark.parametrize("record", [b"v=spf1\n", b"v=spf1\n-all", b"v=spf1\t-all", b"v=spf10 -all"])
    async def test_a_record_begins_with_its_version_and_a_space(self, record: bytes) -> None:
        """RFC 7208 4.5."""
        assert await self.result({("a.example", "TXT"): [record]}) == "none"

    async def test_a_redirect_counts_where_it_is_followed(self) -> None:
        """RFC 7208 4.6.4: ten terms are evaluated, and the redirect is none of them."""
        mechanisms = " ".join(f"a:h{number}.b.example" for number in range(10))
        zone: Zone = {
            ("a.example", "TXT"): [f"v=spf1 {mechanisms} redirect=b.example".encode()],
            ("b.example", "TXT"): [b"v=spf1 -all"],
            **{(f"h{number}.b.example", "A"): ["198.51.100.1"] for number in range(9)},
            ("h9.b.example", "A"): ["192.0.2.1"],
        }
        assert await self.result(zone) == "pass"
        assert await self.result(zone, "203.0.113.1") == "permerror"

    async def test_a_loop_of_redirects_ends(self) -> None:
        """RFC 7208 4.6.4."""
        assert await self.result({("a.example", "TXT"): [b"v=spf1 redirect=a.example"]}) == "permerror"

    async def test_an_include_of_itself_is_an_error_where_it_is_evaluated(self) -> None:
        """It is a loop (RFC 7208 4.6.4), no wrong syntax."""
        zone: Zone = {("a.example", "TXT"): [b"v=spf1 ip4:192.0.2.1 include:a.example -all"]}
        assert await self.result(zone) == "pass"
        assert await self.result(zone, "203.0.113.1") == "permerror"

    @pytest.mark.parametrize("term", ["include:%{d1}", "redirect=%{d1}"])
    async def test_a_name_of_one_label_has_no_record(self, term: str) -> None:
        """RFC 7208 4.3: then include and redirect are a permerror (5.2, 6.1), without a question."""
        resolver = FakeResolver(
            {("a.example", "TXT"): [f"v=spf1 {term}".encode()], ("example", "TXT"): [b"v=spf1 +all"]}
        )
        checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=False)
        assert (await check(checker, "a@a.example")).detail.startswith("permerror: ")
        assert ("example", "TXT") not in resolver.questions

    @pytest.mark.parametrize("failing", [("1.2.0.192.in-addr.arpa", "PTR"), ("b.example", "A")])
    async def test_a_name_that_cannot_be_found_does_not_match(self, failing: tuple[str, RrType]) -> None:
        """RFC 7208 5.5, and 7.3 for the macro: a failure of the DNS is no temperror there."""
        zone: Zone = {
            ("1.2.0.192.in-addr.arpa", "PTR"): ["b.example", "c.a.example"],
            ("c.a.example", "A"): ["192.0.2.1"],
            ("b.example", "A"): ["192.0.2.1"],
        }
        error: Zone = {failing: ResolverError(*failing, "SERVFAIL")}
        is_found = failing[1] == "A"
        for record in (b"v=spf1 ptr -all", b"v=spf1 -exists:%{p}.no.example exists:%{p}.ok.example -all"):
            policy: Zone = {
                ("a.example", "TXT"): [record],
                ("c.a.example.ok.example", "A"): ["127.0.0.2"],
                ("unknown.no.example", "A"): ["127.0.0.2"],
            }
            assert await self.result({**zone, **error, **policy}) == ("pass" if is_found else "fail")


async def test_a_silent_dns_is_no_answer_about_names() -> None:
    """Then a `ptr` is a temperror: the client may have a name."""
    silence = ResolverError("1.2.0.192.in-addr.arpa", "PTR", "the DNS does not answer", is_silence=True)
    zone: Zone = {("a.example", "TXT"): [b"v=spf1 ptr -all"], ("1.2.0.192.in-addr.arpa", "PTR"): silence}
    checker = SpfChecker(FakeResolver(zone), timedelta(seconds=1), best_guess=False)
    assert (await check(checker, "a@a.example")).score is None


async def test_many_at_once_do_not_get_each_other_s_answers(checker: SpfChecker) -> None:
    senders = ["a@pass.example", "a@fail.example", "a@mx.example", "a@soft.example"] * 25
    findings = await asyncio.gather(*(check(checker, sender) for sender in senders))
    assert [finding.score for finding in findings] == [0, 1, 0, 1] * 25


async def test_the_loop_turns_while_pyspf_waits(checker: SpfChecker) -> None:
    judged = asyncio.ensure_future(check(checker, "a@include.example"))
    turns = 0
    while not judged.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns == pytest.approx(200, abs=1)


@pytest.mark.parametrize(
    "record",
    [
        b"v=spf1 ip4:192.0.2.1/" + b"1" * 5000 + b" -all",
        b"v=spf1 a//" + b"1" * 5000 + b" -all",
        b"v=spf1 exists:%{d" + b"9" * 5000 + b"}.example -all",
        b"v=spf1 a:\xff.example -all",
        b"v=spf1 exists:%{} -all",
        b"v=spf1 include:hostile.example redirect=hostile.example",
        b"v=spf1" + b" ip4:192.0.2.1" * 300 + b" -all",
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


async def test_a_silent_dns_takes_no_longer_than_the_time_given_however_many_wait(checker: SpfChecker) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    findings = await asyncio.gather(*(check(checker, "a@include.example") for _ in range(100)))
    assert loop.time() - begun == pytest.approx(0.2), "one after the other it would be 20 seconds"
    assert [finding.score for finding in findings] == [None] * 100


async def test_what_is_given_up_leaves_nothing_behind(resolver: FakeResolver) -> None:
    """Where a list decides before."""
    patient = SpfChecker(resolver, timedelta(seconds=30), best_guess=False)
    slow = [asyncio.ensure_future(check(patient, "a@include.example")) for _ in range(8)]
    for _ in range(1000):
        await asyncio.sleep(0)
    assert resolver.questions.count(("silent.example", "TXT")) == len(slow)
    assert running_evaluations() == 8
    for judging in slow:
        judging.cancel()
    await asyncio.wait(slow)
    assert running_evaluations() == 0
    assert (await check(patient, "a@fail.example")).score == 1


class _AskedError(Exception):
    pass


class _NoResolver(FakeResolver):
    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        raise _AskedError(name, rrtype)


class TestKeptResults:
    async def is_kept(self, checker: SpfChecker, sender: str, client: str = "192.0.2.1", helo_name: str = "x") -> bool:
        """Whether a result is at hand, without a question."""
        try:
            await check(checker, sender, helo_name, client)
        except _AskedError:
            return False
        return True

    async def keep(self, record: bytes, others: Zone | None = None, ttl_seconds: int = 300) -> SpfChecker:
        """A checker that has checked a@kept.example from 192.0.2.1 and 2001:db8::1, and can ask no more."""
        resolver = FakeResolver({("kept.example", "TXT"): [record], **(others or {})}, ttl_seconds)
        checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=False)
        for client in ("192.0.2.1", "2001:db8::1"):
            assert (await check(checker, "a@kept.example", client=client)).detail
        checker._resolver = _NoResolver()
        return checker

    async def test_it_holds_for_the_domain_and_the_client_s_network(self) -> None:
        checker = await self.keep(b"v=spf1 ip4:192.0.2.0/24 -all")
        assert await self.is_kept(checker, "a@kept.example")
        assert await self.is_kept(checker, "b@KEPT.example", "192.0.2.99")
        assert await self.is_kept(checker, "", "192.0.2.99", helo_name="kept.example")
        assert await self.is_kept(checker, "a@kept.example", "2001:db8::99")
        assert not await self.is_kept(checker, "a@kept.example", "192.0.3.1")
        assert not await self.is_kept(checker, "a@kept.example", "2001:db8:0:1::1")
        assert not await self.is_kept(checker, "a@sub.kept.example")

    async def test_it_is_the_same_finding(self, checker: SpfChecker) -> None:
        for sender in ("a@pass.example", "a@fail.example", "a@broken.example"):
            assert await check(checker, sender) == await check(checker, sender)

    @pytest.mark.parametrize(
        ("record", "others"),
        [
            (b"v=spf1 ip4:192.0.2.1 -all", {}),
            (b"v=spf1 a -all", {("kept.example", "A"): ["192.0.2.1"]}),
            (b"v=spf1 exists:%{i}.ok.example -all", {("192.0.2.1.ok.example", "A"): ["127.0.0.2"]}),
            (b"v=spf1 include:other.example -all", {("other.example", "TXT"): [b"v=spf1 ip4:192.0.2.1 -all"]}),
            (b"v=spf1 ptr -all", {}),
        ],
        ids=["ip4", "a", "a macro", "in an include", "ptr"],
    )
    async def test_it_holds_for_the_address_where_addresses_are_told_apart(self, record: bytes, others: Zone) -> None:
        checker = await self.keep(record, others)
        assert await self.is_kept(checker, "b@kept.example")
        assert not await self.is_kept(checker, "b@kept.example", "192.0.2.2")

    @pytest.mark.parametrize("macro", [b"%{s}", b"%{l}", b"%{h}", b"%{L}"])
    async def test_it_is_not_kept_where_sender_or_helo_name_count(self, macro: bytes) -> None:
        assert not await self.is_kept(
            await self.keep(b"v=spf1 exists:" + macro + b".ok.example -all"), "a@kept.example"
        )

    async def test_a_temporary_error_is_not_kept(self, checker: SpfChecker, resolver: FakeResolver) -> None:
        assert (await check(checker, "a@down.example")).score is None
        resolver.zone["broken-dns.example", "A"] = ["192.0.2.1"]
        assert (await check(checker, "a@down.example")).score == 0

    @pytest.mark.parametrize(
        ("ttl_seconds", "kept", "gone"), [(300, 299, 301), (86400, 3599, 3601), (3, 2, 4)], ids=["TTL", "hour", "short"]
    )
    async def test_it_is_kept_for_its_ttl_and_at_most_an_hour(self, ttl_seconds: int, kept: int, gone: int) -> None:
        checker = await self.keep(b"v=spf1 -all", ttl_seconds=ttl_seconds)
        await asyncio.sleep(kept)
        assert await self.is_kept(checker, "a@kept.example")
        await asyncio.sleep(gone - kept)
        assert not await self.is_kept(checker, "a@kept.example")

    async def test_without_a_ttl_it_is_not_kept(self) -> None:
        assert not await self.is_kept(await self.keep(b"v=spf1 -all", ttl_seconds=0), "a@kept.example")

    async def test_the_oldest_go_when_there_are_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spf_module, "_RESULTS", 2)
        resolver = FakeResolver({(f"{name}.example", "TXT"): [b"v=spf1 -all"] for name in "abc"})
        checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=False)
        for name in "abc":
            await check(checker, f"x@{name}.example")
        checker._resolver = _NoResolver()
        assert [await self.is_kept(checker, f"x@{name}.example") for name in "abc"] == [False, True, True]

    async def test_a_best_guess_holds_for_the_address(self) -> None:
        """It looks at the client's own addresses."""
        checker = SpfChecker(FakeResolver(ZONE), timedelta(seconds=1), best_guess=True)
        await check(checker, "a@guessed.example")
        checker._resolver = _NoResolver()
        assert await self.is_kept(checker, "b@guessed.example")
        assert not await self.is_kept(checker, "b@guessed.example", "192.0.2.2")


class SlowResolver(FakeResolver):
    """Takes 10 ms for each answer."""

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        return asyncio.ensure_future(self._later(super().resolve(name, rrtype)))

    async def _later(self, answer: asyncio.Future[Sequence[ResourceRecord]]) -> Sequence[ResourceRecord]:
        await asyncio.sleep(0.01)
        return await answer


class TestLimits:
    """RFC 7208 4.6.4."""

    @pytest.mark.parametrize(("timeout_seconds", "result"), [(0.04, "temperror"), (60, "pass")])
    async def test_all_look_ups_of_an_evaluation_share_one_time(self, timeout_seconds: float, result: str) -> None:
        """Each alone is fast enough."""
        includes = b" ".join(b"a:host%d.example" % number for number in range(9))
        zone: Zone = {("many.example", "TXT"): [b"v=spf1 " + includes + b" +all"]}
        hosts: Zone = {(f"host{number}.example", "A"): ["203.0.113.1"] for number in range(9)}
        checker = SpfChecker(SlowResolver({**zone, **hosts}), timedelta(seconds=timeout_seconds), best_guess=False)
        assert (await check(checker, "a@many.example")).detail.startswith(f"{result}: ")

    @pytest.mark.parametrize(("lookups", "result"), [(10, "fail"), (11, "permerror")])
    async def test_ten_look_ups_are_allowed(
        self, checker: SpfChecker, resolver: FakeResolver, lookups: int, result: str
    ) -> None:
        names = [f"host{number}.example" for number in range(lookups)]
        resolver.zone |= {(name, "A"): ["203.0.113.1"] for name in names}
        mechanisms = " ".join(f"a:{name}" for name in names)
        resolver.zone["many.example", "TXT"] = [f"v=spf1 {mechanisms} -all".encode()]
        assert (await check(checker, "a@many.example")).detail.startswith(f"{result}: ")

    @pytest.mark.parametrize(("voids", "result"), [(2, "fail"), (3, "permerror")])
    async def test_two_void_look_ups_are_allowed(
        self, checker: SpfChecker, resolver: FakeResolver, voids: int, result: str
    ) -> None:
        mechanisms = " ".join(f"a:void{number}.example" for number in range(voids))
        resolver.zone["void.example", "TXT"] = [f"v=spf1 {mechanisms} -all".encode()]
        assert (await check(checker, "a@void.example")).detail.startswith(f"{result}: ")
