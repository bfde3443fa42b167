"""The cost of the texts of a request, whatever a stranger writes: each step takes linear time."""

import contextlib
import gc
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from bley.checks.dynamic import check_dynamic
from bley.checks.helo import OwnIdentity
from bley.checks.request import check_request
from bley.core.exemptions.list_files import read_clients, read_mail_addresses
from bley.core.mail import Request, parse_address
from bley.core.names.domains import a_labels, domains_of, load_suffixes
from bley.core.names.host_kind import judge_host_name, server_domain
from bley.core.names.host_name import is_host_name
from bley.core.triplet import TripletRules, bounded
from bley.core.wire import MAX_REQUEST_BYTES
from bley.dns.c_ares import ascii_name
from tests.step_time import Steps, run_in_time

_IPV4, _IPV6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")
_UNITS = (
    *("a", ".", "a.", "-", "a-1", "=", "@", "@.", "%", "\\", "_-", "_", "+", "a+", "0", "f", "1.", "1-", "0a", "["),
    *("ü", "ü.", "漢", "\u200b", "İ", "ß.", "\u0660.", "\u06f1x", "ﬃ", "\u0345", "xn--", "xn--a."),
    *("prvs=", "prvs=a=", "btv1==", "btv1==a==", "msprvs1=", "srs0=a=b=", "SRS0+a=b=c=", "srs1=a==b=c=", "a=b=", "=-"),
    *("dsl.", "dsl-", "mail.", "smtp.dyn.", "192-0-2-1.", "2001-db8-", "[ipv6:", "com.", "co.uk."),
    *("deadbeef-", "550e8400-e29b-41d4-a716-446655440000"),
)
_ENDS = (
    ("", ""),
    ("", "@d.example"),
    ("u@", ""),
    ("", ".com"),
    ("", "!"),
    ("prvs=x=", "@d.example"),
    ("srs0=x=x=", "@d"),
)
WORST_TEXTS = [
    start + unit * ((MAX_REQUEST_BYTES - len(start) - len(end)) // len(unit.encode())) + end
    for unit in _UNITS
    for start, end in _ENDS
]

_RULES = TripletRules()
_PRIVATE = TripletRules(privacy_key=b"k" * 32)
_CLIENTS = read_clients([("f", "example.org\n192.0.2.0/25\n/^mx[0-9]+/")])
_ADDRESSES = read_mail_addresses([("f", "a@\nexample.org\njane@example.org\n/^jane/")])

STEPS: dict[str, Callable[[str], object]] = {
    "the sender": _RULES.sender,
    "the recipient": _RULES.recipient,
    "the sender, hashed": _PRIVATE.sender,
    "a part of a triplet": bounded,
    "the client's address": parse_address.__wrapped__,
    "the domains that a name is in": domains_of.__wrapped__,
    "the A-labels of a name": a_labels.__wrapped__,
    "the A-labels of a name's end": lambda text: a_labels.__wrapped__(text[-253:]),
    "the form of a host name": lambda text: is_host_name(text[-253:]),
    "the name of a client": lambda text: check_dynamic(text, _IPV4),
    "the end of a client's name": lambda text: check_dynamic(text[-253:], _IPV4),
    "the end of a name by IPv6": lambda text: check_dynamic(text[-253:], _IPV6),
    "the domain of a client": lambda text: server_domain(text, _IPV4),
    "all that a request tells": lambda text: check_request(
        Request(client_name=text, helo_name=text, sender=text, recipient=text), _IPV4, OwnIdentity("mx.example.org")
    ),
    "list files of clients": lambda text: _CLIENTS.find(_IPV4, text),
    "list files of addresses": _ADDRESSES.find,
    "a name that is asked for": ascii_name,
}


_CACHED = (a_labels, domains_of, judge_host_name, parse_address)


def _time_anew(steps: Steps, step: Callable[[str], object], text: str) -> None:
    """Time the step with empty caches."""
    for cached in _CACHED:
        cached.cache_clear()
    with contextlib.suppress(UnicodeError):  # no name to query
        steps.time(lambda: step(text))


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_it_takes_linear_time(step: Callable[[str], object]) -> None:
    """It takes 2 ms at most for a text as long as a whole request. Quadratic steps took 120 ms."""
    load_suffixes()
    gc.collect()  # no step pays for the garbage of other tests
    for text in WORST_TEXTS:
        run_in_time(lambda steps, text=text: _time_anew(steps, step, text))  # type: ignore[misc]
