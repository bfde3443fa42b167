"""The first of several lists that has a recipient; a property test compares it with a look into each list."""

import pytest

from bley.core.exemptions.first_list import FirstList
from bley.core.exemptions.list_files import read_mail_addresses

LISTS = FirstList(
    [
        read_mail_addresses([("list", text)])
        for text in ("jane@example.org", "sub.example.org\ninfo@", "", "/^list-/\nexample.com", "example.org\nlist-7@b")
    ]
)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("Jane@Example.ORG", 0),
        ("jane@example.org.", 0),
        ("jane@example.org\t", 0),
        ("jane@sub.example.org", 1),
        ("jane@mx.sub.example.org", 1),
        ("info@example.org", 1),
        ("info", 1),
        ("list-7@b", 3),
        ("x@mx.example.com", 3),
        ("joe@example.org", 4),
        ("joe@example.net", None),
        ("example.org", None),
        ("", None),
        ("x@" + 130 * "a." + "example.org", 4),
    ],
)
def test_an_earlier_list_wins_over_a_more_exact_entry(address: str, place: int | None) -> None:
    assert LISTS.find(address) == place


def test_of_no_lists_none_is_found() -> None:
    assert FirstList([]).find("jane@example.org") is None
