"""Decisions, records and texts for tests of searches: few words, in many spellings."""

import random
from datetime import UTC, datetime, timedelta

from bley.core.decision import Decision, DecisionEntry
from bley.core.greylist import Record, Status
from bley.core.mail import Request, Triplet
from bley.core.reasons import Reason
from bley.core.triplet import ANY, TripletRules

__all__ = ["ADDRESSES", "LABELS", "LOCALS", "NASTY", "NETWORKS", "NOW", "RULES", "some_decisions", "some_records"]

RULES = TripletRules()
NOW = datetime.now(UTC)
LABELS = ["mail", "Mx", "example", "EXAMPLE", "com", "a%b", "c_d", "über", "x-1", "#", "4711", "a/b", "", "e\\f", "g!h"]
LABELS += ["ÜBER", "xn--ber-goa", "XN--BER-GOA", "Straße", "strasse", "xn--strae-oqa", "ü_b", "\u3002", "\u00ad"]
LOCALS = [
    "jane",
    "Jane",
    "-",
    "7",
    "+x",
    "prvs=1=",
    "SRS0=h=t=",
    "#",
    "ü",
    "Ü",
    "ß",
    "SS",
    "Σ",
    "ς",
    "%",
    " ",
    "x" * 150,
]
ADDRESSES = ["192.0.2.7", "192.0.20.7", "::ffff:192.0.2.7", "2001:db8::7", "2001:db8:0:1::7", "2001:db80::7", "x", ""]
ADDRESSES += [
    "::FFFF:c000:207",
    "0:0:0:0:0:ffff:192.0.2.7",
    "2001:0DB8:0:0:0::7",
    "fe80::1%eth0",
    "1:2:3:4:5:6:7:8",
    "::",
]
NETWORKS = ["192.0.2.0/24", "192.0.0.0/11", "2001:db8::/32", "2001:db8:0:1::/64", "2001:db8::/31", "::/3", "0.0.0.0/1"]
NETWORKS += ["::/0", "0.0.0.0/0", "::1", "::ffff:192.0.2.0/120", "192.0.2.7/9", "2001:DB8::1/15", "1:2:3:4:5:6:7:8/128"]
NASTY = [
    ".",
    "@",
    "<@",
    "<@>",
    "@.",
    "..",
    " ",
    "",
    "<>",
    "<",
    ">",
    "@192.0.2.0/24",
    "@[192.0.2.7]",
    "[192.0.2.7]",
    "#",
]
NASTY += ["com.", ".com", "@com", "@@com", "a@", "@a@", "\u3002", "\u00ad", "%", "_", "\\", "!", "'", "\ufffd", "\x00"]


def some_decisions(number: int, seed: int = 4711) -> list[DecisionEntry]:
    """Return the same decisions each time."""
    chance = random.Random(seed)
    return [_kept(chance) for _ in range(number)]


def some_records(number: int, seed: int = 4711) -> dict[Triplet, Record]:
    """Return the same records each time, each a second older than the one before."""
    chance = random.Random(seed)
    return dict(_record(chance, each) for each in range(number))


def _mail(chance: random.Random) -> str:
    if chance.random() < 0.1:
        return chance.choice(["", " ", "jane", "\t", ANY])
    return f"{''.join(chance.choices(LOCALS, k=chance.randrange(4)))}@{_name(chance)}"


def _name(chance: random.Random) -> str:
    return ".".join(chance.choices(LABELS, k=chance.randrange(4)))


def _kept(chance: random.Random) -> DecisionEntry:
    instance, queue_id = chance.choice(["", "1.2.0", "x-1", "."]), chance.choice(["", "4Xy", "mail", "@"])
    request = Request(
        "RCPT",
        "",
        chance.choice(ADDRESSES),
        _name(chance),
        _name(chance),
        _mail(chance),
        _mail(chance),
        instance,
        queue_id,
    )
    triplet = Triplet("client", request.sender, request.recipient)
    decision = Decision(request, Reason.CLEAN, triplet=triplet)
    return DecisionEntry(NOW, "pass", decision, request.sender, request.recipient)


def _record(chance: random.Random, number: int) -> tuple[Triplet, Record]:
    """Return a record: mostly as bley makes it, sometimes as an import may contain it."""
    seen = NOW - timedelta(seconds=number)
    clients = [*ADDRESSES, *NETWORKS, _name(chance)]
    sender, recipient = _mail(chance), _mail(chance)
    if chance.random() < 0.7:
        sender, recipient = RULES.sender(sender), RULES.recipient(recipient)
    cut = (part.encode()[:250].decode(errors="ignore").strip() for part in (chance.choice(clients), sender, recipient))
    return Triplet(*cut), Record(Status.CLEAN, seen, seen)
