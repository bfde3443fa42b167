"""core.history.record_filter: a text that names records never matches all of them, and matches its own record."""

from bley.core.history.conditions import named_domain
from bley.core.history.record_filter import RecordFilter
from bley.core.imported_record import is_any
from bley.core.mail import Triplet, parse_address
from bley.core.triplet import TripletRules
from tests.fuzz.fields import SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.step_time import in_time

_RULES = (TripletRules(), TripletRules("address", 32, 128, "-+="), TripletRules(privacy_key=b"k" * 32))
_PARTS = ("client", "sender", "recipient")
_UNLIKE = (
    Triplet("one.example", "a@one.example", "b@two.test"),
    Triplet("192.0.2.0/24", "c@three.invalid", "d@four.example"),
    Triplet("2001:db8::/64", "e@five.test", "f@six.invalid"),
    Triplet("seven.invalid", "", "g@eight.test"),
)
"""Records that have nothing in common."""


def check(data: bytes) -> None:
    """Check the rules, and a text that names a client, a sender, a recipient in turn."""
    fields = Fields(data)
    rules, text = fields.pick(_RULES), fields.text()
    for part in _PARTS:
        given = RecordFilter(**{part: text})
        try:
            wanted = in_time(lambda given=given: given.normalised(rules))  # type: ignore[misc]
        except ValueError as error:
            _check_fault(str(error), part)
            continue
        if not text:
            continue
        assert not all(map(wanted.fits, _UNLIKE)), f"{part} {text!r} means every record"
        assert wanted.fits(_own(text, rules, part)), f"{part} {text!r} does not fit its own record"


def _check_fault(fault: str, part: str) -> None:
    assert fault.startswith(f"{part}: "), f"a fault of another part: {fault}"
    assert fault.isprintable(), "a fault that a terminal would take for a command"


def _own(text: str, rules: TripletRules, part: str) -> Triplet:
    """Return a record of the mail address, or one of the client, that the text names."""
    named = RecordFilter(**{part: text}).normalised(rules)
    word = getattr(named, part)
    triplet = Triplet("x.example", "x@x.example", "x@x.example")
    if part == "client":
        address = parse_address(word)
        return triplet._replace(client=rules.client(address, "") if address else word)
    if word == "<>":
        return triplet._replace(**{part: ""})
    is_domain = named_domain(word) == word and "@" not in word  # the stored form of a very long mail address has no "@"
    return triplet._replace(**{part: f"x@below.{word}" if is_domain and not is_any(word) else word})


def _seed(text: str, rules: int = 0) -> bytes:
    return bytes([rules]) + SEPARATOR + text.encode()


HARNESS = Harness(
    check,
    seeds=[
        _seed("example.com"),
        _seed("@example.com", 1),
        _seed("Jane+x@BÜCHER.example"),
        _seed("prvs=1=jane@d", 2),
        _seed("192.0.2.7"),
        _seed("192.0.2.0/24", 1),
        _seed("[2001:db8::1]"),
        _seed("::ffff:192.0.2.1"),
        _seed("<>"),
        _seed(""),
        _seed("ANY@example.com"),
        _seed("#-bounce@x.example"),
    ],
    finds={
        "an at sign alone": _seed("@"),
        "a blank": _seed(" "),
        "a dot": _seed("."),
        "every address": _seed("::/0"),
        "an address with a zone that is none": _seed("::%/("),
        "a mail address that is cut in its local part": _seed("BÜX." * 100 + "a@" + "BÜX." * 100),
    },
    words=[b"@", b"<", b">", b"<>", b".", b"ANY", b"[", b"]", b"::", b"/0", b"xn--", b"+", b"#", b"srs0="],
)
