"""The links to the actions that help with a decision or a search."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bley.core.history.advice import ListFiles
from bley.core.history.exemption_choices import Choice, choices_of_decision, choices_of_text
from bley.core.history.outcome import OutcomeKind
from bley.core.history.search import StoredDecision
from bley.core.history.story import Story
from bley.core.reasons import Reason
from bley.web.urls import page_url

__all__ = ["ActionLink", "links_of_decision", "links_of_search"]

_DELAYED = frozenset({Reason.WAITED, Reason.RELEASED})
_EXEMPT: Mapping[str, str] = {
    Reason.EXEMPT_CLIENT: "client",
    Reason.EXEMPT_SENDER: "sender",
    Reason.EXEMPT_RECIPIENT: "recipient",
}


class ActionLink(NamedTuple):
    """A link to the confirmation page of an action; `entry` is that of a list file."""

    words: str
    url: str
    entry: str = ""


def links_of_decision(story: Story, files: ListFiles, *, has_records: bool) -> list[ActionLink]:
    """Return the actions that make sense after the decision of this story."""
    decision, outcome = story.decision, story.outcome
    own, links = {"decision": decision.number}, list[ActionLink]()
    if outcome and outcome.kind in (OutcomeKind.WAITING, OutcomeKind.DUE) and decision.triplet:
        links.append(ActionLink("Let it pass now", page_url("/act/pass", own)))
    if (decision.defers and decision.reason != Reason.STORE_ERROR) or decision.reason in _DELAYED:
        links += _exempting(choices_of_decision(story.deferral or decision, is_private=files.is_private), own)
    if entry := _own_entry(decision, files):
        kind = _EXEMPT[decision.reason]
        url = page_url("/act/disallow", {"kind": kind, "entry": entry, **own})
        links.append(ActionLink("End the exemption of", url, entry))
    if has_records and decision.triplet:
        links.append(ActionLink("Forget this mail", page_url("/act/forget", own)))
    return links


def links_of_search(q: str, *, has_records: bool) -> list[ActionLink]:
    """Return the actions that make sense for the text of a search."""
    own = {"q": q}
    links = _exempting(choices_of_text(q), own) if q else []
    if q and has_records:
        links.insert(0, ActionLink("Let all that wait pass now", page_url("/act/pass", own)))
        links.append(ActionLink("Forget all records", page_url("/act/forget", own)))
    return links


def _exempting(choices: Iterable[Choice], own: dict[str, str]) -> list[ActionLink]:
    return [
        ActionLink(
            f"Never delay {each.words}",
            page_url("/act/allow", {"kind": each.kind, "entry": each.entry, **own}),
            each.entry,
        )
        for each in choices
    ]


def _own_entry(decision: StoredDecision, files: ListFiles) -> str:
    """Return the entry of a list file of bley's own that exempted the mail; empty if there is none."""
    if decision.reason not in _EXEMPT:
        return ""
    file, _, rest = str(decision.details.get("entry", "")).partition(":")
    return rest.partition(":")[2] if file == getattr(files, f"{_EXEMPT[decision.reason]}s") else ""
