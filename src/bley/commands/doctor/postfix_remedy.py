"""The commands that correct Postfix's settings: postconf(1) writes main.cf, and with -P the options of master.cf."""

import re
import shlex
from collections.abc import Mapping, Sequence

from bley.commands.doctor.postfix_settings import PostfixSettings, Restriction, Service, parse_restrictions

__all__ = ["BARRIERS", "ENDS", "RECIPIENT_LIST", "edit_command", "order_command", "policy_text"]

_PERMITS = ("permit_mynetworks", "permit_sasl_authenticated")
BARRIERS = ("reject_unauth_destination", "defer_unauth_destination")
ENDS = ("permit", "permit_auth_destination", "reject", "defer")
"""Restrictions that end the list for all mail to one's own domains."""
RECIPIENT_LIST = "smtpd_recipient_restrictions"


def edit_command(service: Service | None, values: Mapping[str, str], folder: str = "") -> str:
    """Return the command that sets these parameters where the service has them, and reloads Postfix.

    postconf writes no blanks into master.cf, so a value with blanks becomes a parameter of main.cf.
    """
    main, master = dict[str, str](), dict[str, str]()
    for name, value in values.items():
        if not service or name not in service.overrides:
            main[name] = value
        elif " " in value:
            variable = f"{re.sub('[^a-z0-9]', '_', service.name)}_{name}"
            main[variable] = value
            master[f"{service.name}/{service.kind}/{name}"] = f"${variable}"
        else:
            master[f"{service.name}/{service.kind}/{name}"] = value
    program = f"postconf -c {shlex.quote(folder)}" if folder else "postconf"
    commands = []
    if main:
        texts = (shlex.quote(f"{name} = {value}".rstrip()) for name, value in main.items())
        commands.append(f"{program} -e {' '.join(texts)}")
    if master:
        texts = (shlex.quote(f"{name}={value}") for name, value in master.items())
        commands.append(f"{program} -P {' '.join(texts)}")
    return " && ".join([*commands, program.replace("postconf", "postfix", 1) + " reload"])


def policy_text(place: str, options: Mapping[str, str]) -> str:
    """Return the restriction that queries bley at its place, and lets mail pass while bley is down."""
    pairs = {"default_action": "DUNNO"} | {name: value for name, value in options.items() if name != "default_action"}
    texts = [f"{{ {name} = {value} }}" if " " in value else f"{name}={value}" for name, value in pairs.items()]
    return f"check_policy_service {{ {', '.join([place, *texts])} }}"


def order_command(
    settings: PostfixSettings, service: Service, bley: str, wrong: Mapping[str, Sequence[Restriction]], folder: str
) -> str:
    """Return the command that queries bley once, after own clients are permitted and relaying is refused.

    `bley` is its restriction, and `wrong` has all restrictions that query it, by their lists. The others keep their
    order: a permit that comes earlier would skip the checks behind it.
    """
    kept = {
        name: [each for each in parse_restrictions(settings.get(name, service)) if each not in wrong.get(name, ())]
        for name in (*wrong, RECIPIENT_LIST)
    }
    values = {name: ", ".join(map(str, each)) for name, each in kept.items()}
    relay = parse_restrictions(settings.get("smtpd_relay_restrictions", service))
    relays_first = settings.get("smtpd_relay_before_recipient_restrictions", service) == "yes"
    is_refused = relays_first and any(each.name in BARRIERS for each in relay)
    values[RECIPIENT_LIST] = ", ".join(_with_bley(kept[RECIPIENT_LIST], bley, is_refused=is_refused))
    return edit_command(service, values, folder)


def _with_bley(others: Sequence[Restriction], bley: str, *, is_refused: bool) -> list[str]:
    """Put bley behind the last restriction that it needs, and an end of the list behind bley.

    `is_refused`: an earlier list refuses relaying.
    """
    ends = [str(each) for each in others if each.name in ENDS]
    rest = [each for each in others if each.name not in ENDS]
    names = [each.name for each in rest]
    found = [at for at, name in enumerate(names) if name in (*_PERMITS, *BARRIERS)]
    at = found[-1] + 1 if found else len(rest)
    added = []
    if not is_refused and not any(name in BARRIERS for name in names):
        added = [*(name for name in _PERMITS if name not in names), BARRIERS[0]]
    return [*map(str, rest[:at]), *added, bley, *map(str, rest[at:]), *ends]
