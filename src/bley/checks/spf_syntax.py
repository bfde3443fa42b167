"""The syntax of an SPF record where pyspf reads it in another way than RFC 7208.

A syntax error anywhere in a record is a permerror, before any mechanism is evaluated (RFC 7208 4.6). pyspf accepts
control characters, does not know `Redirect=` in capitals, and refuses an unknown modifier that appears twice.
"""

import re
from collections.abc import Callable

import spf

__all__ = ["MACRO", "check_domain_spec", "check_letter", "has_top_label", "split_record"]

MACRO = re.compile(r"%(?:([%_-])|\{([slodipvhcrt])([0-9]*)(r?)([.\-+,/_=]*)\})?", re.IGNORECASE)
"""A macro (RFC 7208 7.1). A match of the percent sign alone is a syntax error."""

_OTHER_CHARACTER = re.compile(r"[^ -~]")
_MODIFIER = re.compile(r"([a-z][a-z0-9._-]*)=(.*)", re.IGNORECASE)
_ALL = re.compile(r"[+?~-]?all", re.IGNORECASE)
_TOP_LABEL = re.compile(r"[0-9a-z-]+", re.IGNORECASE)
_EXPLANATION_ONLY = frozenset("crt")


def split_record(record: str, count_work: Callable[[int], object]) -> tuple[list[str], str]:
    """Return the directives of a record, and the domain-spec of its `redirect=` if no `all` precedes or follows it.

    All other modifiers decide nothing: their syntax is checked only. `count_work` is called with the length of each.
    Raises spf.PermError.
    """
    if other := _OTHER_CHARACTER.search(record):
        raise spf.PermError(f"character {ord(other[0])} is neither visible ASCII nor a space")
    directives, known = [], dict[str, str]()
    for term in filter(None, record.split(" ")[1:]):
        if not (modifier := _MODIFIER.fullmatch(term)):
            directives.append(term)
            continue
        count_work(len(term))
        name, value = modifier[1].lower(), modifier[2]
        if name in ("redirect", "exp"):
            if name in known:
                raise spf.PermError(f"{name}= appears twice", term)
            check_domain_spec(value)
            known[name] = value
        else:
            _check_macro_string(value)
    is_complete = any(map(_ALL.fullmatch, directives))  # RFC 7208 6.1
    return directives, "" if is_complete else known.get("redirect", "")


def check_domain_spec(text: str) -> None:
    """Raise spf.PermError unless the text ends with a macro or a top label, and its macros are valid."""
    if _check_macro_string(text) != len(text) and not has_top_label(text):
        raise spf.PermError("Invalid domain found (use FQDN)", text)


def _check_macro_string(text: str) -> int:
    """Return the end of the last macro; -1 without macros."""
    end = -1
    for macro in MACRO.finditer(text):
        check_letter(macro)
        end = macro.end()
    return end


def check_letter(macro: re.Match[str]) -> None:
    """Raise spf.PermError for a macro without a letter, or with one of explanations, or without a digit but zero."""
    literal, letter, digits, *_ = macro.groups()
    if literal:
        return
    if not letter or (digits and not digits.strip("0")):
        raise spf.PermError("invalid-macro-char", macro.string[macro.start() : macro.start() + 32])
    if letter.lower() in _EXPLANATION_ONLY:
        raise spf.PermError("c,r,t macros allowed in exp= text only", macro[0])


def has_top_label(domain_spec: str) -> bool:
    """Whether it ends with a dot and a possible top-level domain: letters, digits and hyphens, but not digits only."""
    _, dot, label = domain_spec.removesuffix(".").rpartition(".")
    is_label = _TOP_LABEL.fullmatch(label) and "-" not in (label[0], label[-1])
    return bool(dot and is_label and not label.isdigit())
