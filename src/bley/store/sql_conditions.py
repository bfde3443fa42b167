"""SQL conditions for the tests of core/history/conditions.py. They let all matches through, and little else.

Databases fold the case of ASCII only, or each in its own way, and know no A-labels. So a row beyond ASCII always
passes. In an ASCII row, case folding and A-labels only lower the case, which all databases do in the same way.
"""

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from bley.core.history.conditions import (
    Clause,
    MailForms,
    is_host_in,
    is_mail,
    is_mail_in,
    is_one_of,
    overlaps,
)
from bley.core.mail import Network
from bley.core.triplet import LONGEST_PART
from bley.store.rows import microseconds
from bley.store.sql_schema import DECISION_TEXT

__all__ = ["is_bound", "sql_conditions", "text_conditions"]

_WORD = re.compile("[a-z0-9]+")

_SURELY_WHOLE = LONGEST_PART - 8
"""The bytes of UTF-8 up to which a stored address is complete; the end of a longer one may be replaced by a hash."""


class _IsBeyondAscii(FunctionElement[bool]):
    """Whether a text contains characters beyond ASCII: it has more bytes than characters."""

    inherit_cache = True


def _compile(element: Any, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    again = compiler.process(element.clauses, **options)  # its parameters are bound separately
    if compiler.dialect.name == "sqlite":
        return f"(length(CAST(({text}) AS BLOB)) <> length({again}))"
    return f"(octet_length({text}) <> char_length({again}))"


compiles(_IsBeyondAscii)(_compile)


def sql_conditions(table: sa.Table, clauses: Iterable[Clause]) -> list[sa.ColumnElement[bool]]:
    """Return conditions that are met by all rows of the table that meet the clauses."""
    return [
        sa.or_(sa.false(), *(_SQL[test](table.c[name], operand) for name, test, operand in clause))
        for clause in clauses
    ]


def is_bound(clause: Clause, column: str) -> bool:
    """Return whether the clause limits the values of the column from below or above."""
    return all(name == column and test in (operator.ge, operator.lt) for name, test, _ in clause)


def text_conditions(clauses: Iterable[Clause]) -> list[sa.ColumnElement[bool]]:
    """Return further conditions of decisions, of DECISION_TEXT alone: with its index, few others are read."""
    return [_has_text(clause) for clause in clauses if all(test in _PATTERNS for _, test, _ in clause)]


def _has_text(clause: Clause) -> sa.ColumnElement[bool]:
    """Whether the text may have what the clause searches for. SQLite's LIKE ignores the case of ASCII."""
    patterns = {pattern for _, test, operand in clause for pattern in _PATTERNS[test](operand)}
    likes = (DECISION_TEXT.like(pattern, escape="!") for pattern in sorted(patterns))
    return sa.or_(DECISION_TEXT.is_(None), *likes)


def _has_domain(column: sa.ColumnElement[str], domain: str) -> sa.ColumnElement[bool]:
    return sa.or_(sa.func.lower(column).like(f"%{_escaped(domain)}%", escape="!"), _IsBeyondAscii(column))


def _is_mail(column: sa.ColumnElement[str], forms: MailForms) -> sa.ColumnElement[bool]:
    likes = [_is_like(column, address) for address in sorted(forms.addresses)]
    return sa.or_(*likes, _IsBeyondAscii(column))


def _is_one_of(column: sa.ColumnElement[str], texts: frozenset[str]) -> sa.ColumnElement[bool]:
    return sa.or_(sa.func.lower(column).in_(texts), _IsBeyondAscii(column))


def _is_like(column: sa.ColumnElement[str], address: str) -> sa.ColumnElement[bool]:
    """Whether this may be a form of the address."""
    if "@" not in address:
        return sa.not_(column.contains("@"))
    pattern = _address_pattern(address)
    return sa.true() if pattern == "%" else sa.func.lower(column).like(pattern, escape="!")


def _address_pattern(address: str) -> str:
    """Return a pattern of all forms of the address: normalisation removes or replaces words and their separators.

    That of the null sender, and of an address that may have been cut, matches all texts.
    """
    local, at, domain = address.rpartition("@")
    if not at or len(address.encode()) > _SURELY_WHOLE:
        return "%"
    words = "%".join(["", *_WORD.findall(local), ""])
    return f"{words}@{_escaped(domain)}%"


def _escaped(text: str) -> str:
    """Return the text as a part of a pattern, whose escape character is `!`."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _overlaps(client: sa.ColumnElement[str], network: Network) -> sa.ColumnElement[bool]:
    """Whether this may be an overlapping address or network; a network may be wider, or have bits beyond its prefix.

    Networks of the usual width, or narrower ones, are compared like addresses; of wider ones less is compared.
    """
    if network.version == 4:
        usual, very_wide = "/24", ["%/_", "%/%.%", "%ffff:%"]
    else:
        usual, very_wide = "/64", ["%/_", "%/1_"]
    is_alike = _matches(client, _network_pattern(network))
    if network.version == 4 and network.prefixlen == 32:  # a /24 of the usual width contains it
        is_alike = (client == str(network.network_address)) | (is_alike & client.contains("/"))
    is_wider = _matches(client, _network_pattern(network, 1)) & client.contains("/") & sa.not_(client.endswith(usual))
    return sa.or_(is_alike, is_wider, _matches(client, *very_wide))


def _network_pattern(network: Network, most: int = 4) -> str:
    """Return a pattern of all addresses of the network, by at most so many of their parts."""
    if network.version == 4:
        octets = str(network.network_address).split(".")[: min(network.prefixlen // 8, 3, most)]
        return "".join(f"{octet}." for octet in octets) + "%" if octets else "%.%"
    return "".join(f"%{group}:" for group in _first_groups(network)[:most]) + "%" if _first_groups(network) else "%:%"


def _client_pattern(network: Network) -> str:
    """Return a pattern of DECISION_TEXT, which begins with the client's address."""
    is_address = network.version == 4 and network.prefixlen == 32
    return f"{network.network_address} %" if is_address else _network_pattern(network)


def _first_groups(network: Network) -> list[str]:
    """Return the first groups of all addresses in an IPv6 network, up to a group of 0, which `::` may replace."""
    groups = str(network.network_address).split(":")[: min(network.prefixlen // 16, 7)]
    return groups[: next((place for place, group in enumerate(groups) if not group.strip("0")), len(groups))]


def _matches(column: sa.ColumnElement[str], *patterns: str) -> sa.ColumnElement[bool]:
    return sa.or_(*(sa.func.lower(column).like(pattern) for pattern in patterns))


_SQL: dict[Callable[[Any, Any], bool], Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    operator.eq: operator.eq,
    operator.ge: lambda column, instant: column >= microseconds(instant),
    operator.lt: lambda column, instant: column < microseconds(instant),
    is_one_of: _is_one_of,
    overlaps: _overlaps,
    is_mail: _is_mail,
    is_host_in: _has_domain,
    is_mail_in: _has_domain,
}
"""Each test with its SQL."""

_PATTERNS: dict[Callable[[Any, Any], bool], Callable[[Any], Iterable[str]]] = {
    operator.eq: lambda text: [f"%{_escaped(text)}%"],
    is_one_of: lambda texts: [f"%{_escaped(text)}%" for text in texts],
    is_host_in: lambda domain: [f"%{_escaped(domain)}%"],
    is_mail_in: lambda domain: [f"%{_escaped(domain)}%"],
    is_mail: lambda forms: map(_address_pattern, forms.addresses),
    overlaps: lambda network: [_client_pattern(network), "%/%", *(["%ffff:%"] if network.version == 4 else [])],
}
"""Each test of a text, with patterns of DECISION_TEXT, of which all its matches have one."""
