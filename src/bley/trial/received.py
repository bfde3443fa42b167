"""The `Received` header of one hop: from it, the client as the mail server saw it, and the envelope.

    Postfix, Gmail  from HELO (NAME [ADDRESS]) by HOST (Postfix) with ESMTP id … for <RECIPIENT>; DATE
    sendmail        from HELO (NAME [ADDRESS] (may be forged)) by HOST (8.17.1/8.17.1) with ESMTP id …; DATE
    Exim            from NAME ([ADDRESS] helo=HELO) by HOST with esmtps (Exim 4.96) (envelope-from <SENDER>) … for …; …
                    from NAME ([ADDRESS]) by …      the HELO is the name
                    from [ADDRESS] (helo=HELO) by …    no name
    qmail           from NAME (HELO HELO) (ADDRESS) by HOST with SMTP; DATE
                    from NAME (ADDRESS) by …           the HELO is the name
    Exchange        from HELO (ADDRESS) by HOST (OWN ADDRESS) with Microsoft SMTP Server id …; DATE
    Ipswitch IMail  from HELO [ADDRESS] by HOST (SMTPD32-7.07) id …; DATE
    Yahoo           from ADDRESS (EHLO HELO) by 10.197.32.140 with SMTPs …; DATE
    Cisco, James    from NAME (HELO HELO) ([ADDRESS]) by HOST with ESMTP; DATE
    chasquid        from [ADDRESS] (HELO) by HOST (chasquid) with ESMTPS …; DATE

Some hops within a site look like those of strangers: amavis repeats the client that the border server saw, and servers
of Exchange Online have public addresses.

A stranger writes the HELO, which may contain blanks and brackets. So of several possible clients the last one before
`by` counts, which the mail server wrote. Source: RFC 5321 4.4, and the source texts of these programs.
"""

import re
from calendar import timegm
from email.utils import mktime_tz, parsedate_tz
from typing import NamedTuple

from bley.core.mail import Address, parse_address

__all__ = ["LONGEST_RECEIVED", "Hop", "parse_date", "parse_received"]

LONGEST_RECEIVED = 2000
"""The characters of a header that are read. Real ones have at most some 700."""

_LATEST = 1 << 33
"""Seconds since 1970 below which a date is plausible: the year 2242."""

_INNER = r"\([^()]*+\)"
_COMMENT = rf"\((?:[^()]|\((?:[^()]|\((?:[^()]|{_INNER})*+\))*+\))*+\)"
"""A comment, with comments in it of three levels."""
_CERTIFICATE = rf'\(Client CN "[^"]*+", Issuer "[^"]*+" {_INNER}\)'
"""The comment about the certificate of a client, which writes names with any parentheses."""
_BY = rf"(?=(?:\s*+(?:{_CERTIFICATE}|{_COMMENT})){{0,6}}+(?:\s++via\s++\w++)?+\s*+[Bb][Yy]\s++(?P<by>[^\s;()]++))"
"""The comments behind the client, at most six so that the time is linear, and the host that wrote the header.

It is a lookahead, since a comment may be the real client.
"""

_BRACKETS = re.compile(
    r"\((?:IDENT:\s[^\s()]*+\s)?(?:(?P<name>[^\s()\[\]=]++)\s*+)?\[(?P<address>[^\[\]\s]++)\]"
    rf"(?P<more>(?:[^()]|\([^()]*+\))*+)\){_BY}"
)
_QMAIL = re.compile(
    r"\((?:HELO|EHLO)\s(?P<helo>[^()]*+)\)\s*+\((?:[^\s()@]*+@)?\[?(?P<address>(?:IPv6:)?[0-9a-fA-F.:]++)\]?\)" + _BY
)
_YAHOO = re.compile(rf"\Afrom\s++(?P<address>[0-9a-fA-F.:]++)\s++\((?:HELO|EHLO)\s(?P<helo>[^()]*+)\){_BY}")
_BARE_BRACKETS = re.compile(rf"\s\[(?P<address>[^\[\]\s]++)\](?P<more>(?:\s*+{_COMMENT})?+){_BY}")
_ADDRESS_FIRST = re.compile(
    rf"\A[Ff][Rr][Oo][Mm]\s++\[(?P<address>[^\[\]\s]++)\](?::[0-9]++)?(?P<more>(?:\s*+{_COMMENT})?+){_BY}"
)
_PARENTHESES = re.compile(rf"\((?:[^\s()@]*+@)?(?P<address>[0-9a-fA-F.:]++)\){_BY}")
_PORT = re.compile(r"(\d++(?:\.\d++){3})[.:]\d++")
"""An address with a port, as Momentum, XMail and an old Exim write it."""
_NO_CLIENT = re.compile(r"(?:\A|\s)[Bb][Yy]\s++(?P<by>[^\s;()]++)")

