"""The RFC 7208 test suite of openspf.org, with SpfChecker, CachingResolver and a real DNS server.

The suite's own rules: a name's SPF records (type 99, gone since RFC 7208) are TXT records too unless it has TXT records
of its own; NONE means no record of that type; TIMEOUT is a name whose other types are not answered.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import yaml

from bley.checks.spf import SpfChecker
from bley.core.errors import ResolverError
from bley.core.mail import Request, parse_address
from bley.dns.resolver import CachingResolver
from tests.conformance.fetch_spf_suite import FetchError, fetch
from tests.dns_server import DnsServer, Entry, Rcode

_TIMEOUT = timedelta(seconds=3)

_TESTS = {
    "Initial processing": (
        "toolonglabel longlabel emptylabel helo-not-fqdn helo-domain-literal nolocalpart domain-literal "
        "non-ascii-policy non-ascii-mech non-ascii-result non-ascii-non-spf control-char-policy two-spaces "
        "trailing-space null-text badip4"
    ),
    "Record lookup": "both txtonly spfonly spftimeout txttimeout nospftxttimeout alltimeout",
    "Selecting records": (
        "nospace1 empty nospace2 spfoverride multitxt1 multitxt2 multispf1 multispf2 nospf case-insensitive"
    ),
    "Record evaluation": (
        "detect-errors-anywhere modifier-charset-good modifier-charset-bad1 modifier-charset-bad2 "
        "redirect-after-mechanisms1 redirect-after-mechanisms2 default-result redirect-is-modifier invalid-domain "
        "invalid-domain-empty-label invalid-domain-long invalid-domain-long-via-macro"
    ),
    "ALL mechanism syntax": "all-dot all-arg all-cidr all-neutral all-double",
    "PTR mechanism syntax": (
        "ptr-cidr ptr-match-target ptr-match-implicit ptr-nomatch-invalid ptr-match-ip6 ptr-empty-domain "
        "ptr-case-change ptr-cname-loop"
    ),
    "A mechanism syntax": (
        "a-cidr6 a-bad-cidr4 a-bad-cidr6 a-dual-cidr-ip4-match a-dual-cidr-ip4-err a-dual-cidr-ip6-match "
        "a-dual-cidr-ip4-default a-dual-cidr-ip6-default a-multi-ip1 a-multi-ip2 a-bad-domain a-nxdomain a-cidr4-0 "
        "a-cidr4-0-ip6 a-cidr6-0-ip4 a-cidr6-0-ip4mapped a-cidr6-0-ip6 a-ip6-dualstack a-cidr6-0-nxdomain a-null "
        "a-numeric a-numeric-toplabel a-dash-in-toplabel a-bad-toplabel a-only-toplabel "
        "a-only-toplabel-trailing-dot a-colon-domain a-colon-domain-ip4mapped a-empty-domain"
    ),
    "Include mechanism semantics and syntax": (
        "include-fail include-softfail include-neutral include-temperror include-permerror include-syntax-error "
        "include-cidr include-none include-empty-domain"
    ),
    "MX mechanism syntax": (
        "mx-cidr6 mx-bad-cidr4 mx-bad-cidr6 mx-multi-ip1 mx-multi-ip2 mx-bad-domain mx-nxdomain mx-cidr4-0 "
        "mx-cidr4-0-ip6 mx-cidr6-0-ip4 mx-cidr6-0-ip4mapped mx-cidr6-0-ip6 mx-cidr6-0-nxdomain mx-null "
        "mx-numeric-top-label mx-colon-domain mx-colon-domain-ip4mapped mx-bad-toplab mx-empty mx-implicit "
        "mx-empty-domain"
    ),
    "EXISTS mechanism syntax": (
        "exists-empty-domain exists-implicit exists-cidr exists-ip4 exists-ip6 exists-ip6only exists-dnserr"
    ),
    "IP4 mechanism syntax": (
        "cidr4-0 cidr4-32 cidr4-33 cidr4-032 bare-ip4 bad-ip4-port bad-ip4-short ip4-dual-cidr ip4-mapped-ip6"
    ),
    "IP6 mechanism syntax": "bare-ip6 cidr6-0-ip4 cidr6-ip4 cidr6-0 cidr6-129 cidr6-bad cidr6-33 cidr6-33-ip4 ip6-bad1",
    "Semantics of exp and other modifiers": (
        "redirect-none redirect-cancels-exp redirect-syntax-error include-ignores-exp redirect-cancels-prior-exp "
        "invalid-modifier empty-modifier-name dorky-sentinel exp-multiple-txt exp-no-txt exp-dns-error "
        "exp-empty-domain explanation-syntax-error exp-syntax-error exp-twice redirect-empty-domain redirect-twice "
        "unknown-modifier-syntax default-modifier-obsolete default-modifier-obsolete2 non-ascii-exp two-exp-records "
        "exp-void redirect-implicit"
    ),
    "Macro expansion rules": (
        "trailing-dot-domain trailing-dot-exp exp-only-macro-char invalid-macro-char invalid-embedded-macro-char "
        "invalid-trailing-macro-char macro-mania-in-domain exp-txt-macro-char domain-name-truncation v-macro-ip4 "
        "v-macro-ip6 undef-macro p-macro-ip4-novalid p-macro-ip4-valid p-macro-ip6-novalid p-macro-ip6-valid "
        "p-macro-multiple upper-macro hello-macro invalid-hello-macro hello-domain-literal require-valid-helo "
        "macro-reverse-split-on-dash macro-multiple-delimiters"
    ),
    "Processing limits": (
        "redirect-loop include-loop mx-limit ptr-limit false-a-limit mech-at-limit mech-over-limit include-at-limit "
        "include-over-limit void-at-limit void-over-limit"
    ),
    "Test cases from implementation bugs": "bytes-bug cname-aliasing",
}
"""All tests by scenario; their names are needed before the suite is downloaded."""


@dataclass(frozen=True)
class _Scenario:
    zone: Mapping[str, Entry]
    tests: Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def suite() -> dict[str, _Scenario]:
    try:
        text = fetch().read_bytes()
    except FetchError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no suite without a network: {error}")
    return {
        scenario["description"]: _Scenario(
            {name.lower(): _entry(records) for name, records in scenario["zonedata"].items()}, scenario["tests"]
        )
        for scenario in yaml.safe_load_all(text)
    }


def _entry(described: Sequence[Mapping[str, Any] | str]) -> Entry:
    """Return the entry of one name of a scenario's `zonedata` for our DNS server."""
    records: dict[str, list[str]] = {}
    for record in described:
        if isinstance(record, str):
            assert record == "TIMEOUT"
            continue
        for rrtype, value in record.items():
            records.setdefault(rrtype, []).append(_text(rrtype, value))
    texts = records.pop("SPF", [])
    records.setdefault("TXT", texts)
    known = {rrtype: [text for text in texts if text != "NONE"] for rrtype, texts in records.items()}
    # SERVFAIL instead of silence: it is a temperror as well, and faster.
    return Rcode("SERVFAIL") if "TIMEOUT" in described and not known["TXT"] else known


