"""Conditions on the columns of stored decisions and records: the one definition of what a search matches.

A query is a list of clauses, all of which must hold; a clause is a list of conditions, one of which must hold. A
condition is a column, a test, and the test's operand. A database gets a condition that is made for the same test
(store/sql_conditions.py). It may let more rows through, but never fewer, so its rows are tested here again.

Tests normalise the value of the column: host names and domains to A-labels, mail addresses like those of triplets.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from bley.core.mail import Network, parse_network
from bley.core.names.domains import a_labels, with_a_labels

__all__ = [
    "Clause",
    "Condition",
    "MailForms",
    "fits_all",
    "is_host_in",
    "is_mail",
    "is_mail_in",
    "is_one_of",
    "named_domain",
    "named_network",
    "overlaps",
]


class Condition(NamedTuple):
    """A test of one column: a function below, or a comparison of the module `operator`."""

    column: str
    test: Callable[[Any, Any], bool]
    operand: Any


Clause = Sequence[Condition]


def fits_all(row: object, clauses: Iterable[Clause]) -> bool:
    """Return whether the row, whose columns are attributes, meets one condition of each clause."""
    for clause in clauses:  # loops, since generators would double the time of a search in Redis
        for column, test, operand in clause:
            if test(getattr(row, column), operand):
                break
        else:
            return False
    return True


def is_one_of(value: str, texts: frozenset[str]) -> bool:
    """Return whether the value is one of these case-folded texts, in any case."""
    return value.casefold() in texts


def overlaps(value: str, network: Network) -> bool:
    """Return whether the value, a client, is a network or address that overlaps the network."""
    own = named_network(value)
    return own is not None and own.version == network.version and own.overlaps(network)


def is_host_in(value: str, domain: str) -> bool:
    """Return whether the value is a host name that is this domain or below it, and no network."""
    return _is_in_domain(a_labels(value), domain) and named_network(value) is None


def is_mail_in(value: str, domain: str) -> bool:
    """Return whether the value is a mail address whose domain is this one or below it."""
    return _is_in_domain(a_labels(value.rpartition("@")[2]), domain)


class MailForms(NamedTuple):
    """Normalised mail addresses, and the normalisations that a value may need; none for a triplet's."""

    addresses: frozenset[str]
    normalisations: tuple[Callable[[str], str], ...] = (str,)


def is_mail(value: str, forms: MailForms) -> bool:
    """Return whether one of the normalisations makes the value one of the addresses."""
    return any(with_a_labels(normalise(value)) in forms.addresses for normalise in forms.normalisations)


def _is_in_domain(name: str, domain: str) -> bool:
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))


@lru_cache(maxsize=1024)
def named_network(text: str) -> Network | None:
    """Return the network, or the IP address as a network of one; None if the text is neither."""
    try:
        return parse_network(text)
    except ValueError:
        return None


def named_domain(text: str) -> str:
    """Return the domain as A-labels; `.example.com` and `@example.com` are accepted. Empty if nothing is left."""
    return a_labels(text.strip().strip("@").strip().strip("."))
