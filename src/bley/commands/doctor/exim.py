"""Exim on this machine: whether its ACL queries bley."""

import re
from collections.abc import Iterator
from pathlib import Path

from bley.commands.doctor.finding import Finding, fault, note, warning, well
from bley.commands.doctor.greylisters import find_greylister
from bley.commands.doctor.policy_place import BleyPlaces, Relation, relation
from bley.commands.doctor.programs import run_program

__all__ = ["examine_exim", "judge_configuration"]

_SUBJECT = "exim"
_PROGRAMS = ("exim4", "exim")
_NOT_CONFIGURED = b"non-existent configuration file"
_OURS = (Relation.OURS, Relation.OTHER_HOST)
_SOCKET = re.compile(r"\$\{readsocket\s*\{\s*([^{}\s]+)\s*\}")
_INCLUDE = ("cp contrib/exim-acl.conf /etc/exim4/bley-acl.conf && echo 'CHECK_RCPT_LOCAL_ACL_FILE = "
            "/etc/exim4/bley-acl.conf' >>/etc/exim4/exim4.conf.localmacros && update-exim4.conf && "
            "systemctl reload exim4")  # fmt: skip


def examine_exim(bley: BleyPlaces) -> Iterator[Finding]:
    """Read Exim's configuration, and yield all findings."""
    for program in _PROGRAMS:
        try:
            ran = run_program(program, "-bP", "config")
        except OSError as error:
            yield warning(_SUBJECT, f"{program} -bP config: {error}", "its configuration is not known")
            return
        if ran is None:
            continue
        if ran.returncode:
            if _NOT_CONFIGURED in ran.stderr + ran.stdout:
                yield note(_SUBJECT, "it is installed, and not configured")
                return
            said = (ran.stderr or ran.stdout).decode(errors="backslashreplace").strip()
            yield fault(_SUBJECT, said[:500], "Exim does not start with this configuration", f"{program} -bV")
        else:
            yield from judge_configuration(ran.stdout.decode(errors="replace"), bley)
        return


def judge_configuration(text: str, bley: BleyPlaces) -> Iterator[Finding]:
    """Yield whether the configuration, with all files that it includes, queries bley."""
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    places = _SOCKET.findall(text)
    relations = {place: _relation(place, bley) for place in places}
    if any(each in _OURS for each in relations.values()):
        yield from _judge_acl(text, next(place for place in places if relations[place] in _OURS))
    elif wrong := [place for place, each in relations.items() if each is Relation.NOBODY]:
        what = f"the ACL queries {wrong[0]}, but bley listens at {', '.join(bley.places)}"
        remedy = f"write {_exim_place(bley)} in its place: docs/exim.md"
        yield fault(_SUBJECT, what, "Exim cannot connect, and all mail passes", remedy)
    else:
        yield fault(_SUBJECT, "no ACL queries bley", "no mail is delayed", _INCLUDE)
    for place in places:
        if relations[place] is Relation.GREYLISTER and (other := find_greylister(place)):
            remedy = f"remove its statement from the ACL, and run: apt remove {other.name}"
            yield warning(_SUBJECT, f"{other.name} greylists too: {place}", "mail waits twice", remedy)


def _judge_acl(text: str, place: str) -> Iterator[Finding]:
    found = []
    if "instance=" not in text:
        what = f"the ACL queries bley at {place} without `instance`"
        found.append(warning(_SUBJECT, what, "a message of several recipients has several headers", "docs/exim.md"))
    if (name := _acl_of_rcpt(text)) and place not in _statements(text, name):
        what = f"the ACL queries bley at {place}, outside of {name}, the ACL of RCPT TO"
        remedy = f"include contrib/exim-acl.conf in {name}: docs/exim.md"
        found.append(warning(_SUBJECT, what, "bley decides about each recipient", remedy))
    if "DEFER_IF_PERMIT" not in text:
        what = f"the ACL queries bley at {place}, and does not act on its answer"
        found.append(fault(_SUBJECT, what, "no mail is delayed", "copy `defer` from contrib/exim-acl.conf"))
    yield from found or [well(_SUBJECT, f"the ACL queries bley at {place}")]


def _acl_of_rcpt(text: str) -> str:
    """Return the name of the ACL; empty if it is not a plain name, or if the ACL uses others."""
    match = re.search(r"^\s*acl_smtp_rcpt\s*=\s*(\w+)\s*$", text, re.MULTILINE)
    statements = _statements(text, match[1]) if match else ""
    return match[1] if match and statements and not re.search(r"\bacl\b\s*=|\{acl", statements) else ""


def _statements(text: str, name: str) -> str:
    """Return the text of an ACL, up to the next one; empty if there is none of this name."""
    _, label, following = text.partition(f"{name}:\n")
    return re.split(r"^\s*(?:\w+:\s*|begin \w+)$", following, maxsplit=1, flags=re.MULTILINE)[0] if label else ""


def _relation(place: str, bley: BleyPlaces) -> Relation:
    return relation(f"unix:{place}" if place.startswith("/") else place, bley, Path("/"), has_chroot=False)


def _exim_place(bley: BleyPlaces) -> str:
    first = bley.places[0]
    return first.removeprefix("unix:") if first.startswith("unix:") else f"inet:{first}"
