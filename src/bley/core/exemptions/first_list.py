"""The first of several lists that has a mail address, found in a time that does not grow with their number."""

from collections.abc import Sequence

from bley.core.exemptions.lookup import LONGEST_NAME, MailExemptions
from bley.core.names.domains import a_labels

__all__ = ["FirstList"]


class FirstList:
    """An index of lists of recipients, by their place in the order.

    A look-up takes some 2 us; each list with regular expressions before the one found takes as long as a list file.
    """

    def __init__(self, lists: Sequence[MailExemptions]) -> None:
        self._names: dict[str, int] = {}
        self._addresses: dict[str, int] = {}
        self._none = len(lists)
        self._with_expressions = [(place, each) for place, each in enumerate(lists) if each.expressions]
        for place, each in enumerate(lists):
            for name in each.names:
                self._names.setdefault(name, place)
            for address in each.addresses:
                self._addresses.setdefault(address, place)

    def find(self, address: str) -> int | None:
        """Return the place of the first list whose `MailExemptions.find` has the mail address, or None."""
        folded = address.casefold()
        local, at, domain = folded.rpartition("@")
        keys = [domain + "@" if domain else ""]
        with_a_labels = folded
        if at:
            domain = a_labels(address.rpartition("@")[2])
            with_a_labels = f"{local}@{domain}"
            keys = [with_a_labels, local + at, at + domain]
        first = min(self._addresses.get(key, self._none) for key in keys)
        if at:
            first = min(first, self._first_name(domain))
        for place, each in self._with_expressions:
            if place >= first:
                break
            if each.find_expression(folded, with_a_labels):
                return place
        return first if first < self._none else None

    def _first_name(self, name: str) -> int:
        if len(name) > LONGEST_NAME:
            name = name[-LONGEST_NAME - 1 :].partition(".")[2]
        first = self._none
        while name and self._names:
            first = min(first, self._names.get(name, self._none))
            name = name.partition(".")[2]
        return first
