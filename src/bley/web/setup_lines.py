"""The lines by which Postfix and Exim query this bley, for an administrator to copy."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from bley.core.endpoint import format_endpoint, split_endpoint
from bley.data.files import read_exim_acl

__all__ = ["SetupLines", "setup_lines"]

_POSTFIX_ROOT = PurePosixPath("/var/spool/postfix")
_DEFAULT = "127.0.0.1:1337"


class SetupLines(NamedTuple):
    """The lines of `main.cf`, and the ACL of Exim."""

    postfix: str
    exim: str


def setup_lines(places: Sequence[str]) -> SetupLines:
    """Return the lines for the first of the places; a unix socket only without a TCP address, which no chroot hides."""
    place = min(places, key=lambda each: each.startswith("unix:"), default=_DEFAULT)
    path = place.removeprefix("unix:")
    if path != place:
        inside = PurePosixPath(path)
        seen = inside.relative_to(_POSTFIX_ROOT) if inside.is_relative_to(_POSTFIX_ROOT) else inside
        postfix, exim = f"unix:{seen}", path
    else:
        postfix = exim = f"inet:{_reachable(place)}"
    restriction = f"check_policy_service {{ {postfix}, default_action=DUNNO }}"
    return SetupLines(
        f"smtpd_recipient_restrictions =\n    reject_unauth_destination,\n    {restriction}\n",
        read_exim_acl().replace(f"inet:{_DEFAULT}", exim),
    )


def _reachable(place: str) -> str:
    """Return the place as a client on this machine reaches it."""
    host, port = split_endpoint(place, 1337)
    return format_endpoint({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)
