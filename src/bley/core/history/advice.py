"""Advice for a wrong decision: for a deferral, the list file entry that exempts, and the party at fault.

    add "example.com" to /etc/bley/whitelist_clients and run: systemctl reload bley

The best advice comes first. Texts may contain values from the wire; the code that shows them escapes them.
"""

import shlex
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bley.core.dnslists.known import find_known_list
from bley.core.exemptions.entries import is_mail_address, is_name
from bley.core.findings import FIXES, REASONS, Check
from bley.core.history.outcome import DeferralOutcome, OutcomeKind
from bley.core.history.record_filter import NULL_SENDER
from bley.core.history.search import StoredDecision
from bley.core.mail import Triplet, parse_address
from bley.core.reasons import Reason

__all__ = ["Advice", "ListFile", "ListFiles", "advice"]

_RELOAD = "and run: systemctl reload bley"


class Advice(NamedTuple):
    """One thing to do: a text that continues `if this was wrong:`, and the entry for a list file, if any.

    The text may end with a command, in which unprintable characters are shell escapes.
    """

    text: str
    entry: str = ""
    file: str = ""
    command: str = ""


class ListFile(NamedTuple):
    """A list file: its setting and its path. `is_read` is false if the setting does not name the file yet."""

    setting: str
    path: str
    is_read: bool = True


class ListFiles(NamedTuple):
    """The list files. With `is_private`, the store contains hashes of addresses, which no list file can contain."""

    clients: ListFile
    senders: ListFile
    recipients: ListFile
    is_private: bool = False


def advice(
    decision: StoredDecision,
    files: ListFiles,
    kept_under: Sequence[Triplet] = (),
    outcome: DeferralOutcome | None = None,
) -> list[Advice]:
    """Return what the administrator can do about such mail, the best first; empty if bley did not judge it.

    `kept_under` are the triplets of its records. If it is empty, the triplet of the decision stands for them.
    `outcome`: that of a deferral.
    """
    if decision.defers and decision.reason != Reason.STORE_ERROR:
        is_exempt = outcome and outcome.kind is OutcomeKind.LET_THROUGH and outcome.passed_by.startswith("exempt-")
        exempting = [] if is_exempt else _exempting(decision, files)
        return [*exempting, *_releasing(decision, outcome), *_fix(decision)]
    return list(_delaying(decision, kept_under))


def _exempting(decision: StoredDecision, files: ListFiles) -> Iterator[Advice]:
    if client := _client_entry(decision):
        yield _line(client, files.clients)
    if files.is_private:
        return
    if parse_address(client) and is_mail_address(decision.sender):
        yield _line(decision.sender, files.senders, "or, if its address changes: ")
    if is_mail_address(decision.recipient):
        yield _line(decision.recipient, files.recipients, "or, for all mail to this recipient: ")


def _releasing(decision: StoredDecision, outcome: DeferralOutcome | None) -> Iterator[Advice]:
    if outcome and outcome.kind in (OutcomeKind.WAITING, OutcomeKind.DUE) and decision.triplet:
        command = _command("pass", decision.triplet, ("sender", "recipient"))
        yield Advice(f"or, for this mail alone, at its next attempt: {command}", command=command)


def _client_entry(decision: StoredDecision) -> str:
    """Return the domain of the client's pool as its triplet has it, or its address; empty if it has neither."""
    name = decision.client_name.rstrip(".").casefold()
    pool = decision.triplet.client if decision.triplet else ""
    if is_name(pool) and (name == pool or name.endswith(f".{pool}")):
        return pool
    address = parse_address(decision.client_address)
    return str(address) if address else ""


def _line(entry: str, file: ListFile, before: str = "") -> Advice:
    setting = "" if file.is_read else f"set {file.setting} = {file.path.rpartition('/')[2]} in bley.conf, "
    return Advice(f'{before}{setting}add "{entry}" to {file.path} {_RELOAD}', entry, file.path)


def _fix(decision: StoredDecision) -> Iterator[Advice]:
    """Return who can mend the cause."""
    address, domain = decision.client_address, decision.sender.rpartition("@")[2] or decision.helo_name
    reason = decision.reason
    if reason == Reason.DNSBL:
        for name in _listing(decision, Check.DNSBL):
            where = find_known_list(name).site
            ask = f"ask {name}{f' ({where})' if where else ''} to remove {address}"
            yield Advice(f"{ask}; or, if the list is wrong too often, take it out of dnsbls")
    elif reason == Reason.SPF:
        yield Advice(f"tell the postmaster of {domain}: its SPF record does not permit {address}")
    elif reason == Reason.CLIENT_BAD:
        yield Advice(f"see why the client was judged so just before: bley why {address}")
    elif reason == Reason.EARLY:
        yield Advice("see why it was deferred at first: the decision before this one")
    elif fix := FIXES.get(reason):
        yield Advice(f"tell the client's operator: {fix}")


def _listing(decision: StoredDecision, check: Check) -> list[str]:
    """Return the names of the lists whose answers counted."""
    finding: dict[str, Any] = decision.details.get("findings", {}).get(check.value, {})
    return [each["list"] for each in finding.get("lists", ()) if each.get("weight")]


def _delaying(decision: StoredDecision, kept_under: Sequence[Triplet]) -> Iterator[Advice]:
    """Return what to do about a pass."""
    match decision.reason:
        case Reason.EXEMPT_CLIENT | Reason.EXEMPT_SENDER | Reason.EXEMPT_RECIPIENT:
            file, _, rest = str(decision.details.get("entry", "")).partition(":")
            if file == "built-in":
                yield Advice("nothing: postmaster and abuse must be reachable (RFC 5321 4.5.1)")
            elif rest:
                line, _, entry = rest.partition(":")
                yield Advice(f"take the entry out of {file}, line {line}, {_RELOAD}", file=file)
                if decision.reason == Reason.EXEMPT_SENDER and (is_name(entry) or is_mail_address(entry)):
                    yield Advice(f'or, if the sender was forged: write it as "spf:{entry}", {_RELOAD}', file=file)
        case Reason.KNOWN | Reason.WAITED | Reason.RELEASED if decision.triplet:
            command = " && ".join(_command("forget", triplet) for triplet in kept_under or [decision.triplet])
            yield Advice(f"make it a stranger again: {command}", command=command)
        case Reason.TRUSTED:
            for name in _listing(decision, Check.DNSWL):
                yield Advice(f"take {name} out of dnswls, or raise dnswl_threshold")
        case reason if reason in REASONS and REASONS[reason].advice:
            yield Advice(REASONS[reason].advice)


def _command(name: str, triplet: Triplet, parts: Sequence[str] = Triplet._fields) -> str:
    """Return the command about the records with these parts of the triplet."""
    texts = triplet._replace(sender=triplet.sender or NULL_SENDER)._asdict()
    return " ".join([f"bley {name}", *(f"--{part} {_quoted(texts[part])}" for part in parts)])


def _quoted(text: str) -> str:
    """Return one word of a shell command. With escapes, bash, zsh, ksh and POSIX 2024 shells read it."""
    if text.isprintable() and "\\" not in text:
        return shlex.quote(text)
    coded = (each if each.isprintable() and each not in "\\'" else _octal(each) for each in text)
    return f"$'{''.join(coded)}'"


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in character.encode())
