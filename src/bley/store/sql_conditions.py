"""What a search is in SQL: conditions that let through all that is meant, and little else; core.search says what is.

Databases fold upper and lower case of ASCII alone, or each in its own way, and know no A-labels. So a row beyond ASCII
always passes. Of an ASCII row, folding and A-labels only lower it, which every database does in the same way.
"""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from bley.core.history.search import DecisionQuery, Search
from bley.core.mail import Network
from bley.core.triplet import LONGEST_PART
from bley.store.rows import microseconds
from bley.store.sql_schema import decisions, triplets

__all__ = ["decision_conditions", "record_conditions"]

_d, _t = decisions.c, triplets.c

_WORD = re.compile("[a-z0-9]+")

_SURELY_WHOLE = LONGEST_PART - 8
"""Bytes of UTF-8 up to which a normalised address is whole; of a longer one a hash may stand for the end."""


class _IsBeyondAscii(FunctionElement[bool]):
    """Whether a text has characters that are not ASCII: its bytes are more than its characters."""

    inherit_cache = True


def _compile(element: Any, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    again = compiler.process(element.clauses, **options)  # its parameters have places of their own
    if compiler.dialect.name == "sqlite":
        return f"(length(CAST(({text}) AS BLOB)) <> length({again}))"
    return f"(octet_length({text}) <> char_length({again}))"


compiles(_IsBeyondAscii)(_compile)


def decision_conditions(query: DecisionQuery) -> list[sa.ColumnElement[bool]]:
    """What all decisions meet that fit the query."""
    conditions: list[sa.ColumnElement[bool]] = []
    if query.reason:
        conditions.append(_d.reason == query.reason)
    if query.outcome:
        conditions.append(_d.outcome == query.outcome)
    if query.since:
        conditions.append(_d.at >= microseconds(query.since))
    if query.until:
        conditions.append(_d.at < microseconds(query.until))
    if query.recipients:
        conditions.append(sa.or_(sa.func.lower(_d.recipient).in_(query.recipients), _IsBeyondAscii(_d.recipient)))
    if query.search:
        conditions.append(_decision_may_fit(query.search))
    return conditions


def record_conditions(search: Search) -> list[sa.ColumnElement[bool]]:
    """What all records meet whose triplets fit the search."""
    if search.network:
        return [_may_be_near(_t.client, search.network)]
    if search.addresses:
        return [_has_address(search.addresses, _t.sender, _t.recipient)]
    return [_has_domain(search.domain, _t.client, _t.sender, _t.recipient)]


def _decision_may_fit(search: Search) -> sa.ColumnElement[bool]:
    if search.network:
        return _may_be_in(_d.client_address, search.network)
    if search.addresses:
        return _has_address(search.addresses, _d.sender, _d.recipient)
    if not search.domain:
        return sa.or_(_d.instance == search.word, _d.queue_id == search.word)
    return _has_domain(search.domain, _d.client_name, _d.helo_name, _d.sender, _d.recipient, _d.instance, _d.queue_id)


def _has_domain(domain: str, *columns: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether the domain stands in one of them; of all at once, which is faster than of each for itself."""
    if not domain:
        return sa.false()
    text = sum((" " + column for column in columns[1:]), columns[0])
    return sa.or_(sa.func.lower(text).contains(domain, autoescape=True), _IsBeyondAscii(text))


def _has_address(addresses: frozenset[str], *columns: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    likes = [_is_like(column, address) for column in columns for address in sorted(addresses)]
    return sa.or_(*likes, *map(_IsBeyondAscii, columns))


def _is_like(column: sa.ColumnElement[str], address: str) -> sa.ColumnElement[bool]:
    """The address as it may have come. Normalising takes away or replaces words, and what is around them."""
    local, at, domain = address.rpartition("@")
    if not at:
        return sa.not_(column.contains("@"))
    if len(address.encode()) > _SURELY_WHOLE:
        return sa.true()
    for mark in "!%_":
        domain = domain.replace(mark, f"!{mark}")
    words = "%".join(["", *_WORD.findall(local), ""])
    return sa.func.lower(column).like(f"{words}@{domain}%", escape="!")


def _may_be_in(address: sa.ColumnElement[str], network: Network) -> sa.ColumnElement[bool]:
    """An IP address in any of its texts: IPv4 may be mapped, groups of IPv6 may begin with zeros."""
    if network.version == 4:
        octets = str(network.network_address).split(".")[: network.prefixlen // 8]
        return _matches(address, ".".join(octets) + "%", "%ffff:%")
    return _matches(address, "".join(f"%{group}:" for group in _first_groups(network) or [""]) + "%")


def _may_be_near(client: sa.ColumnElement[str], network: Network) -> sa.ColumnElement[bool]:
    """A network or address of which the same holds; a network may be wider, or have bits behind its prefix.

    Of networks as wide as most are, or narrower, as much is compared as of addresses; of wider ones less.
    """
    if network.version == 4:
        octets = str(network.network_address).split(".")[: min(network.prefixlen // 8, 3)]
        like, wider = (".".join([*some, "%"]) if some else "%.%" for some in (octets, octets[:1]))
        usual, very_wide = "/24", ["%/_", "%/%.%", "%ffff:%"]
    else:
        groups = [f"%{group}:" for group in _first_groups(network)]
        like, wider = ("".join(some or ["%:"]) + "%" for some in (groups[:4], groups[:1]))
        usual, very_wide = "/64", ["%/_", "%/1_"]
    is_wider = _matches(client, wider) & client.contains("/") & sa.not_(client.endswith(usual))
    return sa.or_(_matches(client, like), is_wider, _matches(client, *very_wide))


def _first_groups(network: Network) -> list[str]:
    """The first groups of all addresses in an IPv6 network, up to one that is 0, for which `::` may stand."""
    groups = str(network.network_address).split(":")[: min(network.prefixlen // 16, 7)]
    return groups[: next((place for place, group in enumerate(groups) if not group.strip("0")), len(groups))]


def _matches(column: sa.ColumnElement[str], *patterns: str) -> sa.ColumnElement[bool]:
    return sa.or_(*(sa.func.lower(column).like(pattern) for pattern in patterns))
