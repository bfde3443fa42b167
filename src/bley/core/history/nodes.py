"""Counts by node, so that the machines that share a store can be compared.

They have kinds of their own, with the node as name: a few rows for each node and span, whatever the mail.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from bley.core.decision import DecisionEntry
from bley.core.history.statistics import DELAY, Count, Figures, delay_bound
from bley.core.reasons import Reason

__all__ = ["NODE_PASSED", "REQUEST_KINDS", "figures_by_node", "node_keys"]

NODE_PASSED, _WAITED, _DEFERRED, _EARLY = "node-passed", "node-waited", "node-deferred", "node-early"
REQUEST_KINDS = (NODE_PASSED, _WAITED, _DEFERRED, _EARLY)
"""The kinds of which a request has one: passed at once, passed after the wait, deferred, or retried too early."""

_DELAY = f"node-{DELAY}-"
"""The kind of a delay is this and its bound."""

_FIELDS = {
    NODE_PASSED: ("passed", ""),
    _WAITED: ("passed", Reason.WAITED.value),
    _DEFERRED: ("deferred", ""),
    _EARLY: ("deferred", Reason.EARLY.value),
}
"""For each kind the field of Figures and the reason; other reasons are not counted by node."""


def node_keys(entry: DecisionEntry) -> Iterator[tuple[str, str]]:
    """Yield kind and name of each count by node that the decision increments; none for a decision without a node."""
    if not entry.node:
        return
    reason, defers = entry.decision.reason, entry.outcome != "pass"
    if reason is Reason.WAITED:
        yield _WAITED, entry.node
        if bound := delay_bound(entry.decision):
            yield f"{_DELAY}{bound}", entry.node
    else:
        deferral = _EARLY if reason is Reason.EARLY else _DEFERRED
        yield deferral if defers else NODE_PASSED, entry.node


def figures_by_node(counts: Mapping[Count, int]) -> dict[str, Figures]:
    """Return the figures of each node, by name. Of all reasons they have only `waited` and `early`; the rest is ""."""
    found: defaultdict[str, dict[str, Counter[str]]] = defaultdict(
        lambda: {"passed": Counter(), "deferred": Counter(), "delays": Counter()}
    )
    for count, number in counts.items():
        if count.kind in _FIELDS:
            field, reason = _FIELDS[count.kind]
            found[count.name][field][reason] += number
        elif count.kind.startswith(_DELAY):
            found[count.name]["delays"][count.kind.removeprefix(_DELAY)] += number
    return {
        node: Figures(each["passed"], each["deferred"], delays=each["delays"]) for node, each in sorted(found.items())
    }