def _text(rrtype: str, value: Any) -> str:
    """Return a record in zone-file form."""
    if rrtype == "MX":
        preference, exchange = value
        return f"{preference} {exchange or '.'}"
    if isinstance(value, list):
        assert rrtype in ("TXT", "SPF")
        return " ".join(f'"{string}"' for string in value) or '""'
    assert isinstance(value, str)
    return value


def _parameters() -> list[Any]:
    return [pytest.param(scenario, name, id=name) for scenario, names in _TESTS.items() for name in names.split()]


@pytest.mark.parametrize(("scenario", "name"), _parameters())
async def test_the_result_is_one_that_rfc_7208_allows(suite: dict[str, _Scenario], scenario: str, name: str) -> None:
    """Explanations are not fetched (docs/security.md), so their texts in the suite are ignored."""
    test = suite[scenario].tests[name]
    with DnsServer(suite[scenario].zone) as dns:
        result, detail = await _check(dns, test)
    allowed = test["result"] if isinstance(test["result"], list) else [test["result"]]
    assert result in allowed, f"{detail}; RFC 7208 {test['spec']}: {test.get('comment', '')}"


async def _check(dns: DnsServer, test: Mapping[str, Any]) -> tuple[str, str]:
    address = parse_address(test["host"])
    assert address
    resolver = CachingResolver([dns.address], _TIMEOUT)
    checker = SpfChecker(resolver, _TIMEOUT, best_guess=False)
    try:
        finding = await checker.check(Request(sender=test["mailfrom"], helo_name=test["helo"]), address)
    except ResolverError as error:
        return "temperror", str(error)
    finally:
        await resolver.close()
    result = finding.detail.partition(":")[0].partition(" ")[0]
    assert finding.score == {"temperror": None, "fail": 1, "softfail": 1}.get(result, 0)
    return result, finding.detail


def test_the_list_of_tests_is_complete(suite: dict[str, _Scenario]) -> None:
    assert {name: list(scenario.tests) for name, scenario in suite.items()} == {
        scenario: names.split() for scenario, names in _TESTS.items()
    }
