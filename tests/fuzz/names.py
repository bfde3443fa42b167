"""Host names (checks.dynamic, checks.helo, core.names): judged in time, and the same in any case."""

from collections.abc import Callable

import dns.name

from bley.checks.dynamic import check_dynamic
from bley.checks.helo import OwnIdentity, check_dynamic_helo, check_helo, faults_of_mismatch
from bley.core.mail import Address, Request, parse_address
from bley.core.names.domains import a_labels, domains_of, registered_domain
from bley.core.names.host_kind import HostKind, dynamic_sign, judge_host_name, server_domain
from bley.core.names.host_name import is_host_name, is_public_name
from bley.core.names.own_address import own_address_in
from tests.fuzz.fields import REPEAT, SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.step_time import Steps, run_in_time

_ADDRESSES = [
    address
    for text in ("192.0.2.1", "203.0.113.77", "10.20.30.40", "2001:db8::1", "2001:db8:1:2:3:4:5:6", "::")
    if (address := parse_address(text))
]
_LONGEST = 34_000
"""Octets of a name in a policy request."""


def check(data: bytes) -> None:
    """Check the client's address, its name, the HELO name, and the recipient."""
    fields = Fields(data)
    address, name, helo, recipient = fields.pick(_ADDRESSES), fields.text(), fields.text(), fields.text()
    request = Request(client_name=name[:_LONGEST], helo_name=helo[:_LONGEST], recipient=recipient)
    for each in (request.client_name, request.helo_name):
        _check_name(each, address)
    _check_helo(request, address)


def _check_name(name: str, address: Address) -> None:
    steps: list[Callable[[], object]] = [
        lambda: domains_of(name),
        lambda: judge_host_name(name.rstrip(".").lower(), address),
        lambda: own_address_in(name.lower()[:253], address),
        lambda: is_public_name(a_labels(name)),
    ]
    for step in steps:
        run_in_time(lambda steps, step=step: _time_anew(steps, step))  # type: ignore[misc]
    if is_host_name(form := a_labels(name)):
        assert dns.name.from_text(form).to_text(omit_final_dot=True) == form, (
            "a host name that the DNS writes otherwise"
        )
        assert parse_address(form) is None, "an address is no host name"
    domain = registered_domain(name)
    assert f".{name.rstrip('.').lower()}".endswith(f".{domain}") or not domain, "a domain that the name is not in"
    assert registered_domain(domain) == domain, "the registered domain of a registered domain is another"
    sign = dynamic_sign(name, address)
    assert sign == dynamic_sign(name.lower() + ".", address), "a final dot, or case, matters"
    assert bool(sign) == (check_dynamic(name, address).kind is not None), "the sign and the finding disagree"
    of_server = server_domain(name, address)
    assert of_server in ("", domain), "a server's domain is another"
    assert not (sign and of_server), "an access line has a server's domain"
    assert (judge_host_name(name.rstrip(".").lower(), address).kind is HostKind.DYNAMIC) == bool(sign), (
        "a line without a sign"
    )


def _check_helo(request: Request, address: Address) -> None:
    us = OwnIdentity("mail.example.org", ())
    finding = check_helo(request, address)
    faults = [kind for kind, _ in faults_of_mismatch(request, us)]
    assert finding == check_helo(request._replace(helo_name=request.helo_name + "."), address) or "[" in (
        request.helo_name
    ), "a final dot matters"
    assert finding.score in (0, 1, 2), "a score that HELO does not have"
    assert len(set(faults)) == len(faults), "a fault is found twice"
    line = check_dynamic_helo(request, address)
    assert line is None or dynamic_sign(a_labels(request.helo_name), address), (
        "a HELO name looks like a line, without a sign"
    )


def _time_anew(steps: Steps, step: Callable[[], object]) -> None:
    """Time the step with empty caches."""
    for cached in (domains_of, judge_host_name):
        cached.cache_clear()
    steps.time(step)


def _seed(name: str | bytes, helo: str = "mx.example.com", address: int = 0, recipient: str = "b@example.org") -> bytes:
    raw = name.encode() if isinstance(name, str) else name
    return SEPARATOR.join([bytes([address]), raw, helo.encode(), recipient.encode()])


HARNESS = Harness(
    check,
    seeds=[
        _seed("mx1.example.com", "mx1.example.com"),
        _seed("192-0-2-1.dyn.example.net", "[192.0.2.1]"),
        _seed("ec2-203-0-113-77.compute.amazonaws.com", "localhost.localdomain", 1),
        _seed("static.40.30.20.10.clients.your-server.de", "friend", 2),
        _seed("2001-db8-0-1.example.co.uk", "[IPv6:2001:db8::1]", 3),
        _seed("1.0.0.0.8.b.d.0.1.0.0.2.pool.example.jp", "192.0.2.1", 4),
        _seed("color-123.dsl.home.dyndns.org", "example.org"),
        _seed("bücher.example.中国", "xn--bcher-kva.example"),
        _seed(b"1-2.\xff\xff\x04", "a" * 300),
        _seed("unknown", ""),
    ],
    finds={
        "many short labels": _seed(b"a.\xff\x02\xff"),
        "many numbers": _seed(b"1-\xff\x02\xff"),
    },
    words=[
        b".",
        b"-",
        b"192",
        b"c0000201",
        b"dyn",
        b"dsl",
        b"mail",
        b"static",
        b".com",
        b"xn--",
        b"[IPv6:",
        b"]",
        REPEAT,
    ],
)
