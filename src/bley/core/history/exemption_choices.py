"""The entries of list files that would exempt mail like that of a decision, or like an address of a search.

A sender that may be forged is no choice, nor is the domain of a large provider: its entry would exempt spam too.
"""

from collections.abc import Iterator
from typing import NamedTuple

from bley.core.exemptions.entries import is_mail_address, is_name
from bley.core.exemptions.local_list import Kind, check_entry
from bley.core.findings import Check
from bley.core.history.delayed_mail import DomainMail
from bley.core.history.exempted import spf_passes
from bley.core.history.search import StoredDecision
from bley.core.history.shared_domains import is_shared
from bley.core.mail import parse_address
from bley.core.names.domains import a_labels

__all__ = ["Choice", "choice_of_domain", "choices_of_decision", "choices_of_text"]


class Choice(NamedTuple):
    """An entry of a list file of this kind, and the exempted mail in words."""

    kind: Kind
    entry: str
    words: str


def choices_of_decision(decision: StoredDecision, *, is_private: bool) -> list[Choice]:
    """Return the choices, the narrowest of each kind first. `is_private`: local parts of the decision are hashed."""
    found = [*_of_sender(decision, is_private=is_private), *_of_client(decision)]
    if not is_private and is_mail_address(decision.recipient):
        found.append(Choice("recipient", decision.recipient, "this recipient"))
    return list(filter(_is_valid, found))


def choices_of_text(text: str) -> list[Choice]:
    """Return the choices for the text of a search: a mail address, a domain, an IP address or a network."""
    if "@" in text:
        found = [Choice("sender", text, "this sender"), Choice("recipient", text, "this recipient")]
    elif is_name(text) and not is_shared(a_labels(text)):
        found = [
            Choice("sender", text, "senders of this domain"),
            Choice("client", text, "clients of this domain"),
            Choice("recipient", text, "recipients of this domain"),
        ]
    else:
        found = [Choice("client", text, "this client")] if parse_address(text) or "/" in text else []
    return list(filter(_is_valid, found))


def choice_of_domain(domain: str, mail: DomainMail) -> Choice | None:
    """Return the choice for all senders of a domain with this mail. It needs SPF if the name may be forged."""
    if not is_name(domain) or is_shared(a_labels(domain)):
        return None
    if mail.is_ours:
        choice = Choice("sender", f"spf:{domain}", "senders of your own domain, while SPF passes")
    elif not mail.comes_back:
        choice = Choice("sender", f"spf:{domain}", "senders of this domain, while SPF passes")
    else:
        choice = Choice("sender", domain, "senders of this domain")
    return choice if _is_valid(choice) else None


def _of_sender(decision: StoredDecision, *, is_private: bool) -> Iterator[Choice]:
    finding, passes = decision.details.get("findings", {}).get(Check.SPF.value, {}), spf_passes(decision)
    domain = decision.sender.rpartition("@")[2]
    is_own = a_labels(domain) == a_labels(decision.recipient.rpartition("@")[2])
    if finding.get("score") or (is_own and not passes):
        return
    mark, note = ("spf:", ", while SPF passes") if passes else ("", "")
    if not is_private and is_mail_address(decision.sender):
        yield Choice("sender", f"{mark}{decision.sender}", f"this sender{note}")
    if is_name(domain) and not is_shared(a_labels(domain)):
        yield Choice("sender", f"{mark}{domain}", f"the sender's domain{note}")


def _of_client(decision: StoredDecision) -> Iterator[Choice]:
    if address := parse_address(decision.client_address):
        yield Choice("client", str(address), "this client's address")
    name, pool = decision.client_name.rstrip(".").casefold(), decision.triplet.client if decision.triplet else ""
    if is_name(pool) and (name == pool or name.endswith(f".{pool}")) and not is_shared(pool):
        yield Choice("client", pool, "the client's domain")


def _is_valid(choice: Choice) -> bool:
    try:
        check_entry(choice.kind, choice.entry)
    except ValueError:
        return False
    return True
