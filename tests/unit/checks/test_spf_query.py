"""What an SPF record can cost: every step is short, the whole is bounded, and nothing is left of it."""

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
import spf

from bley.checks import spf as spf_module
from bley.checks import spf_query
from bley.checks.spf import SpfChecker
from bley.checks.spf_query import MOST_WORK, BoundedQuery
from bley.checks.spf_validity import LONGEST_RECORD
from bley.core.errors import ResolverError
from bley.core.evidence import Finding
from bley.core.mail import Request
from bley.ports import ResourceRecord, RrType
from tests.fakes import SILENT, FakeResolver, Zone
from tests.leaping_loop import LeapingLoop
from tests.step_time import Steps, run_in_time

pytestmark = pytest.mark.leaps

_CLIENT = ip_address("192.0.2.1")


def filled(term: str, end: str = " -all", start: str = "v=spf1 ") -> bytes:
    """The longest record of these terms."""
    return (start + term * ((LONGEST_RECORD - len(start) - len(end)) // len(term)) + end).encode()


def _modifiers(value: str) -> bytes:
    """The longest record of different modifiers."""
    names = (f"{chr(97 + number % 26)}{number // 26 or ''}" for number in range(2000))
    return f"v=spf1 {' '.join(f'{name}={value}' for name in names)}".encode()[:LONGEST_RECORD].rpartition(b" ")[0]


WORST_RECORDS = {
    "networks": filled("ip4:10.0.0.1 "),
    "networks of the client's": filled("ip4:192.0.2.200/30 "),
    "IPv6 networks": filled("ip6::: "),
    "modifiers": _modifiers(""),
    "macros": _modifiers("%{s1}"),
    "escaped macros": _modifiers("%{L9r-}"),
    "macros in one term": filled("%{s1}", start="v=spf1 x="),
    "macros in mechanisms": filled("a:%{s1}%{s1}%{s1} "),
    "literals": filled("%_.", start="v=spf1 x="),
    "dots in a modifier": filled("a.", start="v=spf1 x=%-"),
    "only dots": filled(".", start="v=spf1 x=%%"),
    "dots in exists": filled("a.", start="v=spf1 exists:%-"),
    "dots in redirect": filled("a.", start="v=spf1 redirect=%-"),
    "dots in include": filled("a.", start="v=spf1 include:%-"),
    "dots in exp": filled("a.", "example -all", start="v=spf1 exp=%-"),
    "a last label": filled("a", "!", start="v=spf1 a:."),
    "a last label of hyphens": filled("a-", "!", start="v=spf1 a:."),
    "an open macro": filled("%{d", "", start="v=spf1 x="),
    "digits": filled("9", "}", start="v=spf1 x=%{d"),
    "slashes": filled("//1", "", start="v=spf1 a"),
    "a name of a modifier": filled("a", ""),
    "a long address": filled("1.", start="v=spf1 ip4:"),
    "a long IPv6 address": filled("1:", start="v=spf1 ip6:"),
    "spaces": filled(" "),
    "mechanisms": filled("a "),
    "ptr": filled("ptr:e.example "),
}


class TimedSteps:
    """The steps of evaluations: how many there were, and the time of each run's."""

    def __init__(self) -> None:
        self.number, self._run = 0, Steps()

    def timed(self, go_on: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: Any) -> object:
            self.number += 1
            return self._run.time(lambda: go_on(*arguments))

        return step

    def judged_in_time(self, zone: Zone, sender: str = "a@top.example") -> Finding:
        """What is found, if no step is long: 3 ms were measured. What was quadratic took 130 ms to 11 s."""

        def run(steps: Steps) -> Finding:
            self._run = steps
            with asyncio.Runner(loop_factory=LeapingLoop) as runner:
                return runner.run(judged(zone, sender))

        return run_in_time(run)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[TimedSteps]:
    """Those of this test, without the garbage of others."""
    steps = TimedSteps()
    gc.disable()
    for name in ("switch", "throw"):
        monkeypatch.setattr(spf_module._Evaluation, name, steps.timed(getattr(spf_module._Evaluation, name)))
    yield steps
    gc.enable()


async def judged(zone: Zone, sender: str = "a@top.example", seconds: float = 60) -> Finding:
    checker = SpfChecker(FakeResolver(zone), timedelta(seconds=seconds), best_guess=False)
    return await checker.check(Request(sender=sender, helo_name="h.example"), _CLIENT)


def _zone(record: bytes, includes: int) -> Zone:
    """The record itself as top.example's, or in so many includes."""
    if not includes:
        return {("top.example", "TXT"): [record]}
    names = [f"i{number}.example" for number in range(includes)]
    top = f"v=spf1 {' '.join(f'include:{name}' for name in names)} -all".encode()
    return {("top.example", "TXT"): [top], **{(name, "TXT"): [record] for name in names}}


@pytest.mark.parametrize("includes", [0, 10])
@pytest.mark.parametrize("record", WORST_RECORDS.values(), ids=WORST_RECORDS)
@pytest.mark.parametrize(
    "sender", ["a@top.example", f"{'l.' * 250}@top.example", f"{'l-' * 15_000}@top.example"], ids=len
)
def test_no_step_is_long(steps: TimedSteps, record: bytes, includes: int, sender: str) -> None:
    assert len(record) <= LONGEST_RECORD
    assert not steps.judged_in_time(_zone(record, includes), sender).detail.startswith("temperror")


@pytest.mark.parametrize(("mechanism", "rrtype"), [(b"a", "A"), (b"mx", "A"), (b"ptr", "PTR")], ids=["a", "mx", "ptr"])
def test_no_step_is_long_whatever_a_look_up_gives(steps: TimedSteps, mechanism: bytes, rrtype: str) -> None:
    """The resolver gives no more records (bley.cares)."""
    many = [f"198.51.{number}.1" if rrtype == "A" else f"n{number}.example" for number in range(256)]
    zone: Zone = {
        ("top.example", "TXT"): [b"v=spf1 %b -all" % mechanism],
        ("top.example", "MX"): [(number, f"mx{number}.example") for number in range(10)],
        ("top.example", "A"): many,
        ("1.2.0.192.in-addr.arpa", "PTR"): many,
        **{(f"mx{number}.example", "A"): many for number in range(10)},
    }
    steps.judged_in_time(zone)


async def test_the_event_loop_has_its_turn_while_a_long_record_is_judged() -> None:
    """Nobody waits for the DNS here."""
    begun, turns = asyncio.ensure_future(judged(_zone(WORST_RECORDS["networks"], 10))), 0
    while not begun.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > MOST_WORK / spf_query.STEP_WORK / 3


async def test_many_long_records_at_once_hold_up_nobody_for_more_than_a_step(steps: TimedSteps) -> None:
    """Else a turn of the event loop would take as many steps as there are evaluations."""
    checker = SpfChecker(FakeResolver(_zone(WORST_RECORDS["networks"], 10)), timedelta(seconds=60), best_guess=False)
    requests = (Request(sender="a@top.example", helo_name="h.example"),) * 8
    checks = asyncio.gather(*(checker.check(request, _CLIENT) for request in requests))
    most, before = 0, 0
    while not checks.done():
        await asyncio.sleep(0)
        most, before = max(most, steps.number - before), steps.number
    assert most <= 2
    assert steps.number > 8 * MOST_WORK / spf_query.STEP_WORK / 3


@pytest.mark.parametrize("includes", [0, 10])
@pytest.mark.parametrize(("last", "word"), [("192.0.2.0/24", "pass"), ("192.0.3.0/24", "fail")])
async def test_the_longest_real_record_is_judged(includes: int, last: str, word: str) -> None:
    """4,096 octets of networks, in ten includes as well."""
    record = filled("ip4:10.0.0.1 ", f"ip4:{last} -all")
    assert (await judged(_zone(record, includes))).detail.startswith(f"{word}: ")


async def test_too_much_work_is_a_permerror() -> None:
    finding = await judged(_zone(WORST_RECORDS["macros in mechanisms"], 0), f"{'l.' * 240}@top.example")
    assert finding.detail.startswith("permerror: SPF Permanent Error: the evaluation costs too much")


async def test_an_explanation_is_not_fetched() -> None:
    """RFC 7208 6.2: it changes no result; its domain-spec must be right all the same."""
    resolver = FakeResolver(
        {("top.example", "TXT"): [b"v=spf1 -all exp=why.%{d}"], ("why.top.example", "TXT"): [b"%{s}"]}
    )
    checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=False)
    finding = await checker.check(Request(sender="a@top.example"), _CLIENT)
    assert finding.detail == "fail: SPF fail - not authorized (top.example)"
    assert {name for name, _ in resolver.questions} == {"top.example"}
    assert (await judged(_zone(b"v=spf1 -all exp=%{", 0))).detail.startswith("permerror: ")


async def test_pyspf_sees_no_other_text() -> None:
    """Of 64 KB that are no SPF record it sees that they are there, so that it is no void look-up."""
    zone: Zone = {
        ("top.example", "TXT"): [b"x" * 65_000, b"v=spf1 a:other.example a:third.example a:fourth.example -all"],
        **{(f"{name}.example", "A"): ["203.0.113.1"] for name in ("other", "third", "fourth")},
    }
    assert (await judged(zone)).detail.startswith("fail: ")


@pytest.mark.parametrize("name", ["a" * 300, f"{'a.' * 15_000}example"], ids=len)
async def test_a_domain_that_is_too_long_to_be_asked_for_has_no_record(name: str) -> None:
    resolver = FakeResolver()
    for best_guess in (False, True):
        checker = SpfChecker(resolver, timedelta(seconds=1), best_guess=best_guess)
        assert (await checker.check(Request(sender=f"a@{name}"), _CLIENT)).detail.startswith("none: ")
    assert resolver.questions == []


def _query() -> BoundedQuery:
    """For RFC 7208 7.4's sender and client."""
    return BoundedQuery(ip_address("192.0.2.3"), "strong-bad@email.example.com", "mx.example.org", lambda: None)


@pytest.mark.parametrize(
    ("macro_string", "expanded"),
    [
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d128}", "email.example.com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{s}", "strong-bad@email.example.com"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{h}.%{o}.", "mx.example.org.email.example.com"),
        ("a%%b%_c%-d", "a%b c%20d"),
        ("no-macro.example.com", "no-macro.example.com"),
        (f"{'a.' * 130}%{{d}}", f"{'a.' * 118}email.example.com"),
        ("", ""),
    ],
)
def test_macros_are_expanded(macro_string: str, expanded: str) -> None:
    """RFC 7208 7.4's, pyspf's own, and a name that is too long."""
    assert _query().expand(macro_string) == expanded


