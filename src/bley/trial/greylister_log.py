"""The lines of postgrey, and of bley, which have its form, and of policyd-weight: each is one policy request.

    postgrey[1]: action=greylist, reason=new, client_name=mail.example.com, client_address=192.0.2.1,
        sender=a@example.com, recipient=b@example.org
    postfix/policyd-weight[1]: decided action=PREPEND X-policyd-weight: …; <client=192.0.2.1> <helo=mail.example.com>
        <from=a@example.com> <to=b@example.org>; delay: 1s

postgrey's lines have no HELO, and policyd-weight's no name of the client.
"""

import re

from bley.trial.facts import ATTEMPT, NO_HELO, NO_NAME, Facts
from bley.trial.postfix_log import OTHER_REJECT

__all__ = ["read_greylister", "weighed_helo"]

_POSTGREY = re.compile(r"\baction=([a-z-]+), reason=")
_FIELD = re.compile(r", (client_name|client_address|sender|recipient)=([^,\s]*)")
_WEIGHED = re.compile(
    r"policyd-weight\[\d+\]: .*\bdecided action=(\S+).*<client=(?:([^\s\[\]<>]+)\[)?([0-9a-fA-F.:]+)\]?> "
    r"<helo=([^<>]*)> <from=([^<>]*)> <to=([^<>]*)>"
)


def read_greylister(text: str, at: int, place: str, label: str) -> Facts | str | None:
    """Return the facts of the request, or why there is none; None: the line is another one."""
    if match := _WEIGHED.search(text):
        action, name, address, helo, sender, recipient = match.groups()
        if action[0] == "5" or action.upper() == "REJECT":
            return OTHER_REJECT
        label = ATTEMPT if action[0] == "4" or action.upper().startswith("DEFER") else label
        lacks = 0 if name else NO_NAME
        return Facts(label, at, address, name or "unknown", helo, sender.strip(), recipient, place, lacks)
    if (match := _POSTGREY.search(text)) is None:
        return None
    fields = dict(_FIELD.findall(text, match.start()))
    if not fields.get("client_address") or not fields.get("recipient"):
        return None
    client = fields["client_address"], fields.get("client_name") or "unknown", ""
    label = label if match[1] == "pass" else ATTEMPT
    return Facts(label, at, *client, fields.get("sender", ""), fields["recipient"], place, NO_HELO)


def weighed_helo(text: str) -> tuple[str, str] | None:
    """Return the client address and the HELO of a line of policyd-weight."""
    match = _WEIGHED.search(text)
    return (match[3], match[4]) if match else None
