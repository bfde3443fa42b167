"""The syntax of DNS lists in the settings, that of Postfix's postscreen: `zone[=filter][*weight]`.

    zen.spamhaus.org=127.0.0.[2..11]*3
    list.dnswl.org=127.0.[0..255].[1;2..3]*-2

A filter is four octets, each a number or, in brackets, numbers and ranges, separated by semicolons.

Source: postconf(5), postscreen_dnsbl_sites.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address

__all__ = ["Entry", "Filter", "fault_at", "hide_keys", "parse_entry", "parse_filter"]

_KEY = re.compile(r"[A-Za-z0-9]{20,}")
"""A customer's key in a zone: 26 characters of Spamhaus, 32 of Abusix. No name of a list has a label part of 20."""

_LONGEST_ZONE = 189
"""Characters of a zone: a name has 253 (RFC 1035 2.3.4), an IPv6 address before the zone takes 64 (RFC 5782 2.4)."""


def hide_keys(text: str) -> str:
    """Replace customers' keys, as in `KEY.zen.dq.spamhaus.net`, by asterisks."""
    return _KEY.sub("********", text)


def fault_at(place: int, text: str, what: str) -> ValueError:
    """Return an error that shows the text without customers' keys, and a caret under the place."""
    column = len(hide_keys(text[:place]))
    return ValueError(f"{what}\n    {hide_keys(text)}\n    {' ' * column}^")


@dataclass(frozen=True, slots=True)
class Filter:
    """A set of return codes: the values that each of the four octets may have."""

    octets: tuple[frozenset[int], ...]

    def __contains__(self, code: IPv4Address) -> bool:
        return all(octet in values for octet, values in zip(code.packed, self.octets, strict=True))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a setting: a zone, the return codes that count (None: all), and their weight."""

    zone: str
    filter: Filter | None = None
    weight: int = 1
    rest: str = ""
    """The text after the zone, as it was written."""


def parse_entry(text: str) -> Entry:
    """Parse `zone[=filter][*weight]`. Raises ValueError, with the place of the error and what is expected there."""
    reader = _Reader(text)
    zone = reader.zone()
    rest = reader.rest()
    expected = "=filter, *weight or the end"
    codes, weight = None, 1
    if reader.skip("="):
        codes, expected = reader.filter(), "*weight or the end"
    if reader.skip("*"):
        weight, expected = reader.weight(), "the end"
    reader.end(expected)
    return Entry(zone, codes, weight, rest)


def parse_filter(text: str) -> Filter:
    """Parse a filter. Raises ValueError as `parse_entry` does."""
    reader = _Reader(text)
    codes = reader.filter()
    reader.end("the end")
    return codes


class _Reader:
    """A parser that reads from left to right. Errors name the place that it has reached."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def zone(self) -> str:
        labels = [self._label()]
        while self.skip("."):
            if self._text[self._at : self._at + 1] in ("", "=", "*"):
                break  # the final dot
            labels.append(self._label())
        if len(labels) == 1:
            raise self._fault("a zone has at least two labels, as in zen.spamhaus.org")
        zone = ".".join(labels).lower()
        if len(zone) > _LONGEST_ZONE:
            raise self._fault(f"a zone has at most {_LONGEST_ZONE} characters", before=self._at)
        return zone

    def _label(self) -> str:
        label = self._take(r"[\w-]+", "a label of letters, digits, hyphens and underscores belongs here")
        if len(label) > 63:
            raise self._fault("a label has at most 63 characters", before=len(label))
        return label

    def filter(self) -> Filter:
        octets = [self._octet()]
        for _ in range(3):
            self._expect(".", "of four octets, as in 127.0.0.2 or 127.0.[0..255].3")
            octets.append(self._octet())
        return Filter(tuple(octets))

    def _octet(self) -> frozenset[int]:
        if not self.skip("["):
            return frozenset({self._number()})
        values = self._range()
        while self.skip(";"):
            values |= self._range()
        self._expect("]", "; or .., as in [2..11] or [2;4;6..8]")
        return values

    def _range(self) -> frozenset[int]:
        first = last = self._number()
        if self.skip(".."):
            start = self._at
            last = self._number()
            if last < first:
                raise self._fault(f"{first}..{last} is empty: write the smaller number first", before=self._at - start)
        return frozenset(range(first, last + 1))

    def _number(self) -> int:
        digits = self._take(r"\d+", "a number from 0 to 255 belongs here")
        if len(digits) > 3 or int(digits) > 255:
            raise self._fault("a number from 0 to 255 belongs here", before=len(digits))
        return int(digits)

    def weight(self) -> int:
        digits = self._take(r"[+-]?\d+", "a weight from -99 to 99 belongs here")
        if len(digits.lstrip("+-")) > 2:
            raise self._fault("a weight from -99 to 99 belongs here", before=len(digits))
        return int(digits)

    def end(self, expected: str) -> None:
        if self._at < len(self._text):
            raise self._fault(f"{expected} belongs here")

    def rest(self) -> str:
        """Return the text that is not yet read."""
        return self._text[self._at :]

    def skip(self, mark: str) -> bool:
        """Skip `mark` if it comes next. Return whether it did."""
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def _expect(self, mark: str, what: str) -> None:
        if not self.skip(mark):
            raise self._fault(f"{mark} belongs here, {what}")

    def _take(self, pattern: str, what: str) -> str:
        match = re.compile(pattern, re.ASCII).match(self._text, self._at)
        if not match:
            raise self._fault(what)
        self._at = match.end()
        return match[0]

    def _fault(self, what: str, before: int = 0) -> ValueError:
        """Return an error at the place, or `before` characters to the left of it."""
        return fault_at(self._at - before, self._text, what)
