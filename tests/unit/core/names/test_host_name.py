"""What can be the name of a host?"""

import pytest

from bley.core.names.host_name import LOCAL, is_host_name, is_public_name


@pytest.mark.parametrize(
    "name",
    [
        "mx.example.com",
        "mx_1.example.com",
        "1and1.example",
        "192-0-2-1.example.net",
        "xn--bcher-kva.example",
        f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}",
    ],
)
def test_host_names_of_the_public_dns(name: str) -> None:
    assert is_host_name(name)
    assert is_public_name(name)


@pytest.mark.parametrize("name", ["localhost", "server", *(f"pc.{domain}" for domain in sorted(LOCAL))])
def test_host_names_that_no_public_dns_has(name: str) -> None:
    assert is_host_name(name)
    assert not is_public_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..example",
        ".example",
        "192.0.2.1",
        "2001:db8::1",
        "[192.0.2.1]",
        "a b.example",
        "a\\032b.example",
        "a\n.example",
        "mx.example.com\n",
        "mx.bücher.example",
        f"{'a' * 64}.example",
        f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 62}",
        "*.example",
    ],
)
def test_what_no_host_is_called(name: str) -> None:
    assert not is_host_name(name)
    assert not is_public_name(name)
