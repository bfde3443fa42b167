"""Values from the bytes of a fuzzer: fields with a separator between them, so that seeds are readable."""

import re
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["REPEAT", "SEPARATOR", "Fields"]

_T = TypeVar("_T")

SEPARATOR = b"\xfe"
"""The separator of two fields; no UTF-8 has this byte."""

REPEAT = b"\xff"
"""A byte before two numbers of one byte each, n and r: the last n octets are repeated 16 * r times."""

_REPEATED = re.compile(REPEAT + b"(.)(.)", re.DOTALL)
_LONGEST = 40_000
"""Octets of a field with its repetitions: more than the largest policy request."""


class Fields:
    """A reader of fields; after the last one, fields are empty."""

    def __init__(self, data: bytes) -> None:
        self._fields = data.split(SEPARATOR)[::-1]

    def __bool__(self) -> bool:
        """Whether a field is left."""
        return bool(self._fields)

    def octets(self) -> bytes:
        """Take a field."""
        return _expand(self._fields.pop()) if self._fields else b""

    def text(self) -> str:
        r"""Take a field as text; octets that are no UTF-8 are `\xNN`, as everywhere in bley."""
        return self.octets().decode("utf-8", "backslashreplace")

    def number(self) -> int:
        """Take a field as a number, its first octet."""
        return (self.octets() or b"\0")[0]

    def pick(self, choices: Sequence[_T]) -> _T:
        """Take a field as a choice of these."""
        return choices[self.number() % len(choices)]


def _expand(field: bytes) -> bytes:
    expanded, *rest = _REPEATED.split(field)
    for length, times, following in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        if length != b"\0":
            expanded += (expanded[-length[0] :] * (16 * times[0]))[: max(_LONGEST - len(expanded), 0)]
        expanded += following
    return expanded[:_LONGEST]