@pytest.mark.parametrize(
    "macro_string",
    ["%", "a%", "%a", "%%%a", "%(d)", "%{", "%{d", "%{}", "%{x}", "%{d0}", "%{d!}", "%{c}", "%{t}", "%{R}"],
)
def test_a_wrong_macro_is_a_permerror(macro_string: str) -> None:
    """RFC 7208 7.1, 7.2."""
    with pytest.raises(spf.PermError):
        _query().expand(macro_string)


@pytest.mark.parametrize(
    "domain_spec", ["example.com", "example.com.", "a.1a", "a.a-1", "%{d}", "x.%{d}", "%{d}.example"]
)
def test_a_domain_spec_ends_with_a_top_label_or_a_macro(domain_spec: str) -> None:
    """RFC 7208 7.1."""
    assert _query().expand_domain(domain_spec)


@pytest.mark.parametrize(
    "domain_spec", ["example", "", ".", "a.1", "a.-a", "a.a-", "a.a!", "%{d}.1", "%{d}x", "a.%%_", "a..", "a.%{d}."]
)
def test_with_another_end_it_is_a_permerror(domain_spec: str) -> None:
    with pytest.raises(spf.PermError):
        _query().expand_domain(domain_spec)


class _GivesUp(FakeResolver):
    """Has a fault, or never answers, at a look-up of this number."""

    def __init__(self, zone: Zone, number: int, fault: ResolverError | str) -> None:
        super().__init__(zone)
        self._number, self._fault = number, fault

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        if len(self.questions) == self._number:
            self.zone[name, rrtype] = self._fault
        return super().resolve(name, rrtype)


