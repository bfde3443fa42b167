"""core.triplet: normalizing twice, case and a tag of one message change nothing, and all parts can be stored."""

from collections.abc import Callable

from bley.core.mail import parse_address
from bley.core.triplet import LONGEST_PART, TripletRules, bounded
from tests.fuzz.fields import REPEAT, SEPARATOR, Fields
from tests.fuzz.harness import Harness
from tests.step_time import in_time

_RULES = (
    TripletRules(),
    TripletRules("network", 1, 1, ""),
    TripletRules("address", 32, 128, "-+="),
    TripletRules(privacy_key=b"k" * 32),
    TripletRules("smart", 24, 64, "+-", privacy_key=b"k" * 32),
)

_TAGS = ("prvs=0123abcdef=", "PRVS=039576d22=", "msprvs1=17582Z=", "btv1==34826e458e2==", "btv1==1==prvs=1234abcdef=")


def check(data: bytes) -> None:
    """Check the rules, then an address, the client's domain and its IP address."""
    fields = Fields(data)
    rules, mail, domain, address = fields.pick(_RULES), fields.text(), fields.text(), parse_address(fields.text())
    for normalise in (rules.sender, rules.recipient):
        _check_mail(normalise, mail, is_hashed=bool(rules.privacy_key))
    if len(mail) < LONGEST_PART // 8:
        _check_tags(rules, mail.strip())
    kept = in_time(lambda: bounded(domain))
    assert bounded(kept) == kept, "bounded twice, it is another"
    _check_fits(kept)
    if address:
        for name in (domain, ""):
            _check_fits(in_time(lambda name=name: rules.client(address, name)))  # type: ignore[misc]


def _check_mail(normalise: Callable[[str], str], mail: str, *, is_hashed: bool) -> None:
    normal = in_time(lambda: normalise(mail))
    _check_fits(normal)
    assert normal == normal.strip(), "white space around it"
    assert normalise(_in_other_case(mail)) == normal, "case matters"
    assert normalise(f" {mail}\t") == normal, "white space around it matters"
    if not is_hashed:  # a hash is another address, and is hashed itself
        assert normalise(normal) == normal, f"normalised twice, {normal!r} is {normalise(normal)!r}"


def _in_other_case(mail: str) -> str:
    """Return the address in lower case; in domains only ASCII, since ß and ss are two domains."""
    local, at, domain = mail.rpartition("@")
    has_domain = "=" in local  # SRS0=hash=time=domain=local
    return (
        (_lower_ascii(local) if has_domain else local.casefold())
        + at
        + (_lower_ascii(domain) if at else domain.lower())
    )


def _lower_ascii(text: str) -> str:
    return "".join(sign.lower() if sign.isascii() else sign for sign in text)


def _check_tags(rules: TripletRules, mail: str) -> None:
    normal = rules.sender(mail)
    if mail.rpartition("@")[0].strip():
        for tag in _TAGS:
            assert rules.sender(tag + mail) == normal, f"{tag} in front of it matters"


def _check_fits(part: str) -> None:
    assert len(part.encode()) <= LONGEST_PART, "too long for an engine"


def _seed(mail: str | bytes, rules: int = 0, domain: str = "example.com", address: str = "192.0.2.1") -> bytes:
    raw = mail.encode() if isinstance(mail, str) else mail
    return SEPARATOR.join([bytes([rules]), raw, domain.encode(), address.encode()])


HARNESS = Harness(
    check,
    seeds=[
        _seed("Jane+news@example.org"),
        _seed("prvs=4711abc=jane@d"),
        _seed("SRS0=hash=tt=d1.example=jane@d2", 1),
        _seed("srs1=h=d1==h=t=d0=jane@d", 2),
        _seed("list-4711-bounce+x@d", 3, address="2001:db8::1"),
        _seed("", address="::ffff:192.0.2.1"),
        _seed(b"x\xff\xff\x01@d", 4),
        _seed("ÜBER.Straße@BÜCHER.example", 2),
        _seed("btv1==tag==jane@d"),
        _seed("msprvs1=tag=bounces-1234@d"),
        _seed("bounce-0123456789abcdef-550e8400-e29b-41d4-a716-446655440000@d"),
        _seed("n01361f1607-0fe582ccfc934393-user===d.example@bounce.x.example"),
        _seed("0102016efd924cb8-4e48dd8b-0599-4a87-8084-b51c410b859b-000000@d", 1),
        _seed("jane+prvs=2987a7b7c7@d", 1),
        _seed("prvs=jane=0123456789@d"),
        _seed("srs0=h=t=bounce.example=20260805021027-x@d", 2),
        _seed("srs0=h=t=STRASSE.example=Jane@d", 2),
        _seed("srs0=h=t=straße.example=Jane@d", 2),
    ],
    finds={
        "BATV inside SRS": _seed("srs0=h=t=d=prvs=1abc=jane@d"),
        "a number across the place where a local part is cut": _seed("7" * 230 + "x" * 30 + "@d"),
        "white space and a dot after a U-label": _seed("Ü@BÜCHER\r.", 2),
        "a final dot after a local part that is ASCII only case-folded": _seed("ß@d.example.", 2),
        "a domain with a U-label that is cut": _seed("j@bü." + "x" * 260, 2),
    },
    words=[
        b"prvs=",
        b"srs0=",
        b"srs1=",
        b"SRS0+",
        b"=",
        b"@",
        b"+",
        b"-",
        b"#",
        b"1234",
        b"btv1==",
        b"msprvs1=",
        *(b"bounce", b"list", b"0fe582cc", b"550e8400-e29b-41d4-a716-446655440000", b"20260805021027", b"+prvs="),
        REPEAT,
    ],
)
