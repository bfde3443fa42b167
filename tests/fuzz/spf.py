"""checks.spf with a scripted DNS: no step is long, nothing stays suspended, a cached result equals a new one.

No name is queried for a record that cannot have one, and no record with a line feed matches.

The zone is the bytes: records of a few names that refer to each other, plus existing hosts. The seeds contain those
names, so the fuzzer knows them.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from bley.checks.spf import SpfChecker, running_evaluations
from bley.checks.spf_validity import SPF_RECORD
from bley.core.errors import ResolverError
from bley.core.evidence import Finding
from bley.core.mail import Address, Request, parse_address
from bley.ports import Outcome, ResourceRecord, RrType
from tests.fakes import query_by_future
from tests.fuzz.fields import REPEAT, SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.step_time import Steps, run_in_time

_ADDRESSES = [
    (address, neighbour)
    for one, other in (("192.0.2.1", "192.0.2.77"), ("2001:db8::1", "2001:db8::77:1"), ("198.51.100.9", "203.0.113.9"))
    if (address := parse_address(one)) and (neighbour := parse_address(other))
]
_TIMEOUT = timedelta(seconds=20)
_MOST_QUESTIONS = 150
"""The maximal number of questions. RFC 7208 4.6.4: ten terms, of which an MX or PTR needs ten addresses, and the
record, twice."""

_LONGEST_DETAIL = 600
_TEXT_OCTETS = 65_000
_SCORES = (None, 0, 1)


class _ScriptedResolver:
    """A resolver that answers at once, from TXT records by name and from one set of A, AAAA, MX and PTR for all names.

    Each lookup ends a step of the evaluation and begins the next.
    """

    is_silent = False

    def __init__(self, texts: dict[str, list[bytes]], hosts: list[str], steps: Steps) -> None:
        self._texts, self._hosts, self._steps = texts, hosts, steps
        self.questions = 0
        self._begun = time.thread_time()

    def resolve(self, name: str, rrtype: RrType) -> asyncio.Future[Sequence[ResourceRecord]]:
        """Answer by the script; `fail` as the first text of a name is a failure of the DNS."""
        self.end_step()
        self.questions += 1
        assert name.isascii(), f"{name!r} can have no record"
        assert rrtype != "TXT" or "." in name.rstrip("."), f"{name!r} can have no SPF record"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[ResourceRecord]] = loop.create_future()
        texts = self._texts.get(name.rstrip(".").lower(), [])
        if texts[:1] == [b"fail"]:
            answer.set_exception(ResolverError(name, rrtype, "SERVFAIL"))
        else:
            answer.set_result([ResourceRecord(name, rrtype, data, 300) for data in self._data(rrtype, texts)])
        self._begun = time.thread_time()
        return answer

    def query(self, name: str, rrtype: RrType, then: Callable[[Outcome], object]) -> None:
        """Answer as `resolve` does."""
        query_by_future(self, name, rrtype, then)

    def _data(self, rrtype: RrType, texts: list[bytes]) -> Sequence[str | bytes | tuple[int, str]]:
        if rrtype == "TXT":
            return texts
        addresses = [address for host in self._hosts if (address := parse_address(host))]
        names = [host for host in self._hosts if not parse_address(host)]
        match rrtype:
            case "A" | "AAAA":
                return [str(each) for each in addresses if each.version == (4 if rrtype == "A" else 6)]
            case "MX":
                return [(10, name) for name in names]
        return names

    def end_step(self) -> None:
        """Time the step since the last answer."""
        self._steps.longest = max(self._steps.longest, time.thread_time() - self._begun)


def check(data: bytes) -> None:
    """Check the client, a guess or none, sender, HELO, hosts with blanks between, then names and texts in turn."""
    fields = Fields(data)
    address, neighbour = fields.pick(_ADDRESSES)
    guesses = bool(fields.number() % 2)
    request = Request(sender=fields.text()[:2000], helo_name=fields.text()[:2000])
    hosts = fields.text().split()[:20]
    texts: dict[str, list[bytes]] = {}
    while fields:
        name = fields.text().lower()
        texts.setdefault(name, []).append(fields.octets()[:_TEXT_OCTETS])
    other = request._replace(sender=f"other.{request.sender}" if request.sender else "", helo_name="other.example")

    def run(steps: Steps) -> None:
        first = [(request, address), (request, neighbour), (other, address)]
        kept = asyncio.run(_check_all(first, texts, hosts, steps, guesses=guesses))
        _check_no_match_of_wrong_syntax(findings=kept[:1], texts=texts, request=request)
        for case, finding in list(zip(first, kept, strict=True))[1:]:
            (asked,) = asyncio.run(_check_all([case], texts, hosts, steps, guesses=guesses))
            assert _meaning(asked) == _meaning(finding), f"kept {finding}, asked {asked} for {case}"

    run_in_time(run)


def _check_no_match_of_wrong_syntax(
    findings: Sequence[Finding | None], texts: dict[str, list[bytes]], request: Request
) -> None:
    domain = request.sender.rpartition("@")[2] if request.sender else request.helo_name
    has_line_feed = any(b"\n" in text for text in texts.get(domain.lower(), []) if SPF_RECORD.match(text))
    assert not has_line_feed or _meaning(findings[0])[1] not in ("pass", "fail", "softfail"), "a record of two lines"


def _meaning(finding: Finding | None) -> tuple[int | None, str]:
    """Return the parts that count; the explanation may contain the address."""
    return (None, "") if finding is None else (finding.score, finding.detail.partition(":")[0])


async def _check_all(
    cases: Sequence[tuple[Request, Address]],
    texts: dict[str, list[bytes]],
    hosts: list[str],
    steps: Steps,
    *,
    guesses: bool,
) -> list[Finding | None]:
    """Return the results of one checker in turn; None if the DNS failed."""
    resolver = _ScriptedResolver(texts, hosts, steps)
    checker = SpfChecker(resolver, _TIMEOUT, best_guess=guesses)
    findings: list[Finding | None] = []
    for request, address in cases:
        resolver.questions = 0
        try:
            findings.append(finding := await checker.check(request, address))
        except ResolverError:
            findings.append(None)
        else:
            assert finding.score in _SCORES, "a score that SPF does not have"
            assert len(finding.detail) <= _LONGEST_DETAIL, f"a detail of {len(finding.detail)} characters"
        resolver.end_step()
        assert resolver.questions <= _MOST_QUESTIONS, f"{resolver.questions} questions for one mail"
        assert not running_evaluations(), "an evaluation stays suspended"
    return findings


_MACRO = b"v=spf1 exists:%{ir}.%{l1r-}.%{d}.example include:%{d2}.b.example ?exp=e.example -all"


def _seed(
    *texts: tuple[str, bytes],
    sender: str = "jane@a.example",
    helo: str = "mx.a.example",
    hosts: str = "192.0.2.1 mx.a.example 2001:db8::1",
    address: int = 0,
    guess: int = 0,
) -> bytes:
    head = [bytes([address]), bytes([guess]), sender.encode(), helo.encode(), hosts.encode()]
    return SEPARATOR.join([*head, *(octets for name, text in texts for octets in (name.encode(), text))])


def _record(text: bytes) -> bytes:
    return _seed(("a.example", text))


HARNESS = Harness(
    check,
    seeds=[
        _record(b"v=spf1 a mx ip4:192.0.2.0/24 -all"),
        _record(b"v=spf1 ptr:a.example ~all"),
        _record(_MACRO),
        _seed(("a.example", b"v=spf1 include:b.example -all"), ("b.example", b"v=spf1 ip4:192.0.2.64/26 ?all")),
        _seed(("a.example", b"v=spf1 redirect=b.example"), ("b.example", b"fail")),
        _seed(("a.example", b"v=spf1 -all exp=e.example"), ("e.example", b"no, %{s} from %{i} %{h} %{t} %{c} %{r}")),
        _seed(("mx.a.example", b"v=spf1 a:mx.a.example/24//64 -all"), sender="", address=1),
        _seed(("a.example", b"v=spf1 +all"), ("a.example", b"v=spf1 -all")),
        _seed(("a.example", b"no policy"), address=2, guess=1),
        _seed(("", b"v=spf1 -all"), sender="x@y@", helo="[192.0.2.1]"),
        _seed(sender="@a.example"),
        _record(b"v=spf1 ip4:192.0.2.1 a:x.example\n -all"),
        _record(b"v=spf1 redirect=b.example Redirect=%{d1} exp=%{l} x=1 x=2"),
        _seed(
            ("xn--bcher-kva.example", b"v=spf1 exists:%{l}.%{d1} include:%{h} -all"),
            sender="j\u00fc@b\u00fccher.example",
        ),
        _seed(("mail", b"v=spf1 +all"), sender="", helo="mail"),
        _record(b"v=spf1 include:a.example include:%{d1} -all"),
    ],
    finds={
        "an explanation with 16,000 dots": _seed(
            ("a.example", b"v=spf1 -all exp=e.example"), ("e.example", b"%%." + b"\xff\x01\xff." * 4)
        ),
        "a macro without its brace before two thousand labels": _record(b"v=spf1 x=%-a.\xff\x02\x7f -all"),
        "percent signs before four thousand dots": _record(b"v=spf1 x=%%.\xff\x01\xfa -all"),
        "an a: of four thousand dots": _record(b"v=spf1 a:.a\xff\x01\xfa! -all"),
        "a macro in the sender's domain": _seed(sender="js@%{h}", helo="x" * 70, address=1, guess=1),
        "a sender that is a domain with a U-label": _seed(sender="mx\u043e.example", address=2, guess=1),
        "an include of a HELO name without A-labels": _seed(
            ("a.example", b"v=spf1 include:%{h} exists:%{h} -all"), helo="mx\u05de\u045a96.0.2.1 mxample"
        ),
        "a long detail": _seed(("a.example", b"v=spf1 -all exp=e.example"), ("e.example", b"x\xff\x01\xff")),
    },
    words=[
        *(b"v=spf1 ", b"include:", b"redirect=", b"exists:", b"exp=", b" a:", b" mx:", b" ptr:", b" ip4:", b" ip6:"),
        *(
            b"-all",
            b"~all",
            b"?all",
            b"%{",
            b"%{i}",
            b"%{s}",
            b"%{l}",
            b"%{h}",
            b"%{p}",
            b"%{d1r.-}",
            b"%%",
            b"%_",
            b"%-",
        ),
        *(b"\n", b" x=", b"%{d1}", "b\u00fccher.example".encode(), b"xn--bcher-kva.example"),
        *(b"a.example", b"b.example", b"e.example", b"/24", b"//64", SEPARATOR, REPEAT),
    ],
    longest=8192,
)
