"""The findings about any request: they only add up, and a client that obeys the rules is not delayed."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network
from itertools import chain, cycle
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from bley.checks.dns_lists import ConfiguredList
from bley.checks.gather import Checks
from bley.checks.helo import OwnIdentity
from bley.checks.names import ClientNames
from bley.checks.request import check_request
from bley.core.dnslists.health import ListState
from bley.core.dnslists.lists import DnsList, parse_dns_lists, parse_domain_lists
from bley.core.errors import ResolverError
from bley.core.evidence import Evidence, Finding, found
from bley.core.findings import RFC_CHECKS, Check, FindingKind
from bley.core.greylist import Status
from bley.core.mail import Request, parse_address
from bley.core.names.host_kind import HostKind, judge_host_name
from bley.core.policy import Judgement, Thresholds, decisive_lists, judge, rfc_sum
from bley.core.scores import BLEY2, DEFAULT, Scores
from bley.ports import ResourceRecord, RrType
from bley.settings.settings import Settings
from tests.fakes import FakeClock, FakeResolver, Zone, queried_list
from tests.unit.checks.test_gather import FakeSpf
from tests.unit.core.names.test_host_kind import FILES, names

US = OwnIdentity("mx.example.org", (ip_network("127.0.0.0/8"),))
REAL = list(chain.from_iterable(names(file) for file in FILES))

_labels = st.sampled_from(
    [
        "mail",
        "mx1",
        "dsl",
        "dyn",
        "pool-7",
        "static",
        "host",
        "192-0-2-1",
        "198-51-100-7",
        "c0000201",
        "2",
        "res",
        "vps",
    ]
)
_domains = st.sampled_from(["example.com", "example.co.uk", "pppool.de", "amazonaws.com", "local", "example.org"])
_made = st.builds(lambda labels, domain: ".".join([*labels, domain]), st.lists(_labels, max_size=4), _domains)
_wild = st.text(st.sampled_from("aZ019.-_[]:üßİ \x00"), max_size=80) | st.text(max_size=30)
_names = _made | st.sampled_from([name for name, _, _ in REAL]) | _wild | st.just("unknown")
_addresses = st.sampled_from(["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"] + [address for _, address, _ in REAL])
_mail_addresses = st.sampled_from(["", "jane@example.org", "JANE@Example.ORG.", "john@example.com"])
_requests = st.builds(
    Request,
    client_address=_addresses,
    client_name=_names,
    helo_name=_names | _addresses.map("[{}]".format) | st.sampled_from(["friend", "localhost", "mx.example.org"]),
    sender=_mail_addresses,
    recipient=_mail_addresses,
)
_scores = st.builds(
    Scores, st.sampled_from(["default", "bley2"]), st.dictionaries(st.sampled_from(FindingKind), st.integers(0, 3))
)
_evidence = st.dictionaries(
    st.sampled_from(Check),
    st.builds(
        Finding,
        st.integers(0, 3) | st.none(),
        st.just(""),
        st.just(()),  # otherwise hypothesis makes trees of answers, which do not count
        st.none() | st.sampled_from(FindingKind),
        st.booleans(),
    ),
)


def _find(request: Request, scores: Scores = DEFAULT) -> Evidence:
    address = parse_address(request.client_address)
    assert address is not None
    return check_request(request, address, US, scores)


def _delays(judgement: Judgement) -> bool:
    return judgement.status is Status.GREYLISTED


@given(_evidence, st.sampled_from(FindingKind), _scores, st.integers(-1, 6))
def test_no_finding_lowers_what_another_counts(others: Evidence, fact: FindingKind, scores: Scores, least: int) -> None:
    """Another fact never lowers the sum, nor passes a client that was delayed without it."""
    evidence = {check: finding for check, finding in others.items() if check is not fact.check}
    more = {**evidence, fact.check: scores.counted(found(fact, ""))}
    assert rfc_sum(more) >= rfc_sum(evidence)
    lists = {check: finding for check, finding in evidence.items() if check in RFC_CHECKS}
    thresholds = Thresholds(rfc_threshold=least)
    assert _delays(judge({**lists, fact.check: more[fact.check]}, thresholds)) >= _delays(judge(lists, thresholds))


@given(_requests, st.sampled_from([DEFAULT, BLEY2]))
def test_a_server_that_says_its_name_is_never_delayed(request: Request, scores: Scores) -> None:
    """A server's name and the same HELO are enough, even for a mail to oneself, but not for mail of its services."""
    name, address = request.verified_name, parse_address(request.client_address)
    assert address is not None
    assume(name and judge_host_name(name, address).kind is HostKind.NAMED)
    evidence = _find(request._replace(helo_name=request.client_name), scores)
    assume(FindingKind.SERVICE_SENDER not in evidence)
    assert not _delays(judge(evidence, Thresholds()))


