"""Forms of other programs that the syntax of DNS lists does not have, each with the correct form.

Sources: Exim's specification, "dnslists"; postconf(5), reject_rbl_client; policyd-weight.conf(5).
"""

import re

__all__ = ["find_foreign_form"]

_CODES = "list the return codes that count, as in =127.0.0.[2..11]"

_SUBJECT = "{subject}"
_ADDRESS, _DOMAINS = "the client's address", "the domains of sender, HELO and client"

_DOMAIN_VARIABLE = re.compile(r"\$[{\w:]*(?:domain|helo_name|host_name)")

_FORMS = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"^(?:none|off|no|false|\[\])$", "write nothing after = for no list"),
        ("[\"'`\\\\]", "write entries without quotes and backslashes"),
        (r"^[#<]|^[^\[]*(;)|\](;)", "a comma or white space separates entries, and a comment needs a line of its own"),
        (r"^\w*:?//", "write the zone alone, without http://"),
        (r"^(?:reject|permit|warn|defer)_\w+$", "write only the zone of this restriction of Postfix"),
        (r"[$%]", f"bley has no variables, and looks up {_SUBJECT}: write the zone alone"),
        (r"==|=&", f"write one =, and {_CODES}"),
        (r"!", f"bley has no negation: {_CODES}"),
        (r"\|", "write several return codes as 127.0.0.[2;3]"),
        (r"&", f"bley has no bit mask: {_CODES}"),
        (
            r"^[^=]*=(?:[^/\[]*?(/|(?<=\d)(?:-(?=\d)|\.\.))|(?:[\d.]*\.)?(\*))",
            "write a range of return codes as 127.0.0.[0..255]",
        ),
        (r"/", f"bley looks up {_SUBJECT}: write the zone alone"),
        (r"^[\d.]*\d\.?(?![\w.-])", "no zone is an address: write several return codes of a list as =127.0.0.[2;3]"),
        (r"[^\x00-\x7f]", "a zone has ASCII characters only: write A-labels, as in xn--bcher-kva.example"),
        (r"\*[+-]?\d+(\.)", "a weight is a whole number from -99 to 99"),
    )
)


def find_foreign_form(entry: str, *, of_domains: bool = False) -> tuple[int, str] | None:
    """Return the place of a form of another program in an entry, and the correct form; None if there is none."""
    subject = _DOMAINS if of_domains else _ADDRESS
    if not of_domains and (variable := _DOMAIN_VARIABLE.search(entry)):
        return variable.start(), "bley looks up domains in domain_lists: write the zone alone there"
    for pattern, what in _FORMS:
        if match := pattern.search(entry):
            return match.start(match.lastindex or 0), what.replace(_SUBJECT, subject)
    return None
