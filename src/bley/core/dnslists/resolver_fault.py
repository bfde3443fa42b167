"""A resolver that alters answers, so that several DNS lists look ill at once.

It rewrites NXDOMAIN: names that do not exist have an address, such as that of a search page or of a captive portal.
Or it filters DNS lists: it has one address for all their names, or none, or fails. The lists are not to blame.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address
from typing import NamedTuple

from bley.core.address_scope import local_scope
from bley.core.dnslists.health import UNREACHABLE, Diagnosis, ListFault
from bley.core.dnslists.lists import Answer, DnsList
from bley.core.names.domains import registered_domain

__all__ = ["RESOLVER_REMEDY", "ResolverFault", "find_resolver_fault", "rewriting", "rewritten"]

RESOLVER_REMEDY = "use a resolver of your own, such as unbound (setting resolver)"

_FILTERED = 2
"""Lists of different operators with the same fault, from which the resolver is at fault. One list dies now and then."""

_NAMED = 5

_NOT_ALLOWED = IPv4Address("127.0.0.1")
"""A resolver that filters may answer this. Other refusals, such as 127.255.255.254, come from the lists."""


class ResolverFault(NamedTuple):
    """The fault of a resolver, and the lists that it makes look ill, by key."""

    keys: frozenset[str]
    what: str
    names: str

    @property
    def diagnosis(self) -> Diagnosis:
        """The fault in place of that of each list."""
        return Diagnosis(ListFault.REWRITTEN, self.what, RESOLVER_REMEDY)

    def __str__(self) -> str:
        count = "count" if len(self.keys) > 1 else "counts"
        return f"{self.what}; until that ends, {self.names} {count} 0; {RESOLVER_REMEDY}: see docs/lists.md"


def rewriting(server: str, invented: Collection[str]) -> str:
    """Describe a resolver that answers these addresses for names that do not exist."""
    return f"the resolver {server} answers {' and '.join(sorted(invented))} for names that do not exist"


def rewritten(diagnosis: Diagnosis, unlisted: Iterable[Answer], server: str, invented: Collection[str]) -> Diagnosis:
    """Return the diagnosis of a list whose resolver has these addresses for names that do not exist.

    `unlisted` are the answers about addresses that the list has not, as far as is known.
    """
    is_invented = any(str(code) in invented for answer in unlisted for code in answer.codes)
    if is_invented or (invented and diagnosis.fault is ListFault.PARKED):  # it may answer each name another address
        return Diagnosis(ListFault.REWRITTEN, rewriting(server, invented), RESOLVER_REMEDY)
    return diagnosis


def find_resolver_fault(ill: Sequence[tuple[DnsList, Diagnosis]], server: str) -> ResolverFault | None:
    """Return the fault of the resolver, if these ill lists show one."""
    if same := [each for each in ill if each[1].fault is ListFault.REWRITTEN]:
        return _fault(same, same[0][1].what)
    by_symptom = defaultdict[str, list[tuple[DnsList, Diagnosis]]](list)
    for each in ill:
        if symptom := _symptom(*each):
            by_symptom[symptom].append(each)
    for symptom, same in by_symptom.items():
        if len({_operator(dns_list) for dns_list, _ in same}) >= _FILTERED:
            return _fault(same, f"the resolver {server} {symptom}")
    return None


def _symptom(dns_list: DnsList, diagnosis: Diagnosis) -> str:
    """Describe what a resolver would do to this list; empty if the list alone can be at fault.

    Lists die, and dead lists have the same symptoms. So the resolver is suspected only where the list is known to be
    alive, or where the answer is an address at which no domain is parked.
    """
    match diagnosis.fault:
        case ListFault.PARKED | ListFault.REFUSED if diagnosis.codes:
            code = min(diagnosis.codes)
            is_of_list = diagnosis.fault is ListFault.REFUSED and code != _NOT_ALLOWED
            if is_of_list or not (local_scope(code) or _is_known_alive(dns_list)):
                return ""
            return f"filters DNS lists: it answers {code} for them"
        case ListFault.EMPTIED if _is_known_alive(dns_list):
            return "filters DNS lists: it does not find their test entries"
        case fault if fault in UNREACHABLE and _is_known_alive(dns_list):
            return "filters DNS lists, or cannot reach them: it answers other names"
    return ""


def _operator(dns_list: DnsList) -> str:
    return dns_list.facts.operator or registered_domain(dns_list.zone)


def _is_known_alive(dns_list: DnsList) -> bool:
    return dns_list.facts.status == "alive" and bool(dns_list.facts.title)


def _fault(same: Sequence[tuple[DnsList, Diagnosis]], what: str) -> ResolverFault:
    names = [dns_list.name for dns_list, _ in same]
    more = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return ResolverFault(frozenset(dns_list.key for dns_list, _ in same), what, shown)
