"""Postfix on this machine: its settings are read by postconf(1), and examined."""

import re
from collections.abc import Iterator
from pathlib import Path

from bley.commands.doctor.finding import Finding, fault, note, warning
from bley.commands.doctor.haproxy import examine_proxy, parse_haproxy
from bley.commands.doctor.policy_place import BleyPlaces
from bley.commands.doctor.postfix_lists import examine_order, is_for_strangers
from bley.commands.doctor.postfix_others import (
    examine_early_rejects,
    examine_handover,
    examine_milters,
    examine_networks,
    examine_postscreen,
    examine_xclient,
)
from bley.commands.doctor.postfix_settings import PostfixSettings, parse_postconf, split_list
from bley.commands.doctor.programs import run_program

__all__ = ["examine_postfix"]

_SUBJECT = "postfix"
_HAPROXY = Path("/etc/haproxy/haproxy.cfg")
_RSPAMD = [Path("/etc/rspamd", folder, "greylist.conf") for folder in ("local.d", "override.d")]
_NOT_CONFIGURED = "main.cf: No such file"
_COMPLAINT = re.compile("postconf: warning: (.*?: (unused parameter|overriding earlier entry): (?:smtpd|postscreen)_.*"
                        "|.*(undefined parameter): .*)")  # fmt: skip
_MEANINGS = {
    "unused parameter": ("Postfix does not know it: a misspelled name has no effect", "correct its name, or remove it"),
    "overriding earlier entry": ("only the last of the entries is in force", "remove one of the entries"),
    "undefined parameter": ("in its place Postfix has an empty text", "correct the name behind $"),
}


class _PostconfError(Exception):
    """postconf cannot read the settings."""


def examine_postfix(bley: BleyPlaces, folder: str = "") -> Iterator[Finding]:
    """Read the settings in this folder, by default Postfix's own, and yield all findings."""
    try:
        read = _read(folder)
    except (_PostconfError, OSError) as error:
        if _NOT_CONFIGURED in str(error) and not folder:
            yield note(_SUBJECT, f"it is installed, and not configured: {error}")
        else:
            yield fault(_SUBJECT, f"postconf: {error}", "Postfix does not start with these settings", "postfix check")
        return
    if read is None:
        if folder:
            yield fault(_SUBJECT, "there is no postconf here", "it reads the settings", "apt install postfix")
        return
    texts, complaints = read
    yield from filter(None, map(_judge_complaint, complaints))
    settings = parse_postconf(*texts)
    yield from dict.fromkeys(examine_settings(settings, bley, folder))
    if not folder:
        for other in split_list(settings.get("multi_instance_directories")):
            yield from examine_postfix(bley, other)


def examine_settings(settings: PostfixSettings, bley: BleyPlaces, folder: str = "") -> Iterator[Finding]:
    """Yield all findings about the services that receive mail from strangers."""
    rspamd, haproxy = "".join(map(_text, _RSPAMD)), parse_haproxy(_text(_HAPROXY))
    services = [service for service in settings.services if is_for_strangers(settings, service)]
    if not services:
        yield note(_SUBJECT, "no service of master.cf receives mail from strangers")
    for service in services:
        yield from examine_order(settings, service, bley, folder)
        yield from examine_milters(settings, service, rspamd, folder)
        for examine in (examine_xclient, examine_networks, examine_early_rejects):
            yield from examine(settings, service, folder)
        yield from examine_proxy(settings, service, haproxy, folder)
    yield from examine_handover(settings, folder)
    yield from examine_postscreen(settings, folder)


def _read(folder: str) -> tuple[tuple[str, str, str], list[str]] | None:
    """Return the parameters, services and overrides, and the complaints; None if there is no postconf."""
    where = ["-c", folder] if folder else []
    outputs, complaints = [], dict[str, None]()
    for option in ("-x", "-M", "-Px"):
        if (ran := run_program("postconf", *where, option)) is None:
            return None
        said = ran.stderr.decode(errors="backslashreplace")
        if ran.returncode:
            raise _PostconfError(said.strip().removeprefix("postconf: "))
        outputs.append(ran.stdout.decode(errors="backslashreplace"))
        complaints |= dict.fromkeys(said.splitlines())
    return (outputs[0], outputs[1], outputs[2]), list(complaints)


def _judge_complaint(line: str) -> Finding | None:
    """Return what a warning of postconf means; None if it does not concern the receiving of mail."""
    if not (match := _COMPLAINT.fullmatch(line)):
        return None
    why, remedy = _MEANINGS[match[2] or match[3]]
    return warning(_SUBJECT, match[1], why, remedy)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
