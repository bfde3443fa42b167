"""Postfix's settings, as postconf(1) prints them: parameters, services of master.cf, and lists of restrictions.

Sources: postconf(1), postconf(5), master(5), SMTPD_POLICY_README.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Policy", "PostfixSettings", "Restriction", "Service", "parse_postconf", "parse_restrictions", "split_list"]

_TAKES_ARGUMENT = re.compile(r"check_|reject_r(?:bl|hsbl)_|permit_(?:dns|rhs)wl_|sleep$")
"""The beginnings of restrictions whose next word is their argument."""


class Restriction(NamedTuple):
    """A restriction with its argument, if it takes one; `is_only_logged`: warn_if_reject precedes it."""

    name: str
    argument: str = ""
    is_only_logged: bool = False

    @property
    def is_policy(self) -> bool:
        """Whether it queries a policy service."""
        return self.name == "check_policy_service"

    def __str__(self) -> str:
        return f"{'warn_if_reject ' if self.is_only_logged else ''}{self.name} {self.argument}".rstrip()


class Policy(NamedTuple):
    """The argument of check_policy_service: the place, and the options in braces."""

    place: str
    options: Mapping[str, str]

    @classmethod
    def parse(cls, argument: str) -> "Policy":
        """Parse `inet:HOST:PORT`, or `{ inet:HOST:PORT, NAME=VALUE … }`."""
        if not argument.startswith("{"):
            return cls(argument, {})
        place, *options = [*split_list(argument[1:-1]), ""]
        pairs = (option.strip("{} ").partition("=") for option in options)
        return cls(place, {name.strip(): value.strip() for name, equals, value in pairs if equals})


@dataclass(frozen=True, slots=True)
class Service:
    """A line of master.cf; `overrides` are its `-o` options."""

    name: str
    kind: str
    chroot: str
    program: str
    overrides: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PostfixSettings:
    """The parameters of main.cf with their defaults, and the services of master.cf."""

    parameters: Mapping[str, str]
    services: tuple[Service, ...]

    def get(self, name: str, service: Service | None = None) -> str:
        """Return the value of a parameter, as this service has it; empty if it is unknown."""
        return (service.overrides if service else {}).get(name, self.parameters.get(name, ""))

    def has_chroot(self, service: Service) -> bool:
        """Return whether the service runs in the queue folder as its root."""
        is_old = self.get("compatibility_level").partition(".")[0] in ("", "0")
        return service.chroot == "y" or (service.chroot == "-" and is_old)


def parse_postconf(parameters: str, services: str, overrides: str) -> PostfixSettings:
    """Parse the output of `postconf -x`, `postconf -M` and `postconf -Px`."""
    found = {}
    for line in services.splitlines():
        fields = line.split(maxsplit=8)
        if len(fields) >= 8:
            found[fields[0], fields[1]] = Service(fields[0], fields[1], fields[4], fields[7])
    for place, value in _assignments(overrides):
        name, kind, parameter = (*place.split("/", 2), "", "")[:3]
        if service := found.get((name, kind)):
            service.overrides[parameter] = value
    return PostfixSettings(dict(_assignments(parameters)), tuple(found.values()))


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.partition(" =")
        if equals:
            yield name.strip(), value.strip()


def split_list(value: str) -> list[str]:
    """Split at commas and blanks, except within braces."""
    words, depth, word = [], 0, ""
    for character in value:
        depth = max(depth + {"{": 1, "}": -1}.get(character, 0), 0)
        if not depth and (character == "," or character.isspace()):
            words.append(word)
            word = ""
        else:
            word += character
    return [each for each in (*words, word) if each]


def parse_restrictions(value: str) -> list[Restriction]:
    """Parse the value of a list of restrictions."""
    restrictions: list[Restriction] = []
    words, is_only_logged, is_argument = split_list(value), False, False
    for word, following in pairwise([*words, ""]):
        name = word.lower()
        if is_argument:
            is_argument = False
        elif name == "warn_if_reject":
            is_only_logged = True
        else:
            is_argument = bool(_TAKES_ARGUMENT.match(name))
            restrictions.append(Restriction(name, following if is_argument else "", is_only_logged))
            is_only_logged = False
    return restrictions