_DEEP: Zone = {
    ("top.example", "TXT"): [
        b"v=spf1 exp=why.example mx ptr exists:%{p}.example include:in.example redirect=on.example"
    ],
    ("top.example", "MX"): [(1, "mx.example")],
    ("mx.example", "A"): ["203.0.113.1"],
    ("in.example", "TXT"): [b"v=spf1 a:mx.example exp=why.example -all"],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["ptr.example"],
    ("ptr.example", "A"): ["192.0.2.1"],
    ("on.example", "TXT"): [b"v=spf1 exp=why.example include:in.example a -all"],
    ("on.example", "A"): ["203.0.113.1"],
    ("why.example", "TXT"): [b"because"],
}


@pytest.fixture
def suspended() -> Iterator[Callable[[], list[object]]]:
    """The evaluations that are suspended, among what was made since."""
    gc.freeze()  # to look through all that the tests have made takes a third of a second

    def found() -> list[object]:
        gc.collect()
        return [each for each in gc.get_objects() if isinstance(each, spf_module._Evaluation) and each]

    yield found
    gc.unfreeze()


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("fault", [SILENT, "SERVFAIL"])
@pytest.mark.parametrize("is_cancelled", [False, True], ids=["late", "cancelled"])
async def test_no_evaluation_is_left_wherever_it_is_given_up(
    suspended: Callable[[], list[object]], number: int, fault: str, is_cancelled: bool
) -> None:
    error = fault if fault == SILENT else ResolverError("x.example", "TXT", fault)
    checker = SpfChecker(_GivesUp(_DEEP, number, error), timedelta(seconds=0.05), best_guess=False)
    check = asyncio.ensure_future(checker.check(Request(sender="a@top.example", helo_name="h.example"), _CLIENT))
    if is_cancelled:
        for _ in range(50):
            await asyncio.sleep(0)
        check.cancel()
    await asyncio.wait([check])
    assert suspended() == []


async def test_an_evaluation_that_catches_its_end_ends_at_its_next_look_up(
    suspended: Callable[[], list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyspf has bare `except` clauses, which catch GreenletExit as well."""

    def dns_txt(query: BoundedQuery, *arguments: Any) -> list[bytes]:
        try:
            return list(spf.query.dns_txt(query, *arguments))
        except BaseException:  # noqa: BLE001 (as pyspf does)
            return list(spf.query.dns_txt(query, "another.example"))

    monkeypatch.setattr(BoundedQuery, "dns_txt", dns_txt)
    zone: Zone = {
        ("top.example", "TXT"): [b"v=spf1 include:silent.example -all"],
        ("silent.example", "TXT"): SILENT,
        ("another.example", "TXT"): SILENT,
    }
    assert (await judged(zone, seconds=0.05)).detail.startswith("temperror")
    assert suspended() == []
