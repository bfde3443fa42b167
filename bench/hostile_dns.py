"""A DNS of hostile answers, for the soak: failing lists, and SPF records of the highest possible cost."""

from collections.abc import Iterator
from itertools import cycle

from tests.dns_server import SILENT, DnsServer, Entry, Rcode, Truncated, Zone

__all__ = ["LISTS", "SENDER_DOMAINS", "ListTroubles", "zone"]

LISTS = {"dnsbls": "good.example, ill.example", "dnswls": "allow.example"}

_LISTED: Entry = {"A": ["127.0.0.2"], "TXT": ["listed, see https://good.example/"]}
_LONGEST_RECORD = 4096
"""Octets of the longest SPF record that bley reads."""
_NESTED = 12
"""RFC 7208 4.6.4 allows ten."""


def _policy(text: str) -> Entry:
    return {"TXT": [text]}


def _filled(head: str, unit: str, tail: str = " -all") -> str:
    """Return a record of the greatest length that bley reads."""
    return head + unit * ((_LONGEST_RECORD - len(head) - len(tail)) // len(unit)) + tail


_SENDERS: dict[str, Entry] = {
    "plain.example": _policy("v=spf1 ip4:192.0.2.0/24 -all"),
    "soft.example": _policy("v=spf1 a mx ptr ~all"),
    "huge.example": Truncated({"TXT": ["x" * 60_000]}),
    "long.example": _policy(_filled("v=spf1 ", "ip4:192.0.2.1 ")),
    "dots.example": _policy(_filled("v=spf1 x=%-", "a.")),
    "percent.example": _policy(_filled("v=spf1 a:", "%%.")),
    "explained.example": _policy("v=spf1 -all exp=exp.explained.example"),
    "exp.explained.example": {"TXT": ["%%" + "." * 16_000]},
    "nested.example": _policy("v=spf1 include:n0.nested.example -all"),
    "many.example": _policy("v=spf1 " + " ".join(f"include:m{number}.many.example" for number in range(9)) + " -all"),
    "loop.example": _policy("v=spf1 redirect=loop.example"),
    "alias.example": {"CNAME": ["alias.example"]},
    "failing.example": Rcode("SERVFAIL"),
    "refusing.example": Rcode("REFUSED"),
    "silent.example": SILENT,
    "two.example": {"TXT": ["v=spf1 +all", "v=spf1 -all"]},
    "macro.example": _policy("v=spf1 exists:%{ir}.%{l1r-}.%{h}.macro.example ?all"),
}
SENDER_DOMAINS = [name for name in _SENDERS if name != "exp.explained.example"] + ["nothing.example"]
"""Sender domains, one of them without a record."""


def zone() -> Zone:
    """Return the zone at the start: all lists are healthy."""
    nested = {f"n{number}.nested.example": _policy(f"v=spf1 include:n{number + 1}.nested.example -all")
              for number in range(_NESTED)}  # fmt: skip
    many = {f"m{number}.many.example": _policy(_filled("v=spf1 x=%-", "a.", "")) for number in range(9)}
    names = ("good.example", "ill.example", "allow.example")
    lists: dict[str, Entry] = {f"2.0.0.127.{name}": _LISTED for name in names}
    lists |= {"*.113.0.203.good.example": _LISTED, "*.100.51.198.ill.example": _LISTED}
    return {**_SENDERS, **nested, **many, **lists}


class ListTroubles:
    """Faults of ill.example, one after the other: silent, failing, parked, listing the world, a huge text, healthy
    again."""

    def __init__(self, dns: DnsServer) -> None:
        self._dns = dns
        self._troubles: Iterator[Entry] = cycle(
            [
                SILENT,
                Rcode("SERVFAIL"),
                {"A": ["203.0.113.80"]},
                {"A": ["127.0.0.2"]},
                {"A": ["127.255.255.254"]},
                Truncated({"A": ["127.0.0.4"], "TXT": ["y" * 50_000]}),
                Rcode("NXDOMAIN"),
            ]
        )

    def next(self) -> None:
        """Change the list's answers for all clients."""
        self._dns.update("*.ill.example", next(self._troubles))

    def silence_all(self, *, is_silent: bool) -> None:
        """Silence the whole DNS, or restore it."""
        (self._dns.silence if is_silent else self._dns.speak)()
