"""Lines from files of other programs: their columns, and why some of them are no entries.

A second column that permits is ignored. A line with another meaning must not become an entry: `endif` is no host.
A reason begins with its kind, which ends at a colon.

Sources: access(5), cidr_table(5) and postscreen(8) of Postfix; chapter 10 of Exim's specification.
"""

import re

__all__ = ["RESERVED", "check_columns", "split_columns", "why_no_entry", "without_comment"]

_CONDITIONS = frozenset(("if", "endif"))
_PERMITS = frozenset(("ok", "permit", "dunno", "permit_auth_destination", "allow", "accept", "relay"))
_DEFERS = re.compile(r"(?:reject|defer|discard|hold|deny|drop|block|tempfail|greylist)\w*|[45]\d\d|[45]\.\d+\.\d+")
_ACTIONS = frozenset(("ok", "permit", "dunno", "reject", "defer", "discard", "hold"))
RESERVED = _CONDITIONS | _ACTIONS
"""Words of other files that would be host names here."""

_ADDRESS = r"\[?(?:\d+(?:\.\d+){3}|(?:ipv6:)?[\da-f]*:[\da-f:.]*)\]?"
_RANGE = re.compile(rf"({_ADDRESS})\s*[-\u2013\u2014]\s*({_ADDRESS}|\d{{1,3}})(?=\s|,?$)", re.IGNORECASE)
_EXPRESSION = re.compile(r"(?:(/.+/)i?|(\^\S+))(?:\s+(\S+))?")
_MARK = re.compile(r"^(spf|dyn):\s+(?=\S)", re.IGNORECASE)
_QUOTED = re.compile("\"([^\"]*)\"|'([^']*)'|<([^<>]*)>")
_COMMENT = re.compile("[#;]")

_LOOKUP = re.compile(r"[\w*-]{0,40}(?:search|dbm|cdb)[\w*@,=]{0,80};\S", re.IGNORECASE)
"""A lookup of Exim. Without limits, a long line would take quadratic time."""
_OTHER_FILE = re.compile(r"(?:[\w*-]+:)+/|include:|\+\w|@\[")
_INCLUDE = frozenset(("include", ".include"))
_SETTING = re.compile(r"[\w.-]+=|\[[a-z][\w .-]*\]$", re.IGNORECASE)
_TAG = re.compile(r"(?:from|to|connect|spam|mailto|sender|recipient):(?=.)", re.IGNORECASE)
_FORWARD = re.compile(r"(?:a|d?dns|dyndns|dynamic|host|name):(?=[a-z])", re.IGNORECASE)
_GLOB = re.compile(r"[\w.*@+-]+")
_LETTER = re.compile(r"[^\W\d]")

_LONGEST_QUOTED = 253
"""Characters of an entry that a reason may quote, as in the longest name."""

_INCLUDES = "names another file or list: a list file cannot include one, but its setting takes several files"
_IS_SETTING = "is a setting: a list file has one entry per line, and bley.conf has the settings"


def without_comment(line: str) -> str:
    """Return the line without comment, byte order mark and white space. Raises ValueError for a lookup of Exim."""
    if _LOOKUP.match(line):
        raise ValueError(_INCLUDES)
    return _COMMENT.split(line, maxsplit=1)[0].replace("\ufeff", "").strip()


def split_columns(line: str) -> tuple[str, str]:
    """Return the entry, without quotes, and the other columns. A range may have spaces around its hyphen."""
    if match := _EXPRESSION.fullmatch(line):
        return match[1] or f"/{match[2]}/", match[3] or ""
    if match := _RANGE.match(line):
        return f"{match[1]}-{match[2]}", line[match.end() :].lstrip(", \t")
    entry, *rest = _MARK.sub(lambda match: f"{match[1].lower()}:", line).split(maxsplit=1)
    entry = entry.rstrip(",") or entry
    if match := _QUOTED.fullmatch(entry):
        entry = next(text for text in match.groups() if text is not None)
    return entry, "".join(rest)


def check_columns(entry: str, rest: str) -> None:
    """Raise ValueError if this is no entry, or if the columns after it do more than permit."""
    first, action = entry.lower(), rest.lower()
    if first in _CONDITIONS:
        raise ValueError("is a condition of a Postfix table: write only the entries that are exempt")
    if first.startswith("!"):
        raise ValueError("is a negation: a list file only exempts, so narrow the entry that covers this one")
    if first.endswith("=") or action.startswith("="):
        raise ValueError(_IS_SETTING)
    if rest and first in _INCLUDE:
        raise ValueError(_INCLUDES)
    if first in _ACTIONS:
        raise ValueError("is an action: write the entry before it, or the entry alone")
    if not action or action in _PERMITS:
        return
    if _DEFERS.fullmatch(action.split()[0]):
        raise ValueError("rejects or defers: a list file only exempts; an access table of Postfix can reject")
    if not action.isdigit():  # access(5): an all-numerical result is OK
        raise ValueError(
            "has more than one column: write one entry per line, and comments after '#'; "
            "only OK, permit or DUNNO may follow an entry"
        )


def why_no_entry(entry: str, why: str) -> str:
    """Return why a text is no entry: `why`, or a reason that says more."""
    if len(entry) > _LONGEST_QUOTED:
        return why
    if entry.startswith("/") and len(entry) > 1:
        return (
            "is not an expression: it ends with '/', without flags; to read a file too, add it to this list's setting"
        )
    if match := _TAG.match(entry):
        return f"has a tag as sendmail's tables: write {entry[match.end() :]}"
    if match := _FORWARD.match(entry):
        return f"has an unknown mark: write dyn:{entry[match.end() :]} for the addresses of a name"
    if _SETTING.match(entry):
        return _IS_SETTING
    if _OTHER_FILE.match(entry):
        return _INCLUDES
    if "*" in entry and not entry.strip("*@."):
        return "exempts everything: `mode = observe` in bley.conf delays no mail"
    if "*" in entry and _GLOB.fullmatch(entry) and _LETTER.search(entry):
        pattern = f"^{re.escape(entry)}$".replace(r"\*", ".*").removeprefix("^.*")
        return f"has a wildcard within a name: write the expression /{pattern}/"
    return why
