"""The evaluation of pyspf with a limit on the cost of each record (RFC 7208 4.6.4, 11.1).

Strangers write the records. pyspf takes quadratic time for macros and for the last label of a name. It also fetches and
expands the explanation of a fail, on which no result depends.
Here the time of each term is proportional to its length. An evaluation counts its work: it yields to the event loop
after some of it, and ends after too much.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import cast
from urllib.parse import quote

import spf

from bley.core.mail import Address

__all__ = ["MOST_WORK", "STEP_WORK", "BoundedQuery"]

STEP_WORK = 2048
"""Units of work until the evaluation yields: 0.5 ms of `ip4`, 2 ms of the most expensive terms, which are modifiers."""

MOST_WORK = 262_144
"""Units of work in one evaluation, some 0.1 s in all. Ten lookups (RFC 7208 4.6.4) reach eleven records; with 341
`ip4:1.2.3.4` in each, at 16 + 11 units to parse and 16 to compare one, they need 161,000."""

_TERM_WORK = 16
"""The least units of a term, a macro or an address; each octet, and each character of a macro's value, adds one."""

_LONGEST_VALUE = 512
"""Characters of a macro's value. RFC 5321 4.5.3.1 allows 320 in an address, and a lookup uses 253 of a name."""

_LONGEST_EXPANSION = 2048
"""Characters of an expanded term. A lookup uses the last 253 (RFC 7208 7.3)."""

_LONGEST_NAME = 253

_MACRO = re.compile(r"%(?:([%_-])|\{([slodipvhcrt])([0-9]*)(r?)([.\-+,/_=]*)\})?", re.IGNORECASE)
"""A macro (RFC 7208 7.1). A match of the percent sign alone is a syntax error."""

_LITERALS = {"%": "%", "_": " ", "-": "%20"}
_EXPLANATION_ONLY = frozenset("crt")
_TOP_LABEL = re.compile(r"[0-9a-z-]+", re.IGNORECASE)


class BoundedQuery(spf.query):  # type: ignore[misc] # pyspf has no types
    """A pyspf query that calls `pause` after each `STEP_WORK`, and raises spf.PermError after `MOST_WORK`."""

    def __init__(self, address: Address, sender: str, helo_name: str, pause: Callable[[], object]) -> None:
        super().__init__(str(address), sender, helo_name)
        self._pause, self._work, self._pause_at = pause, 0, STEP_WORK
        if sender:
            # pyspf splits at the first @, mail at the last: the domain of "x@y"@example.com is example.com.
            local, _, self.o = sender.rpartition("@")
            self.l, self.d = local or "postmaster", self.o

    def _count_work(self, characters: int) -> None:
        self._work += _TERM_WORK + characters
        if self._work > MOST_WORK:
            raise spf.PermError("the evaluation costs too much")
        if self._work >= self._pause_at:
            self._pause_at = self._work + STEP_WORK
            self._pause()

    def get_explanation(self, spec: str) -> None:
        """Fetch no explanation: no result depends on it (RFC 7208 6.2)."""

    def validate_mechanism(self, mech: str) -> object:
        """Count the work for one mechanism, then validate it."""
        self._count_work(len(mech))
        return super().validate_mechanism(mech)

    def expand_domain(self, arg: str) -> str:
        """Expand a domain-spec. Raises spf.PermError if it ends with neither a macro nor a top label (RFC 7208 7.1)."""
        expanded, ends_with_macro = self._expand(arg)
        if not ends_with_macro and not _has_top_label(arg):
            raise spf.PermError("Invalid domain found (use FQDN)", arg)
        return _as_name(expanded)

    def expand(self, s: str, stripdot: bool = True) -> str:
        """Expand a macro-string. Raises spf.PermError for an invalid one."""
        return _as_name(self._expand(s)[0])

    def _expand(self, text: str) -> tuple[str, bool]:
        """Return the expansion, and whether the text ends with a macro."""
        self._count_work(len(text))
        parts, length, end = [], 0, 0
        for macro in _MACRO.finditer(text):
            parts += [text[end : macro.start()], self._value(macro)]
            length += len(parts[-1]) + len(parts[-2])
            if length > _LONGEST_EXPANSION:
                raise spf.PermError("an expanded term is too long")
            end = macro.end()
        if length + len(text) - end > _LONGEST_EXPANSION and parts:
            raise spf.PermError("an expanded term is too long")
        return "".join([*parts, text[end:]]), bool(parts) and end == len(text)

    def _value(self, macro: re.Match[str]) -> str:
        """Return the value of a macro (RFC 7208 7.3)."""
        literal, letter, digits, is_reversed, delimiters = macro.groups()
        if literal:
            return _LITERALS[literal]
        if not letter or (digits and not int(digits)):
            raise spf.PermError("invalid-macro-char", macro.string[macro.start() : macro.start() + 32])
        if letter.lower() in _EXPLANATION_ONLY:
            raise spf.PermError("c,r,t macros allowed in exp= text only", macro[0])
        value = self._letter(letter.lower())
        self._count_work(len(value))
        if digits or is_reversed or delimiters:
            value = _transformed(value, int(digits or 0), delimiters or ".", is_reversed=bool(is_reversed))
        return quote(value, safe="~") if letter.isupper() else value

    def _letter(self, letter: str) -> str:
        value = cast(str, self.getp() if letter == "p" else getattr(self, letter))
        if len(value) > _LONGEST_VALUE:
            raise spf.PermError("a macro's value is too long", letter)
        return value

    def cidrmatch(self, ipaddrs: Sequence[str], n: int) -> bool:
        """Whether one of the addresses has the client's first `n` bits."""
        others = self.ipaddr.max_prefixlen - n
        own = int(self.ipaddr) >> others
        for text in ipaddrs:
            self._count_work(0)
            try:
                address = ip_address(text)
            except ValueError as error:
                raise spf.PermError(str(error)) from error
            if address.version == self.ipaddr.version and int(address) >> others == own:
                return True
        return False


def _has_top_label(domain_spec: str) -> bool:
    """Whether it ends with a dot and a possible top-level domain: letters, digits and hyphens, but not digits only."""
    _, dot, label = domain_spec.removesuffix(".").rpartition(".")
    is_label = _TOP_LABEL.fullmatch(label) and "-" not in (label[0], label[-1])
    return bool(dot and is_label and not label.isdigit())


def _transformed(value: str, most: int, delimiters: str, *, is_reversed: bool) -> str:
    parts = value.translate(dict.fromkeys(map(ord, delimiters), ".")).split(".")
    if is_reversed:
        parts.reverse()
    return ".".join(parts[-most:] if most else parts)


def _as_name(expanded: str) -> str:
    """Return the name to look up: without its final dot, and only the labels on the right that fit (RFC 7208 7.3)."""
    name = expanded.removesuffix(".")
    if len(name) <= _LONGEST_NAME:
        return name
    dot = name.find(".", len(name) - _LONGEST_NAME - 1)
    return name[dot + 1 :] if dot >= 0 else name
