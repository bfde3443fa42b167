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

from bley.checks.spf_syntax import MACRO, check_domain_spec, check_letter, split_record
from bley.core.errors import ResolverError
from bley.core.mail import Address
from bley.core.names.domains import a_labels

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

_LITERALS = {"%": "%", "_": " ", "-": "%20"}
_SENDER_LETTERS = frozenset("sl")
_INCLUDE = re.compile(r"([+?~-]?)include:(.+)", re.IGNORECASE)


class BoundedQuery(spf.query):  # type: ignore[misc] # pyspf has no types
    """A pyspf query that calls `pause` after each `STEP_WORK`, and raises spf.PermError after `MOST_WORK`."""

    def __init__(self, address: Address, sender: str, helo_name: str, pause: Callable[[], object]) -> None:
        super().__init__(str(address), sender, a_labels(helo_name))
        self._pause, self._work, self._pause_at = pause, 0, STEP_WORK
        self._depth = -1
        if sender:
            # pyspf splits at the first @, mail at the last: the domain of "x@y"@example.com is example.com.
            local, _, domain = sender.rpartition("@")
            self.l, self.o = local or "postmaster", a_labels(domain)  # RFC 7208 4.3, RFC 8616 4
            self.s, self.d = f"{self.l}@{self.o}", self.o

    def _count_work(self, characters: int) -> None:
        self._work += _TERM_WORK + characters
        if self._work > MOST_WORK:
            raise spf.PermError("the evaluation costs too much")
        if self._work >= self._pause_at:
            self._pause_at = self._work + STEP_WORK
            self._pause()

    def get_explanation(self, spec: str) -> None:
        """Fetch no explanation: no result depends on it (RFC 7208 6.2)."""

    def check1(self, spf: str | None, domain: str, recursion: int) -> object:
        """Evaluate a record. One at the depth of the present one is that of a `redirect=`, which costs a lookup."""
        if recursion == self._depth:
            self.check_lookups()
        depth, self._depth = self._depth, recursion
        try:
            return super().check1(spf, domain, recursion)
        finally:
            self._depth = depth

    def check0(self, spf: str | None, recursion: int) -> object:
        """Evaluate a record after all of its syntax is checked (RFC 7208 4.6)."""
        if not spf:
            return super().check0(spf, recursion)
        directives, redirect = split_record(spf, self._count_work)
        terms = [directive for directive in directives if self._can_match(directive)]
        if redirect and self._can_match(f"redirect={redirect}"):
            self.lookups -= (
                1  # pyspf counts it here, even if a mechanism matches; `check1` counts it where it is followed
            )
            terms.append(f"redirect={redirect}")
        return super().check0(" ".join(["v=spf1", *terms]), recursion)

    def _can_match(self, term: str) -> bool:
        """Whether a term can match: one with the local part of the sender cannot unless that is ASCII (RFC 8616 4)."""
        if self.l.isascii() or not any((macro[2] or "").lower() in _SENDER_LETTERS for macro in MACRO.finditer(term)):
            return True
        if not term.startswith("redirect="):
            self.validate_mechanism(term)
        return False

    def dns_spf(self, domain: str) -> object:
        """Return the record of a domain; None without a lookup if the name has one label (RFC 7208 4.3)."""
        return super().dns_spf(domain) if "." in domain else None

    def validated_ptrs(self) -> list[str]:
        """Return the client's names that lead back to it. A failed lookup skips a name (RFC 7208 5.5).

        Raises spf.TempError if the DNS is silent: then it is unknown whether there are names.
        """
        try:
            names = self.dns_ptr(self.i)[: spf.MAX_PTR]
        except spf.TempError as error:
            _raise_if_silent(error)
            return []
        return [name for name in names if self._leads_back(name)]

    def _leads_back(self, name: str) -> bool:
        try:
            return self.cidrmatch(self.dns_a(name, self.A), self.cidrmax)
        except spf.TempError as error:
            _raise_if_silent(error)
            return False

    def validate_mechanism(self, mech: str) -> object:
        """Count the work for one mechanism, then validate it."""
        self._count_work(len(mech))
        if include := _INCLUDE.fullmatch(mech):
            # pyspf takes one of the own domain for a syntax error. It is a loop, if it is evaluated.
            return mech, "include", self.expand_domain(include[2]), self.cidrmax, spf.RESULTS[include[1] or "+"]
        return super().validate_mechanism(mech)

    def expand_domain(self, arg: str) -> str:
        """Expand a domain-spec. Raises spf.PermError if it ends with neither a macro nor a top label (RFC 7208 7.1)."""
        check_domain_spec(arg)
        return self.expand(arg)

    def expand(self, s: str, stripdot: bool = True) -> str:
        """Expand a macro-string. Raises spf.PermError for an invalid one."""
        return _as_name(self._expand(s))

    def _expand(self, text: str) -> str:
        self._count_work(len(text))
        parts, length, end = [], 0, 0
        for macro in MACRO.finditer(text):
            parts += [text[end : macro.start()], self._value(macro)]
            length += len(parts[-1]) + len(parts[-2])
            if length > _LONGEST_EXPANSION:
                raise spf.PermError("an expanded term is too long")
            end = macro.end()
        if length + len(text) - end > _LONGEST_EXPANSION and parts:
            raise spf.PermError("an expanded term is too long")
        return "".join([*parts, text[end:]])

    def _value(self, macro: re.Match[str]) -> str:
        """Return the value of a macro (RFC 7208 7.3)."""
        literal, letter, digits, is_reversed, delimiters = macro.groups()
        if literal:
            return _LITERALS[literal]
        check_letter(macro)
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


def _raise_if_silent(error: spf.TempError) -> None:
    if isinstance(error.ext, ResolverError) and error.ext.is_silence:
        raise error


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
