"""The facts of stored decisions: what the DNS answered then."""

from ipaddress import IPv4Address
from typing import Any, ClassVar

import pytest

from bley.checks.names import NOT_QUERIED
from bley.commands.replay.facts import StoredFacts, read_answer
from bley.core.dnslists.lists import Answer, ListAnswer, Meaning, parse_dns_lists, parse_domain_lists
from bley.core.evidence import Finding, shortened
from bley.core.findings import Check, FindingKind
from bley.core.history.search import StoredDecision
from tests.fakes import NOON

[ZEN] = parse_dns_lists("zen.spamhaus.org=127.0.0.[2..11]*3")


def facts(findings: dict[str, Any], *, checks_names: bool = True, **details: Any) -> StoredFacts:
    """Return the facts of a decision with these findings."""
    words = "192.0.2.1", "unknown", "friend", "a@example.com", "b@example.org", "", ""
    return StoredFacts(
        StoredDecision("1", NOON, "greylist", "helo", *words, {"findings": findings, **details}), checks_names
    )


@pytest.mark.parametrize(
    "answer",
    [
        Answer(Meaning.LISTED, (IPv4Address("127.0.0.2"),)),
        Answer(Meaning.LISTED, (IPv4Address("127.0.0.4"), IPv4Address("127.0.0.200"), IPv4Address("127.0.1.2"))),
        Answer(Meaning.LISTED, (IPv4Address("127.0.0.99"),)),
        Answer(Meaning.CLEAR),
    ],
)
def test_the_description_of_an_answer_is_read_back(answer: Answer) -> None:
    """Return codes with and without a known meaning, those that no filter fits, and none."""
    for dns_list in (ZEN, *parse_dns_lists("bl.example*2, dul.dnsbl.sorbs.example")):
        assert read_answer(str(ListAnswer(dns_list, answer)), dns_list.name) == answer


@pytest.mark.parametrize(
    "meaning", [Meaning.FAILED, Meaning.SILENT, Meaning.REFUSED, Meaning.PARKED, Meaning.SET_ASIDE]
)
def test_no_answer_stays_none(meaning: Meaning) -> None:
    read = read_answer(str(ListAnswer(ZEN, Answer(meaning, why="127.0.0.2, says 192.0.2.9"))), ZEN.name)
    assert not read.is_conclusive
    assert ZEN.weight(read) == 0


def test_a_description_that_was_cut_still_lists() -> None:
    """A list may answer with hundreds of codes; the last one in the text may be half of another."""
    codes = tuple(IPv4Address(f"127.1.{number}.200") for number in range(60))
    text = shortened(str(ListAnswer(ZEN, Answer(Meaning.LISTED, codes))))
    read = read_answer(text, ZEN.name)
    assert read.meaning is Meaning.LISTED
    assert set(read.codes) <= set(codes)
    assert len(read.codes) > 20


def test_weights_are_those_of_the_new_setting() -> None:
    """Also of a list that moved from one setting to the other."""
    lists = [
        {
            "list": "zen.spamhaus.org",
            "is": "zen.spamhaus.org lists it: 127.0.0.4 = XBL (weight 1)",
            "says": "",
            "weight": 1,
        }
    ]
    found = facts({"dnsbl": {"score": 1, "lists": lists}})
    assert found.list_score(Check.DNSBL, [ZEN]).score == 3
    assert found.list_score(Check.DNSBL, parse_dns_lists("zen.spamhaus.org=127.0.0.2")).score == 0
    assert found.list_score(Check.DNSWL, [ZEN]).score == 3
    other = parse_dns_lists("bl.example")
    assert found.list_score(Check.DNSBL, [ZEN, *other]).missing == list(other)


def test_a_finding_without_answers_says_that_no_list_has_it() -> None:
    assert facts({"dnsbl": {"score": 0, "detail": "no list"}}).list_score(Check.DNSBL, [ZEN]).missing == []
    assert facts({}).list_score(Check.DNSBL, [ZEN]).missing == [ZEN]


@pytest.mark.parametrize(
    ("score", "detail", "kind"),
    [
        (0, "pass: (example.com)", None),
        (0, "pass", None),
        (1, "fail: not permitted: see http://example.com (example.com)", FindingKind.SPF_FAIL),
        (0, "softfail (example.com)", FindingKind.SPF_FAIL),
        (0, "none: example.com has no SPF record", FindingKind.SPF_NO_PASS),
        (0, "permerror: too many lookups", FindingKind.SPF_NO_PASS),
    ],
)
def test_the_result_of_spf(score: int, detail: str, kind: FindingKind | None) -> None:
    """By its word, whatever it counted then."""
    found = facts({"spf": {"score": score, "detail": detail}})
    result = found.spf(counts=True)
    assert result is not None
    assert (result.kind, result.detail) == (kind, detail)
    assert found.spf(counts=False) == Finding(0, detail)


