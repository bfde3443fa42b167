"""Addresses of pages, which lead to what they were made of."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from bley.web.urls import link


def test_what_is_empty_is_left_out() -> None:
    assert link("/search", {"q": "", "before": "7", "outcome": ""}) == "/search?before=7"
    assert link("/", {}) == link("/", {"period": ""}) == "/"


@pytest.mark.parametrize("value", ["a b", "a+b@example.com", "a&b=c#d", 'x"><script>', "jürgen", "100 %", "\n"])
def test_a_value_is_read_back_and_ends_no_attribute(value: str) -> None:
    address = link("/search", {"q": value, "before": "7"})
    assert dict(parse_qsl(urlsplit(address).query)) == {"q": value, "before": "7"}
    assert not set(address) & set("\"'<> \n")


def test_a_lone_surrogate_is_a_code() -> None:
    assert link("/search", {"q": "\udcff"}) == r"/search?q=%5Cudcff"