_HELO_WORD = re.compile(r"(?:\bhelo=|\bHELO\s++|\bEHLO\s++)(?P<helo>\[[^\]\s]*+\]|[^\s()]++)")
_HELO_ALONE = re.compile(r"\s*+\(([^\s()=]++)\)")
_PROTOCOL = re.compile(r"\swith\s++(?:MailEnable\s++)?([^\s;()]++)")
_ID = re.compile(r"\s(?:id|ID)\s")
_OF_SUBMISSION = frozenset(
    {"ESMTPA", "ESMTPSA", "SMTPA", "SMTPSA", "ASMTP", "UTF8SMTPA", "UTF8SMTPSA", "HTTP", "HTTPS"}
)
_OF_INNER_HOPS = frozenset(
    {"LMTP", "LMTPS", "LMTPA", "LMTPSA", "LOCAL", "UUCP", "POP3", "POP3S", "IMAP", "IMAPS", "IMAP4"}
)
_AMAVIS = re.compile(r"(?:\s*+\([^()]*+\))?+\s*+\(amavis")
_OF_EXCHANGE_ONLINE = (".prod.outlook.com", ".outlook.office365.com", ".prod.exchangelabs.com")
"""Its inner servers; those of its border are below `mail.protection.outlook.com`."""
_OF_EXIM = frozenset({"smtp", "smtps", "esmtp", "esmtps", "utf8esmtp", "utf8esmtps"})
"""Only Exim writes the protocol in lower case, and Courier did."""
_OF_COURIER = "::ffff:"
"""Only Courier writes an IPv4 address so."""
_LOGGED_IN = re.compile(r"\((?:[Aa]uthenticated|account|AUTH:)[\s)]")
_FOR = re.compile(r"\sfor\s++<?([^\s<>;()@]++@[^\s<>;()]++)>?")
_ENVELOPE_FROM = re.compile(r"\benvelope-(?:from|sender)\s++<([^\s<>]*+)>")
_NO_NAMES = frozenset({"unknown", "unknown.domain", "unverified", "nxdomain", "dnserror", "softdnserr"})
"""The words of mail servers in place of a name, in lower case and without `<>`."""

_DATE = re.compile(
    r"(\d{1,2})\s+(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*+\s+(\d{4})\s+"
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s+([+-])(\d{2})(\d{2})\b",
    re.IGNORECASE,
)
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}


class Hop(NamedTuple):
    """One hop. `address` is None for a local one, and for one that is not SMTP; what is unknown is empty."""

    by: str
    """The host that wrote the header, in lower case."""
    address: Address | None = None
    name: str = ""
    """The client's name as the mail server verified it, or `unknown`; empty: the header does not have it."""
    helo: str = ""
    recipient: str = ""
    sender: str | None = None
    """The envelope sender, empty for the null sender; None: the header does not have it."""
    at: int | None = None
    """Seconds since 1970 UTC; None: no date, or none that is plausible."""
    is_authenticated: bool = False


def parse_received(text: str) -> Hop:
    """Return the hop that this header describes, whatever it contains. White space has any form."""
    text = text.strip()[:LONGEST_RECEIVED]
    hop, rest = _client(text)
    if hop is None:
        match = _NO_CLIENT.search(text)
        hop, rest = Hop(match["by"].lower() if match else ""), text[match.end() :] if match else text
    route, semicolon, date = rest.rpartition(";")
    if not semicolon:
        route, date = rest, ""
    if match := _FOR.search(route):
        hop = hop._replace(recipient=match[1])
    if "envelope-" in rest and (match := _ENVELOPE_FROM.search(rest)):
        hop = hop._replace(sender=match[1])
    return hop._replace(at=parse_date(date))


def _client(text: str) -> tuple[Hop | None, str]:
    """Return the client that the mail server saw, and the text behind the host that wrote the header."""
    if text[:4].lower() != "from":
        return None, text
    found = [
        (match, address, read)
        for pattern, read in _FORMS
        for match in pattern.finditer(text)
        if (address := _address(match["address"]))
    ]
    if not found:
        return None, text
    match, address, read = max(found, key=lambda each: (each[0].start("by"), each[0].start("address")))
    rest = text[match.end("by") :]
    protocol = with_[1] if (with_ := _PROTOCOL.search(rest)) else ""
    by = match["by"].lower()
    if protocol.upper() in _OF_INNER_HOPS or _AMAVIS.match(rest) or by.endswith(_OF_EXCHANGE_ONLINE):
        return None, text
    name, helo = read(match, text[: match.start()][4:].strip() or "unknown", _writer(protocol, rest))
    is_authenticated = protocol.upper() in _OF_SUBMISSION or _LOGGED_IN.search(text, match.end("address")) is not None
    return Hop(by, address, name, helo, is_authenticated=is_authenticated), rest


