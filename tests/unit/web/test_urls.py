"""URLs of pages, whose parameters are read back unchanged."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from bley.web.urls import page_url, with_parameter


def test_what_is_empty_is_left_out() -> None:
    assert page_url("/search", {"q": "", "before": "7", "outcome": ""}) == "/search?before=7"
    assert page_url("/", {}) == page_url("/", {"period": ""}) == "/"


@pytest.mark.parametrize("value", ["a b", "a+b@example.com", "a&b=c#d", 'x"><script>', "jürgen", "100 %", "\n"])
def test_a_value_is_read_back_and_ends_no_attribute(value: str) -> None:
    address = page_url("/search", {"q": value, "before": "7"})
    assert dict(parse_qsl(urlsplit(address).query)) == {"q": value, "before": "7"}
    assert not set(address) & set("\"'<> \n")


def test_a_lone_surrogate_is_a_code() -> None:
    assert page_url("/search", {"q": "\udcff"}) == r"/search?q=%5Cudcff"


@pytest.mark.parametrize(("url", "longer"), [("/", "/?done=a%26b"), ("/search?q=x", "/search?q=x&done=a%26b")])
def test_a_parameter_is_added(url: str, longer: str) -> None:
    assert with_parameter(url, "done", "a&b") == longer
