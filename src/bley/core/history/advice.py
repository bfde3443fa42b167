"""Advice for a wrong decision: for a deferral, the command that exempts such mail, and the party at fault.

    exempt the sender's domain: bley allow --sender example.com

The best advice comes first. Texts may contain values from the wire; the code that shows them escapes them.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bley.core.dnslists.known import find_known_list
from bley.core.exemptions.entries import is_mail_address, is_name
from bley.core.findings import FIXES, REASONS, Check
from bley.core.history.exempted import ExemptedMail, Exemption
from bley.core.history.exemption_choices import choices_of_decision
from bley.core.history.outcome import DeferralOutcome, OutcomeKind
from bley.core.history.record_filter import NULL_SENDER
from bley.core.history.search import StoredDecision
from bley.core.history.story import Story
from bley.core.mail import Triplet
from bley.core.reasons import OF_DOMAINS, Reason

__all__ = ["Advice", "ListFiles", "advice", "allow_command", "deferral_advice", "exemptions_of", "with_exempted"]

_KINDS = {"exempt-client": "client", "exempt-sender": "sender", "exempt-recipient": "recipient"}
_RELOAD = "and run: systemctl reload bley"


class Advice(NamedTuple):
    """One thing to do: a text that continues `if this was wrong:`, and the entry of a list file, if any.

    The text may end with the command, in which unprintable characters are shell escapes.
    """

    text: str
    entry: str = ""
    file: str = ""
    command: str = ""
    exemption: Exemption | None = None
    """The entry, if it would exempt mail."""
    exempted: ExemptedMail | None = None
    """The mail that it would have exempted, if that was counted."""


class ListFiles(NamedTuple):
    """The list files that `bley allow` writes, and the option that names their settings file.

    With `is_private`, the store contains hashes of local parts, which no list file can contain.
    """

    clients: str
    senders: str
    recipients: str
    is_private: bool = False
    option: Sequence[str] = ()
    """Such as `-c FILE`; empty if each command finds the settings by itself."""

    def command(self, name: str, *words: str) -> str:
        """Return a line for the shell that runs this command with these settings."""
        return " ".join(["bley", name, *map(_quoted, (*self.option, *words))])


def advice(story: Story, files: ListFiles, kept_under: Sequence[Triplet] = ()) -> list[Advice]:
    """Return what the administrator can do about the decision of the story, the best first; none without a judgment.

    `kept_under` are the triplets of its records. If it is empty, the triplet of the decision stands for them.
    """
    decision = story.decision
    if decision.defers and decision.reason != Reason.STORE_ERROR:
        return deferral_advice(story, files)
    return list(_delaying(decision, files, kept_under))


def deferral_advice(story: Story, files: ListFiles) -> list[Advice]:
    """Return what the administrator can do about the deferral of the story; empty if there is none."""
    deferral, outcome = story.deferral, story.outcome
    if deferral is None or deferral.reason == Reason.STORE_ERROR:
        return []
    is_exempt = outcome and outcome.kind is OutcomeKind.LET_THROUGH and outcome.passed_by.startswith("exempt-")
    exempting = [] if is_exempt else _exempting(deferral, files)
    return [*exempting, *_releasing(deferral, files, outcome), *_fix(story.judgment or deferral, files)]


def exemptions_of(advices: Iterable[Advice]) -> list[Exemption]:
    """Return what the entries exempt, each once."""
    return list(dict.fromkeys(each.exemption for each in advices if each.exemption))


def with_exempted(advices: Iterable[Advice], exempted: Mapping[Exemption, ExemptedMail]) -> list[Advice]:
    """Return the advice with what its entries would have exempted."""
    return [
        each._replace(exempted=exempted[each.exemption]) if each.exemption and each.exemption in exempted else each
        for each in advices
    ]


def _exempting(decision: StoredDecision, files: ListFiles) -> Iterator[Advice]:
    """Return the widest safe entry of each kind: a domain rather than one address."""
    widest = {choice.kind: choice for choice in choices_of_decision(decision, is_private=files.is_private)}
    for number, (kind, entry, what) in enumerate(widest.values()):
        command = allow_command(files, kind, entry)
        file = getattr(files, f"{kind}s")
        text = f"{'or ' if number else ''}exempt {what}: {command}"
        yield Advice(text, entry, file, command, Exemption(kind, entry))


def _releasing(decision: StoredDecision, files: ListFiles, outcome: DeferralOutcome | None) -> Iterator[Advice]:
    if outcome and outcome.kind in (OutcomeKind.WAITING, OutcomeKind.DUE) and decision.triplet:
        command = _about(files, "pass", decision.triplet, ("sender", "recipient"))
        yield Advice(f"or, for this mail alone, at its next attempt: {command}", command=command)


def _fix(decision: StoredDecision, files: ListFiles) -> Iterator[Advice]:
    """Return who can mend the cause."""
    address, domain = decision.client_address, decision.sender.rpartition("@")[2] or decision.helo_name
    reason = decision.reason
    if reason == Reason.DNSBL:
        for name in _listing(decision, Check.DNSBL):
            where = find_known_list(name).site
            ask = f"ask {name}{f' ({where})' if where else ''} to remove {address}"
            yield Advice(f"{ask}; or, if the list is wrong too often, take it out of dnsbls")
    elif reason in OF_DOMAINS:
        for name, domains in _listing_domains(decision):
            where = find_known_list(name).site
            ask = f"tell the postmaster of {domains}: {name}{f' ({where})' if where else ''} lists it"
            yield Advice(f"{ask}; or, if the list is wrong too often, take it out of domain_lists")
    elif reason == Reason.SPF:
        yield Advice(f"tell the postmaster of {domain}: its SPF record does not permit {address}")
    elif reason == Reason.CLIENT_BAD:
        judged = decision.triplet.client if decision.triplet else address  # perhaps by another address of its network
        command = files.command("why", judged)
        yield Advice(f"see why the client was judged so just before: {command}", command=command)
    elif fix := FIXES.get(reason):
        yield Advice(f"tell the client's operator: {fix}")


def _listing(decision: StoredDecision, check: Check) -> list[str]:
    """Return the names of the lists whose answers counted."""
    finding: dict[str, Any] = decision.details.get("findings", {}).get(check.value, {})
    return [each["list"] for each in finding.get("lists", ()) if each.get("weight")]


def _listing_domains(decision: StoredDecision) -> list[tuple[str, str]]:
    """Return the names of the domain lists whose answers counted, each with the domains that it lists."""
    finding: dict[str, Any] = decision.details.get("findings", {}).get(Check.DOMAIN_LIST.value, {})
    return [
        (each["list"], " and ".join(each.get("domains", ()))) for each in finding.get("lists", ()) if each.get("weight")
    ]


def _delaying(decision: StoredDecision, files: ListFiles, kept_under: Sequence[Triplet]) -> Iterator[Advice]:
    """Return what to do about a pass."""
    match decision.reason:
        case Reason.EXEMPT_CLIENT | Reason.EXEMPT_SENDER | Reason.EXEMPT_RECIPIENT:
            yield from _removing(decision, files)
        case Reason.KNOWN | Reason.WAITED | Reason.RELEASED if decision.triplet:
            command = " && ".join(_about(files, "forget", triplet) for triplet in kept_under or [decision.triplet])
            yield Advice(f"make it a stranger again: {command}", command=command)
        case Reason.TRUSTED:
            for name in _listing(decision, Check.DNSWL):
                yield Advice(f"take {name} out of dnswls, or raise dnswl_threshold")
        case reason if reason in REASONS and REASONS[reason].advice:
            yield Advice(REASONS[reason].advice)


def _removing(decision: StoredDecision, files: ListFiles) -> Iterator[Advice]:
    """Return how to remove the entry that exempted it: by `bley allow` if that owns the file."""
    file, _, rest = str(decision.details.get("entry", "")).partition(":")
    line, _, entry = rest.partition(":")
    kind = _KINDS[decision.reason]
    could_need_spf = kind == "sender" and (is_name(entry) or is_mail_address(entry))
    if file == "built-in":
        yield Advice("nothing: postmaster and abuse must be reachable (RFC 5321 4.5.1)")
    elif entry and file == getattr(files, f"{kind}s"):
        remove = allow_command(files, kind, entry, "--remove")
        yield Advice(f"remove the entry: {remove}", entry, file, remove)
        if could_need_spf:
            add = f"{remove} && {allow_command(files, kind, f'spf:{entry}')}"
            yield Advice(f"or, if the sender was forged, let it need SPF: {add}", f"spf:{entry}", file, add)
    elif file == getattr(files, f"{kind}s"):  # `privacy` has removed the entry
        yield Advice(f"take line {line} out of {file}, which bley reads within 20 seconds", file=file)
    elif rest:
        yield Advice(f"take the entry out of {file}, line {line}, {_RELOAD}", file=file)
        if could_need_spf:
            yield Advice(f'or, if the sender was forged: write it as "spf:{entry}", {_RELOAD}', file=file)


def allow_command(files: ListFiles, kind: str, entry: str, *options: str) -> str:
    """Return the command about an entry, which may begin with a hyphen."""
    return files.command("allow", *options, f"--{kind}", *(["--"] if entry.startswith("-") else []), entry)


def _about(files: ListFiles, name: str, triplet: Triplet, parts: Sequence[str] = Triplet._fields) -> str:
    """Return the command about the records with these parts of the triplet."""
    texts = triplet._replace(sender=triplet.sender or NULL_SENDER)._asdict()
    return files.command(name, *(word for part in parts for word in (f"--{part}", texts[part])))


def _quoted(text: str) -> str:
    """Return one word of a shell command. With escapes, bash, zsh, ksh and POSIX 2024 shells read it."""
    if text.isprintable() and "\\" not in text:
        return shlex.quote(text)
    coded = (each if each.isprintable() and each not in "\\'" else _octal(each) for each in text)
    return f"$'{''.join(coded)}'"


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in character.encode())