@given(_requests, _scores, st.sampled_from(["lower", "upper", "title", "swapcase"]), st.sampled_from(["", "."]))
def test_scores_are_stable_under_case_and_trailing_dots(request: Request, scores: Scores, case: str, dot: str) -> None:
    """Names of client and HELO, and domains of sender and recipient, may be in any case and end with a dot."""
    texts = {name: getattr(request, name) for name in ("client_name", "helo_name", "sender", "recipient")}
    assume(all(text.isascii() for text in texts.values()))  # ß has no capital that folds to it
    other = request._replace(**{name: getattr(text, case)() + (dot if text else "") for name, text in texts.items()})
    shown = {check: (finding.score, finding.kind) for check, finding in _find(request, scores).items()}
    assert {check: (finding.score, finding.kind) for check, finding in _find(other, scores).items()} == shown


@given(_requests, _scores)
def test_any_request_gets_its_findings_in_words(request: Request, scores: Scores) -> None:
    """No request raises, and each finding has an explanation and the score of its fact."""
    evidence = _find(request, scores)
    assert set(evidence) >= {Check.HELO, Check.DYNAMIC, Check.SENDER_IS_RECIPIENT}
    for check, finding in evidence.items():
        assert finding.detail
        assert finding.score == (scores.of[finding.kind] if finding.kind else 0)
        assert finding.kind is None or finding.kind.check is check


_ZONES = ("one.example", "two.example", "three.example")
_answers = st.fixed_dictionaries(
    dict.fromkeys(_ZONES, st.sampled_from([["127.0.0.2"], ["127.0.0.3"], [], ResolverError("", "A", "it fails")]))
)
_weights = st.lists(st.tuples(st.sampled_from(_ZONES), st.integers(-3, 3)), max_size=3, unique_by=lambda each: each[0])
_thresholds = st.integers(1, 4).map(str) | st.just("999")
_settings = st.builds(
    lambda *texts: Settings.model_validate(
        dict(zip(("dnsbl_threshold", "dnswl_threshold", "rfc_threshold"), texts, strict=True))
    ),
    *[_thresholds] * 3,
)
_OF_CLIENT, _PTR = "192.0.2.1", ("1.2.0.192.in-addr.arpa", "PTR")
_pointed = ("mail.example.com", "host.example.net", "ip-192-0-2-1.dsl.example.co.uk")
_dns_failures = st.sampled_from([[], ResolverError("", "", "it fails")])
_dns_of_names = st.fixed_dictionaries(
    {_PTR: _dns_failures | st.lists(st.sampled_from(_pointed), max_size=2)}
    | {(name, "A"): _dns_failures | st.just([_OF_CLIENT]) for name in (*_pointed, "smtp.example.org")}
)
"""The PTR records of a client, and the addresses of names."""

_nameless = st.builds(
    lambda request, helo: request._replace(client_name="unknown", helo_name=helo),
    _requests,
    st.sampled_from([*_pointed, "smtp.example.org", "friend", "[192.0.2.1]", "192.0.2.1", ""]),
)
_spf = st.sampled_from([None, found(FindingKind.SPF_FAIL, ""), found(FindingKind.SPF_NO_PASS, ""), Finding(0, "pass")])


_OF_CLIENT_ADDRESS = ip_address(_OF_CLIENT)


def _checks(
    answers: Mapping[str, Sequence[str] | ResolverError],
    names: Zone,
    dnsbls: list[tuple[str, int]],
    dnswls: list[tuple[str, int]],
    settings: Settings,
    scores: Scores,
    spf: Finding | None,
    turns: Sequence[int],
    of_domains: Zone,
    domain_lists: list[tuple[str, int]],
) -> list[Checks]:
    """The checks of the daemon, and those of explain."""
    of_lists: Zone = {(f"1.2.0.192.{zone}", "A"): answer for zone, answer in answers.items()}
    checks = Checks(
        LateResolver({**of_lists, **of_domains, **names}, turns),
        _asked(dnswls),
        _asked(dnsbls),
        FakeSpf(spf) if spf else None,
        settings.thresholds,
        timedelta(seconds=60),
        scores,
        queries_names=True,
    )
    checks = replace(checks, domain_lists=_asked(domain_lists, parse_domain_lists))
    return [checks, replace(checks, is_thorough=True)]