def _writer(protocol: str, rest: str) -> str:
    """Return the program that wrote the header, as far as its form depends on that."""
    if protocol in _OF_EXIM or "(Exim" in rest:
        return "Exim"
    if protocol in ("Microsoft", "mapi"):
        return "Microsoft"
    if protocol.startswith("ESMTP/TLS"):
        return "Cisco"
    return "" if _ID.search(rest) else "qmail"


def _address(text: str) -> Address | None:
    text = text.lower().removeprefix("ipv6:")
    return parse_address(text) or ((match := _PORT.fullmatch(text)) and parse_address(match[1])) or None


def _in_brackets(match: re.Match[str], first: str, writer: str) -> tuple[str, str]:
    """Return name and HELO of `from HELO (NAME [ADDRESS])` and `from NAME ([ADDRESS] helo=HELO)`."""
    more = match["more"]
    if name := (match["name"] or "").rpartition("@")[2]:
        is_unknown = "may be forged" in more or name.strip("<>").lower() in _NO_NAMES
        return "unknown" if is_unknown else name.rstrip("."), first
    helo = _HELO_WORD.search(more)
    is_of_exim = writer == "Exim" and not match["address"].startswith(_OF_COURIER)
    if helo or is_of_exim or writer == "Cisco" or more.strip() == "verified":
        has_name = first.lower() != "unknown" and not first.startswith("[")
        return first if has_name else "unknown", helo["helo"] if helo else first
    return "" if writer == "Microsoft" else "unknown", first


def _of_qmail(match: re.Match[str], first: str, _writer: str) -> tuple[str, str]:
    """Return name and HELO of `from NAME (HELO HELO) (ADDRESS)`."""
    return "unknown" if parse_address(first) else first, match["helo"].strip()


def _address_first(match: re.Match[str], _first: str, _writer: str) -> tuple[str, str]:
    """Return name and HELO of `from [ADDRESS] (helo=HELO)`; without one, it is the address literal."""
    if helo := _HELO_WORD.search(match["more"]):
        return "unknown", helo["helo"]
    alone = _HELO_ALONE.fullmatch(match["more"])
    return "unknown", alone[1] if alone else f"[{match['address']}]"


def _in_parentheses(_match: re.Match[str], first: str, writer: str) -> tuple[str, str]:
    """Return name and HELO of `from NAME (ADDRESS)`, by qmail, or `from HELO (ADDRESS)`, by Exchange and others."""
    return (first, first) if writer == "qmail" else ("", first)


def _of_yahoo(match: re.Match[str], _first: str, _writer: str) -> tuple[str, str]:
    """Return name and HELO of `from ADDRESS (EHLO HELO)`."""
    return "", match["helo"].strip()


def _in_bare_brackets(match: re.Match[str], first: str, writer: str) -> tuple[str, str]:
    """Return name and HELO of `from HELO [ADDRESS]`, and of `from NAME [ADDRESS] (EHLO HELO)`."""
    if helo := _HELO_WORD.search(match["more"]):
        return first, helo["helo"]
    return first if writer == "Exim" else "", first


_FORMS = (
    (_QMAIL, _of_qmail),
    (_YAHOO, _of_yahoo),
    (_BRACKETS, _in_brackets),
    (_ADDRESS_FIRST, _address_first),
    (_BARE_BRACKETS, _in_bare_brackets),
    (_PARENTHESES, _in_parentheses),
)
"""The forms of a client, each with the function that returns its name and HELO. Of two that fit, the first counts."""


def parse_date(text: str) -> int | None:
    """Return the seconds since 1970 UTC of a date in the form of RFC 5322; None if it is none, or not plausible."""
    match = _DATE.search(text)
    if match is None:
        return _parse_rare_date(text)
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    try:
        at = timegm((int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), int(second or 0)))
    except (ValueError, OverflowError):
        return None
    offset = int(zone_hours) * 3600 + int(zone_minutes) * 60
    return _plausible(at - offset if sign == "+" else at + offset)


def _parse_rare_date(text: str) -> int | None:
    """Parse a date without a zone, which is UTC, or with a zone by name."""
    try:
        fields = parsedate_tz(text[:100])
        return _plausible(mktime_tz((*fields[:9], fields[9] or 0))) if fields else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _plausible(at: int) -> int | None:
    return at if 0 < at < _LATEST else None
