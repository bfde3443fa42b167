"""SPF as bley evaluates it, compared with pyspf's own evaluation: records of every kind have the same result."""

from collections.abc import Mapping
from ipaddress import ip_address
from unittest import mock

import spf
from hypothesis import assume, given
from hypothesis import strategies as st

from bley.checks.spf_query import BoundedQuery

_NAMES = ("top.example", "a.example", "b.example", "jane.example")

_MACROS = st.sampled_from(
    [
        "%{d}",
        "%{s}",
        "%{l}",
        "%{i}",
        "%{ir}",
        "%{v}",
        "%{h}",
        "%{p}",
        "%{o}",
        "%{d2}",
        "%{d1r}",
        "%{l1r-}",
        "%{L}",
        "%{D}",
        "%{s}%{l}",
        "%%x",
        "%_x",
        "%-x",
        "%{x}",
        "%{c}",
        "%x",
        "%(d)",
    ]
)
"""Macros without `%{d`: pyspf reads a macro without an end as text, RFC 7208 7.1 as a wrong record."""

_DOMAINS = st.sampled_from([*_NAMES, "example", "a.1", "a.-b", "A.Example."]) | st.builds(
    "{}.{}".format, _MACROS, st.sampled_from(["example", "a.example", "com."])
)
_NETWORKS = st.sampled_from(
    [
        "ip4:192.0.2.0/24",
        "ip4:192.0.2.1",
        "ip4:192.0.2.128/25",
        "ip4:0.0.0.0/0",
        "ip4:192.0.2.1/33",
        "ip4:192.0.2",
        "ip4:",
        "ip6:2001:db8::/32",
        "ip6:2001:db8::1",
        "ip6:::/0",
        "ip6:2001:db8::1/129",
        "ip6:::ffff:192.0.2.1",
        "ip6:zz",
    ]
)
_MECHANISMS = (
    _NETWORKS
    | st.sampled_from(
        ["all", "a", "mx", "ptr", "a/24", "a//64", "mx/24//64", "a/33", "exists", "include", "all:x", "moo"]
    )
    | st.builds("{}:{}".format, st.sampled_from(["a", "mx", "ptr", "exists", "include"]), _DOMAINS)
    | st.builds("a:{}{}".format, _DOMAINS, st.sampled_from(["/24", "//64", "/0", "/08"]))
)
_TERMS = st.builds("{}{}".format, st.sampled_from(["", "", "-", "~", "?", "+", "="]), _MECHANISMS) | st.builds(
    "{}={}".format, st.sampled_from(["redirect", "x", "x-y.z", "1x"]), _DOMAINS
)


def _record(terms: list[str]) -> str:
    """Return a record. Each unknown modifier has another name, since pyspf refuses one that appears twice."""
    numbered = (f"y{number}{term}" if "=" in term and term[0] == "x" else term for number, term in enumerate(terms))
    return " ".join(["v=spf1", *numbered])


_RECORDS = st.lists(_TERMS, max_size=6).map(_record)
_ADDRESSES = {"A": ["192.0.2.1", "192.0.2.200", "203.0.113.1"], "AAAA": ["2001:db8::1", "2001:db9::1"]}


_WRONG = st.sampled_from(
    ["moo", "ip4:192.0.2.1\n", "x=\x7f", "a/33", "ip6:1", "redirect=a", "exp=a.1", "x=%", "-all:a", "include:", "\xfc"]
)


def _result(query: spf.query) -> str:
    try:
        return str(query.check()[0])
    except Exception:  # noqa: BLE001 (pyspf's own: bley treats it as a wrong record)
        return "permerror"


@given(
    records=st.fixed_dictionaries(dict.fromkeys(_NAMES, _RECORDS)),
    addresses=st.fixed_dictionaries({name: st.sampled_from(["A", "AAAA", "none"]) for name in _NAMES}),
    client=st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    local=st.sampled_from(["jane", "jane-x", "j.d-e"]),
)
def test_it_is_judged_as_pyspf_judges(
    records: Mapping[str, str], addresses: Mapping[str, str], client: str, local: str
) -> None:
    def look_up(name: str, rrtype: str, *_: object) -> list[tuple[tuple[str, str], object]]:
        values: list[object] = []
        if rrtype == "TXT" and name in records:
            values = [(records[name].encode(),)]
        elif rrtype == "MX" and name in records:
            values = [(10, "a.example")]
        elif rrtype == "PTR":
            values = ["b.example"]
        elif addresses.get(name) == rrtype:
            values = [*_ADDRESSES[rrtype]]
        return [((name, rrtype), value) for value in values]

    sender = f"{local}@top.example"
    with mock.patch.object(spf, "DNSLookup", look_up):
        bounded = _result(BoundedQuery(ip_address(client), sender, "a.example", lambda: None))
        by_pyspf = spf.query(client, sender, "a.example")
        result = _result(by_pyspf)
        assume("trivial recursion" not in str(by_pyspf.perm_error))  # no syntax error
        assert bounded == result


@given(terms=st.lists(_TERMS, max_size=6), wrong=_WRONG, place=st.integers(0, 6))
def test_a_syntax_error_anywhere_is_a_permerror(terms: list[str], wrong: str, place: int) -> None:
    """RFC 7208 4.6: whatever matches before."""
    record = _record([*terms[:place], wrong, *terms[place:]])

    def look_up(name: str, rrtype: str, *_: object) -> list[tuple[tuple[str, str], object]]:
        return [((name, rrtype), (record.encode(),))] if (name, rrtype) == ("top.example", "TXT") else []

    with mock.patch.object(spf, "DNSLookup", look_up):
        assert _result(BoundedQuery(ip_address("192.0.2.1"), "jane@top.example", "a", lambda: None)) == "permerror"