def test_spf_without_a_result() -> None:
    assert facts({}).spf(counts=True) is None
    assert facts({"spf": {"score": None, "detail": "no answer in time"}}).spf(counts=True) == Finding(
        None, "no answer in time"
    )


class TestNames:
    RAN: ClassVar[dict[str, Any]] = {"dyn": {"score": 0, "detail": "no name"}}

    def test_no_name(self) -> None:
        names = facts({**self.RAN, "client-has-no-name": {"score": 0, "detail": "192.0.2.1 has no PTR record"}}).names
        assert names.missing
        assert (names.missing.kind, names.helo) == (FindingKind.CLIENT_HAS_NO_NAME, None)

    def test_an_unverified_name_and_a_helo_that_resolves(self) -> None:
        findings = {
            **self.RAN,
            "helo": {"score": 1, "detail": "mail.example.com leads to the client's address"},
            "client-name-unverified": {"score": 0, "detail": "x does not lead to 192.0.2.1"},
        }
        names = facts(findings).names
        assert names.missing
        assert names.missing.kind is FindingKind.CLIENT_NAME_UNVERIFIED
        assert names.helo
        assert names.helo.kind is FindingKind.HELO_RESOLVES

    def test_unknown_names_stay_unknown(self) -> None:
        findings = {
            "dyn": {"score": None, "detail": "PTR: no answer"},
            "helo": {"score": None, "detail": "mail.example.com A: no answer in time"},
            "client-has-no-name": {"score": None, "detail": "PTR: no answer"},
        }
        names = facts(findings).names
        assert names.missing == Finding(None, "PTR: no answer")
        assert names.helo == Finding(None, "mail.example.com A: no answer in time")

    def test_a_name_that_bley_verified_is_the_client_s(self) -> None:
        found = facts(self.RAN, verified_name="mail.example.com")
        assert found.request.client_name == "mail.example.com"
        assert found.names.missing is None
        assert facts(self.RAN, checks_names=False, verified_name="mail.example.com").request.client_name == "unknown"

    def test_names_that_were_not_queried(self) -> None:
        assert facts(self.RAN).names == NOT_QUERIED
        assert facts(self.RAN, checks_names=False).names == NOT_QUERIED
        assert not facts(self.RAN).lacks_names

    def test_names_that_were_not_needed(self) -> None:
        found = facts({"s_eq_r": {"score": 0, "detail": "sender is another"}})
        assert found.lacks_names
        assert found.names.missing == Finding(None, "not needed")


def test_the_own_name_is_that_of_the_node_that_decided() -> None:
    """Another node has another name, which is known only if the client claimed it."""
    claim = {"helo-claims-us": {"score": 1, "detail": "friend is our own name"}}
    assert facts(claim).own_name("mx1.example.org", "mx1") == "friend"
    for node, name in (("", "mx1.example.org"), ("mx1", "mx1.example.org"), ("mx2", "")):
        found = facts({})
        other = StoredFacts(found.decision._replace(node=node), checks_names=True)
        assert other.own_name("mx1.example.org", "mx1") == name


def test_the_answer_of_a_domain_list_is_read_back() -> None:
    """Its description names the domains; its zone may be that of an address list too."""
    [dns_list] = parse_domain_lists("dbl.example*2")
    listed = Answer(Meaning.LISTED, (IPv4Address("127.0.1.2"),))
    for answer, domains in ((listed, ("example.com", "example.net")), (Answer(Meaning.CLEAR), ("example.com",))):
        text = str(ListAnswer(dns_list, answer, domains=domains))
        assert read_answer(text, "dbl.example") == answer
    lists = [{"list": "dbl.example", "is": str(ListAnswer(dns_list, listed, domains=("example.com",))), "says": ""}]
    found = facts({"domain-list": {"score": 2, "lists": lists}})
    assert found.list_score(Check.DOMAIN_LIST, [dns_list]).score == 2
    of_addresses = parse_dns_lists("dbl.example")
    assert found.list_score(Check.DNSBL, of_addresses).missing == list(of_addresses)
    nobody = StoredFacts(found.decision._replace(sender="", details={}), checks_names=True)
    assert nobody.list_score(Check.DOMAIN_LIST, [dns_list]).missing == [], "no domain could be listed"
