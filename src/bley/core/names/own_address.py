"""The address of a host in its own name. Generated names contain it in one of these forms:

    four octets     192-0-2-1, 192.0.2.1, 001.002.000.192, 1.red-192-0-2: each as a separate number, in any order
    run together    192000002001, 19202001, 1002000192, 192000002001 without leading zeros
    in hexadecimal  c0000201, 010200c0
    as one number   3221225985
    two or three    2-1, 002001, 0-2-1: adjacent in the address, in its order or reversed
    IPv6            2001-db8-0-1, 20010db800000001, 1.0.0.0.8.b.d.0.1.0.0.2: three groups, twelve digits

A part of the address is a weaker sign: servers of a pool are numbered so too.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from bley.core.mail import Address

__all__ = ["AddressInName", "own_address_in"]

_NUMBER = re.compile("[0-9]+")
_OF_EVERY_FORM = re.compile("[0-9]|[a-f]{8}")
"""Something that each form of an IPv4 address has. Most names of servers have none of it."""
_SEPARATOR = re.compile("[.-]")
_HEXTET = re.compile("[0-9a-f]{1,4}")

_SIGNIFICANT_DIGITS = 4
"""Digits of adjacent octets that are no coincidence: mx1-2 and a8-37 are numbers of servers."""

_SIGNIFICANT_NIBBLES = 12
"""Digits of an IPv6 address that are no coincidence: 48 bits, the prefix of a site."""


class AddressInName(NamedTuple):
    """The part of a name that is the address, and whether it is the whole address; for IPv6 a prefix is enough."""

    text: str
    is_whole: bool


def own_address_in(host: str, address: Address) -> AddressInName | None:
    """Find `address` in `host`, which is in lower case. Return None if too little of it is there."""
    if not host:
        return None
    return _ipv6(host, address) if isinstance(address, IPv6Address) else _ipv4(host, address)


def _ipv4(host: str, address: IPv4Address) -> AddressInName | None:
    if not _OF_EVERY_FORM.search(host):
        return None
    packed = address.packed
    for text in (packed.hex(), packed[::-1].hex()):
        if text in host:
            return AddressInName(text, is_whole=True)
    runs = _NUMBER.findall(host)
    octets = list(packed)
    long_runs = _long_runs(runs, octets)
    if len(runs) < 2 and not long_runs:
        return None
    numbers = [int(run) if len(run) <= 3 else -1 for run in runs]
    is_numbered = len([number for number in numbers if number in octets]) > 1
    for count in (4, 3, 2):
        if is_numbered and (place := _numbered(numbers, octets, count)) is not None:
            spans = [run.span() for run in _NUMBER.finditer(host)]
            return AddressInName(host[spans[place][0] : spans[place + count - 1][1]], is_whole=count == 4)
        if long_runs and (joined := long_runs.intersection(_joined(octets, count))):
            return AddressInName(min(joined), is_whole=count == 4)
    return None


def _long_runs(runs: list[str], octets: list[int]) -> set[str]:
    """Return the numbers that may be joined octets: they begin and end with one, or are the address as one number."""
    long_runs = {run for run in runs if len(run) > _SIGNIFICANT_DIGITS}
    if not long_runs:
        return long_runs
    ends = (*map(str, octets), _as_one_number(octets))
    begins = (*ends, *(f"{octet:03}" for octet in octets))
    return {run for run in long_runs if run.endswith(ends) and run.startswith(begins)}


def _numbered(numbers: list[int], octets: list[int], count: int) -> int | None:
    """Return the index of `count` consecutive numbers that are adjacent octets; all four may be in any order."""
    parts = [sorted(octets)] if count == 4 else [part for part in _adjacent(octets, count) if _is_significant(part)]
    for place in range(len(numbers) - count + 1):
        row = numbers[place : place + count]
        if (sorted(row) if count == 4 else row) in parts:
            return place
    return None


def _adjacent(octets: list[int], count: int) -> Iterator[list[int]]:
    for order in (octets, octets[::-1]):
        for start in range(5 - count):
            yield order[start : start + count]


def _is_significant(part: list[int]) -> bool:
    return len("".join(map(str, part))) >= _SIGNIFICANT_DIGITS


def _joined(octets: list[int], count: int) -> Iterator[str]:
    """Yield the forms of `count` adjacent octets as one number."""
    for part in _adjacent(octets, count):
        yield "".join(map(str, part))
        yield (padded := "".join(f"{octet:03}" for octet in part))
        yield padded.lstrip("0")
    if count == 4:
        yield _as_one_number(octets)


def _as_one_number(octets: list[int]) -> str:
    return str(int.from_bytes(bytes(octets)))


def _ipv6(host: str, address: IPv6Address) -> AddressInName | None:
    nibbles = address.packed.hex()
    squeezed = _SEPARATOR.sub("", host)
    prefix, end = nibbles[:_SIGNIFICANT_NIBBLES], nibbles[-_SIGNIFICANT_NIBBLES:]
    for text in (prefix, prefix[::-1], *([end, end[::-1]] if end.lstrip("0")[_SIGNIFICANT_NIBBLES // 2 :] else [])):
        if text in squeezed:
            return AddressInName(text, is_whole=True)
    groups = [f"{int(nibbles[at : at + 4], 16):x}" for at in range(0, 32, 4)]
    parts = [part.lstrip("0") or "0" if _HEXTET.fullmatch(part) else "" for part in _SEPARATOR.split(host) if part]
    for start in range(6):
        three = groups[start : start + 3]
        if len("".join(three)) > _SIGNIFICANT_DIGITS and three in (parts[at : at + 3] for at in range(len(parts) - 2)):
            return AddressInName("-".join(three), is_whole=True)
    return None
