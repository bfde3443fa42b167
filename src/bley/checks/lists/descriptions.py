"""The state of a DNS list in the words of `bley lists` and the dashboard."""

from bley.checks.lists.report import DOMAIN_SETTING, ListReport
from bley.core.dnslists.health import ListState

__all__ = ["is_ill", "listed_share", "shown_state"]


def is_ill(report: ListReport) -> bool:
    """Whether the list does not count for the clients of at least one IP version."""
    return not {report["state"], report["state_ipv6"]} <= {ListState.WELL, ListState.NOT_SERVED}


def shown_state(report: ListReport) -> str:
    """Describe the state of the list, and for which clients it applies."""
    state, state_ipv6 = report["state"], report["state_ipv6"]
    if report["setting"] == DOMAIN_SETTING:
        return state
    match state, state_ipv6:
        case ListState.WELL, ListState.NOT_SERVED:
            return "well, IPv4 only"
        case ListState.NOT_SERVED, _:
            return f"{state_ipv6}, IPv6 only"
        case ListState.WELL, ListState.ILL | ListState.UNTESTED:
            return f"well, for IPv6 {state_ipv6}"
    return state


def listed_share(report: ListReport) -> float | None:
    """Return the share of listings in the conclusive answers; None if there are none."""
    listed, clear = report["answers"].get("listed", 0), report["answers"].get("clear", 0)
    return listed / (listed + clear) if listed + clear else None