class LateResolver(FakeResolver):
    """Answers each question some turns of the event loop later, by its place among them."""

    def __init__(self, zone: Zone, turns: Sequence[int]) -> None:
        super().__init__(zone)
        self._turns = cycle(turns)

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        return asyncio.ensure_future(self._resolve(name, rrtype, next(self._turns)))

    async def _resolve(self, name: str, rrtype: RrType, turns: int) -> Sequence[ResourceRecord]:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await super().resolve(name, rrtype)


_turns = st.lists(st.integers(0, 9), min_size=1, max_size=9)
_code = st.sampled_from([["127.0.0.2"], ["127.0.0.3"], [], ResolverError("", "A", "it fails")])
_of_domains = st.fixed_dictionaries(
    {
        (f"{domain}.{zone}", "A"): _code
        for domain in ("example.com", "example.net", "example.org", "example.co.uk")
        for zone in (*_ZONES, "fresh.fmb.la")
    }
)
_domain_weights = st.lists(
    st.tuples(st.sampled_from([*_ZONES, "fresh.fmb.la"]), st.integers(-3, 3)),
    max_size=2,
    unique_by=lambda each: each[0],
)
_configured = st.tuples(
    _answers,
    _dns_of_names,
    _weights,
    _weights,
    _settings,
    _scores,
    _spf,
    _turns,
    _of_domains,
    st.just([]) | _domain_weights,
)


@given(_requests | _nameless, _configured)
def test_the_daemon_judges_as_explain_does(request: Request, configured: Any) -> None:
    """The daemon stops when no answer can change the judgement and its reason, explain waits for all answers.

    Both find the same name of the client, unless it is trusted.
    """
    thresholds = configured[4].thresholds

    async def judgements() -> set[tuple[Judgement, str]]:
        found = [await each.gather(request, _OF_CLIENT_ADDRESS) for each in _checks(*configured)]
        judged = [(judge(each.evidence, thresholds), each.request.client_name) for each in found]
        return {(each, "" if each.status is Status.TRUSTED else name) for each, name in judged}

    assert len(asyncio.run(judgements())) == 1


@given(_requests | _nameless, _configured)
def test_the_daemon_finds_the_decisive_lists_as_explain_does(request: Request, configured: Any) -> None:
    """Although it answers before all lists have; then it waits for the rest, if that can make a difference."""

    async def decisive() -> list[list[tuple[Check, str]]]:
        found = [await each.gather(request, _OF_CLIENT_ADDRESS) for each in _checks(*configured)]
        evidences = [await each.whole if each.whole else each.evidence for each in found]
        return [decisive_lists(evidence, configured[4].thresholds) for evidence in evidences]

    daemon, explain = asyncio.run(decisive())
    assert daemon == explain


@given(_nameless, st.sampled_from(["", *_pointed]), st.booleans(), st.booleans(), _scores)
def test_what_the_dns_does_not_say_about_names_never_counts(
    request: Request, verified: str, is_pointed: bool, resolves: bool, scores: Scores
) -> None:
    """An unknown answer counts no more than any answer would."""
    address = ip_address(_OF_CLIENT)
    kind = FindingKind.CLIENT_NAME_UNVERIFIED if is_pointed else FindingKind.CLIENT_HAS_NO_NAME
    helo = found(FindingKind.HELO_RESOLVES, "") if resolves else None
    known = ClientNames(None if verified else found(kind, ""), helo, verified)
    named = request._replace(client_name=verified or "unknown")
    unknown = Finding(None, "it fails")
    most = rfc_sum(check_request(named, address, US, scores, known))
    for each in (known._replace(helo=unknown), ClientNames(unknown, helo), ClientNames(unknown, unknown)):
        asked = named if each.verified else request
        assert rfc_sum(check_request(asked, address, US, scores, each)) <= most


def _asked(
    weights: list[tuple[str, int]], parse: Callable[[str], tuple[DnsList, ...]] = parse_dns_lists
) -> list[ConfiguredList]:
    """Return healthy lists of these weights."""
    asked = []
    for zone, weight in weights:
        (dns_list,) = parse(f"{zone}=127.0.0.2*{weight}, {zone}=127.0.0.3*{-weight}")
        queried = queried_list(dns_list, FakeClock())
        queried.tester.first_test.set_result(None)
        for health in queried.tester.health.versions.values():
            health.state = ListState.WELL
        asked.append(ConfiguredList(dns_list, queried))
    return asked
