"""The tags that mail servers put into a sender for one message, and their removal.

Signed return paths (BATV) and rewritten ones (SRS) have a form of their own: the tag is removed. Numbers (VERP) have
none, and people have numbers too. So a word of the local part, a run of letters and digits, becomes `#` by these rules:

1. A *long tag* next to another word: a UUID; a hexadecimal number of at least 8 digits with two decimal digits, one of
   them before a letter, and perhaps one more letter before it all; a decimal number of at least 14 digits.
   Names with a year, birthdays, telephone numbers and English words have another form.
2. Any number in a *return path*: the local part has a word such as bounce, return, list or newsletter, or the domain
   has the word bounce. A number is decimal, or hexadecimal: at least eight digits, or four of which one is decimal,
   or any that begin with a decimal one.
3. Any number before a hyphen and an encoded recipient: `4711-jane=example.org`.

So two users of a domain stay two: `10086` and `10087`, `jane.1984` and `jane.1985`, `info-2` and `info-3`, `dead-beef`
and `face-cafe`, each UUID. The price: a server that numbers its messages in another way, as `promo-4711`, sends each
from a new sender. The other doubt: two users whose names have a word of rule 2, as `list-1` and `list-2`, are one.
"""

import re

__all__ = ["is_rewritten", "without_numbers", "without_signatures"]

_SIGNATURE = r"\d{3,4}[0-9a-f]{6}"
"""Key, day and hash of BATV (draft-levine-smtp-batv-01 3.1); some appliances leave out the key."""

_BATV = re.compile(
    rf"(.+)[+-]prvs={_SIGNATURE}"  # as an extension of the user, by batv-tools
    rf"|prvs=(?!{_SIGNATURE}=)([^=]+|(?![0-9a-f]*[0-9][0-9a-f]*=).+)={_SIGNATURE}"  # the tag after the user
    r"|(?:ms)?prvs1?=[^=]*=(.+)"  # BATV, SparkPost
    r"|btv1==[^=]*==(.+)",  # Barracuda
    re.DOTALL,
)
# A hash is base64 and a time is base32. A part with a dot is therefore a domain, and the tag is removed already.
_SRS0 = re.compile(r"(srs0)[=+-][^=.]+=(?!srs[01]=)[^=.]*=(.+)", re.DOTALL)
_SRS1 = re.compile(r"(srs1)[=+-][^=.]+=([^=]*)=[=+-][^=]*=[^=]*=(.+)", re.DOTALL)
_REWRITTEN = re.compile(r"((?:srs0|srs1=+[^=]*)=+([^=]*)=)(.+)", re.DOTALL)
"""SRS without hash and time: what precedes the first sender, with its domain; its local part."""

_START, _END = r"(?<![^\W_])", r"(?![^\W_])"
_UUID = r"[a-z]?[0-9a-f]{8}(?:[-_.][0-9a-f]{4}){3}[-_.][0-9a-f]{12}"
_LONG = rf"{_UUID}|[0-9]{{14,}}|[g-z]?(?=[0-9a-f]*[0-9][a-f])(?=(?:[a-f]*[0-9]){{2}})[0-9a-f]{{8,}}"
_SHORT = r"[0-9][0-9a-f]*|(?=[a-f]*[0-9])[0-9a-f]{4,}|[0-9a-f]{8,}"
_LONG_TAG = re.compile(f"{_START}(?:{_LONG}){_END}")
_ANY_TAG = re.compile(f"{_START}(?:{_LONG}|{_SHORT}){_END}")
_OF_EVERY_TAG = re.compile("[0-9]|[a-f]{8}")
"""Something that every tag has."""
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")

_RETURN_PATH = re.compile(
    rf"{_START}(?:[a-z]*bounce[ds]?|bnc|verp|returns?|owner|errors|rcpt"
    r"|lists?|mailings?|newsletters?|news|campaigns?|msgs?|messages?|deliver(?:y|ies)"
    rf"|orders?|tickets?|invoices?|unsub(?:scribe)?)[0-9]*{_END}"
)
"""Words for return paths and mass mail. Words with which people number users (info, sales, noreply, mail) are none."""

_RECIPIENT = re.compile(r"-[^-=]*=+[^=.]*\.[^=]*\Z")
"""The encoded recipient of VERP, from the hyphen on."""

_RETURN_DOMAIN = re.compile(rf"{_START}(?:bounces?|bnc|verp)[0-9]*{_END}")


def without_signatures(local: str) -> str:
    """Remove BATV tags, and SRS tags except their domains, to any depth of nesting."""
    if batv := _BATV.fullmatch(local):
        return without_signatures(batv[batv.lastindex or 0])
    srs = _SRS0.fullmatch(local) or _SRS1.fullmatch(local)
    if not srs:
        return local
    *kept, original = srs.groups()
    domain, equals, user = original.partition("=")
    rest = "=".join([*kept[1:], domain + equals + without_signatures(user)])
    undone = f"{kept[0]}={rest}"
    # Without a dot in its domain the result may look tagged. An empty hash marks it as untagged.
    return f"{kept[0]}=={rest}" if _SRS0.fullmatch(undone) or _SRS1.fullmatch(undone) else undone


def is_rewritten(local: str) -> bool:
    """Return whether it is a local part of SRS."""
    return local.startswith(("srs0=", "srs1="))


def without_numbers(local: str, domain: str) -> str:
    """Put `#` in the place of each tag, by the rules above. Of SRS, only the first sender's local part changes."""
    if not _OF_EVERY_TAG.search(local):
        return local
    before = ""
    while "=" in local and is_rewritten(local) and (srs := _REWRITTEN.fullmatch(local)):
        before += srs[1]
        domain, local = srs[2], srs[3]
    if _RETURN_PATH.search(local) or _RETURN_DOMAIN.search(domain):
        return before + _ANY_TAG.sub("#", local)
    if "=" in local and (recipient := _RECIPIENT.search(local)):
        end = recipient.start()
        return before + _ANY_TAG.sub("#", local[:end]) + _LONG_TAG.sub("#", local[end:])
    undone, tags = _LONG_TAG.subn("#", local)
    is_user = tags == 1 and not _LETTER_OR_DIGIT.search(undone)
    return before + (local if is_user else undone)
