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

__all__ = ["sql_conditions"]

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
    return [_any_of(table, clause) for clause in clauses]


def _any_of(table: sa.Table, clause: Clause) -> sa.ColumnElement[bool]:
    alternatives, by_domain = [], dict[str, list[sa.ColumnElement[str]]]()
    for name, test, operand in clause:
        if test in (is_host_in, is_mail_in):
            by_domain.setdefault(operand, []).append(table.c[name])
        else:
            alternatives.append(_SQL[test](table.c[name], operand))
    alternatives += [_contains(columns, domain) for domain, columns in by_domain.items()]
    return sa.or_(*alternatives) if alternatives else sa.false()


def _contains(columns: list[sa.ColumnElement[str]], domain: str) -> sa.ColumnElement[bool]:
    """Whether the domain occurs in one of the columns, which are searched together: that is faster than one by one."""
    text = sum((" " + column for column in columns[1:]), columns[0])
    return sa.or_(sa.func.lower(text).contains(domain, autoescape=True), _IsBeyondAscii(text))


def _is_mail(column: sa.ColumnElement[str], forms: MailForms) -> sa.ColumnElement[bool]:
    likes = [_is_like(column, address) for address in sorted(forms.addresses)]
    return sa.or_(*likes, _IsBeyondAscii(column))


def _is_one_of(column: sa.ColumnElement[str], texts: frozenset[str]) -> sa.ColumnElement[bool]:
    return sa.or_(sa.func.lower(column).in_(texts), _IsBeyondAscii(column))


def _is_like(column: sa.ColumnElement[str], address: str) -> sa.ColumnElement[bool]:
    """Whether this may be a form of the address: normalisation removes or replaces words and their separators."""
    local, at, domain = address.rpartition("@")
    if not at:
        return sa.not_(column.contains("@"))
    if len(address.encode()) > _SURELY_WHOLE:
        return sa.true()
    for mark in "!%_":
        domain = domain.replace(mark, f"!{mark}")
    words = "%".join(["", *_WORD.findall(local), ""])
    return sa.func.lower(column).like(f"{words}@{domain}%", escape="!")


def _overlaps(client: sa.ColumnElement[str], network: Network) -> sa.ColumnElement[bool]:
    """Whether this may be an overlapping address or network; a network may be wider, or have bits beyond its prefix.

    Networks of the usual width, or narrower ones, are compared like addresses; of wider ones less is compared.
    """
    if network.version == 4:
        octets = str(network.network_address).split(".")[: min(network.prefixlen // 8, 3)]
        like, wider = (".".join([*some, "%"]) if some else "%.%" for some in (octets, octets[:1]))
        usual, very_wide = "/24", ["%/_", "%/%.%", "%ffff:%"]
    else:
        groups = [f"%{group}:" for group in _first_groups(network)]
        like, wider = ("".join(some or ["%:"]) + "%" for some in (groups[:4], groups[:1]))
        usual, very_wide = "/64", ["%/_", "%/1_"]
    is_alike = _matches(client, like)
    if network.version == 4 and network.prefixlen == 32:  # a /24 of the usual width contains it
        is_alike = (client == str(network.network_address)) | (is_alike & client.contains("/"))
    is_wider = _matches(client, wider) & client.contains("/") & sa.not_(client.endswith(usual))
    return sa.or_(is_alike, is_wider, _matches(client, *very_wide))


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
}
"""Each test, but those of domains, with its SQL."""
