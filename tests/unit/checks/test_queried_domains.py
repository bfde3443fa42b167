"""The domains that domain lists are queried about: those that somebody has registered, each once."""

import pytest

from bley.checks.queried_domains import queried_domains
from bley.core.mail import Request


def of(sender: str = "", helo: str = "", client: str = "unknown") -> tuple[str, ...]:
    return queried_domains(Request(sender=sender, helo_name=helo, client_name=client))


def test_sender_helo_and_client_have_one_each_in_this_order() -> None:
    assert of("a@news.one.com", "mx.two.co.uk", "host-7.three.net") == ("one.com", "two.co.uk", "three.net")


def test_each_is_there_once() -> None:
    """The snowshoe sender: its own domain in all three."""
    assert of("a@offer.snow.com", "MX.Snow.com", "mx.snow.com.") == ("snow.com",)


def test_a_name_in_another_script_has_its_a_labels() -> None:
    assert of("a@mail.bücher.de", "xn--bcher-kva.de") == ("xn--bcher-kva.de",)


def test_a_domain_of_an_owner_below_a_private_suffix_is_its_own() -> None:
    assert of("a@shop.blogspot.com", "x.y.dyndns.org") == ("shop.blogspot.com", "y.dyndns.org")


def test_a_host_name_may_have_what_its_domain_may_not() -> None:
    assert of(helo="my_host.office-1.a-b.com") == ("a-b.com",)


def test_a_domain_of_many_senders_is_queried_too() -> None:
    """To leave out `mail.*` or `live.*` would open a way around the lists."""
    assert of("a@gmail.com") == ("gmail.com",)


@pytest.mark.parametrize("sender", ["", "root", "root@localhost", "a@[192.0.2.1]", "a@192.0.2.1", "a@co.uk", "a@com"])
def test_a_sender_without_a_domain_has_none(sender: str) -> None:
    """The null sender, an address literal, and a public suffix."""
    assert of(sender) == ()


@pytest.mark.parametrize(
    "name",
    ["friend", "[192.0.2.1]", "192.0.2.1", "[IPv6:2001:db8::1]", "2001:db8::1", "unknown", "", ".", "-", "a b.com"]
    + [f"host.office.{word}" for word in ("local", "lan", "internal", "localhost", "test", "invalid", "home", "corp")]
    + ["1.2.0.192.in-addr.arpa", "host.home.arpa", "x.onion", "x.alt", "a..com", f"{'a' * 64}.com"]
    + ["mx.a_b.com", "mx.-a.com", "mx.a-.com", "-.com"],
)
def test_a_helo_name_outside_the_public_dns_has_none(name: str) -> None:
    """RFC 6761, RFC 6762: such names say nothing to a list, and tell it of our network. Others have no registration."""
    assert of(helo=name) == of(client=name) == ()
