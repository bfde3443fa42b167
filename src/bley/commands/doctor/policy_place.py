"""Whether a policy service of Postfix is bley, and the place that Postfix should have for it."""

from collections.abc import Sequence
from enum import Enum, auto
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import NamedTuple

from bley.commands.doctor.greylisters import find_greylister
from bley.commands.doctor.postfix_settings import PostfixSettings, Service
from bley.core.endpoint import split_endpoint

__all__ = ["BleyPlaces", "Relation", "reachable_places", "relation"]

_DEFAULT_PORT = 1337


class BleyPlaces(NamedTuple):
    """Where bley listens, as `bley ask --at` takes it; the first place is the one to write into main.cf."""

    places: tuple[str, ...]
    check_seconds: float = 5.0
    trusted_networks: Sequence[IPv4Network | IPv6Network] = ()


class Relation(Enum):
    """How a policy service of Postfix relates to bley's places."""

    OURS = auto()
    OUTSIDE_CHROOT = auto()
    """bley's path, which smtpd cannot see from its chroot."""
    OTHER_HOST = auto()
    """bley's port on another host."""
    NOBODY = auto()
    """It looks like bley's, but bley does not listen there."""
    GREYLISTER = auto()
    """Another greylister."""
    OTHER = auto()


def relation(place: str, bley: BleyPlaces, queue: Path, *, has_chroot: bool) -> Relation:
    """Compare the place of a policy service with bley's, and with those of other greylisters."""
    found = _compare(place, bley, queue, has_chroot=has_chroot)
    return Relation.GREYLISTER if found is Relation.OTHER and find_greylister(place) else found


def _compare(place: str, bley: BleyPlaces, queue: Path, *, has_chroot: bool) -> Relation:
    if place.startswith("unix:"):
        path = place.removeprefix("unix:")
        seen = queue / path.lstrip("/") if has_chroot else queue / path
        if f"unix:{seen}" in bley.places:
            return Relation.OURS
        if place in bley.places:
            return Relation.OUTSIDE_CHROOT
        return Relation.NOBODY if "bley" in path else Relation.OTHER
    try:
        host, port = split_endpoint(place.removeprefix("inet:"), 0)
    except ValueError:
        return Relation.OTHER
    own = [split_endpoint(each, _DEFAULT_PORT) for each in bley.places if not each.startswith("unix:")]
    if any(port == own_port and _is_host(host, own_host) for own_host, own_port in own):
        return Relation.OURS
    if not _is_loopback(host) and port in {_DEFAULT_PORT, *(own_port for _, own_port in own)}:
        return Relation.OTHER_HOST
    return Relation.NOBODY if port == _DEFAULT_PORT or "bley" in host else Relation.OTHER


def _is_host(asked: str, own: str) -> bool:
    """Return whether a connection to the host reaches a socket with this address."""
    if own in ("0.0.0.0", "::"):
        return ":" not in asked or own == "::"
    return asked == own or (asked == "localhost" and _is_loopback(own))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reachable_places(bley: BleyPlaces, settings: PostfixSettings, service: Service) -> list[str]:
    """Return bley's places as main.cf has them: paths below the queue folder are relative to it."""
    queue = settings.get("queue_directory")
    places = []
    for place in bley.places:
        if not place.startswith("unix:"):
            host, port = split_endpoint(place, _DEFAULT_PORT)
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            places.append(f"inet:[{host}]:{port}" if ":" in host else f"inet:{host}:{port}")
        elif place.startswith(f"unix:{queue}/"):
            places.append("unix:" + place.removeprefix(f"unix:{queue}/"))
        elif not settings.has_chroot(service):
            places.append(place)
    return places
