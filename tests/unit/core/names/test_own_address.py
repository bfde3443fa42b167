"""Does a name hold its host's own address, in whatever writing?"""

from ipaddress import ip_address

import pytest

from bley.core.names.own_address import AddressInName, own_address_in

IPV4, IPV6 = "192.0.2.145", "2001:db8:12ff:1a00:216:3eff:fe12:3456"


@pytest.mark.parametrize(
    ("host", "text"),
    [
        pytest.param("192-0-2-145", "192-0-2-145", id="in order"),
        pytest.param("ip-192.0.2.145.x", "192.0.2.145", id="in order, with dots"),
        pytest.param("h192x0x2x145", "192x0x2x145", id="in order, with letters between"),
        pytest.param("145.2.0.192", "145.2.0.192", id="reversed"),
        pytest.param("145.red-192-0-2", "145.red-192-0-2", id="the host before its network"),
        pytest.param("d0-192-145-2", "0-192-145-2", id="in an order of its owner's own"),
        pytest.param("192-000-002-145", "192-000-002-145", id="zero-padded"),
        pytest.param("145.002.000.192", "145.002.000.192", id="zero-padded and reversed"),
        pytest.param("kd192000002145", "192000002145", id="zero-padded, run together"),
        pytest.param("kd145002000192", "145002000192", id="zero-padded, reversed, run together"),
        pytest.param("h19202145", "19202145", id="run together"),
        pytest.param("pc0000291.dip", "c0000291", id="hexadecimal"),
        pytest.param("p910200c0", "910200c0", id="hexadecimal, reversed"),
        pytest.param("n3221226129", "3221226129", id="as one number"),
    ],
)
def test_all_of_an_ipv4_address(host: str, text: str) -> None:
    assert own_address_in(host, ip_address(IPV4)) == AddressInName(text, is_whole=True)


def test_a_first_octet_without_its_zeros() -> None:
    assert own_address_in("dpc67142206007", ip_address("67.142.206.7")) == AddressInName("67142206007", is_whole=True)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        pytest.param("d0-2-145", "0-2-145", id="the last three"),
        pytest.param("2.0.192.x", "2.0.192", id="the network, reversed"),
        pytest.param("ip2-145", "2-145", id="the last two"),
        pytest.param("cm145.net2", "145.net2", id="the last two, reversed"),
        pytest.param("e002145", "002145", id="the last two, zero-padded and run together"),
        pytest.param("red192-0", "192-0", id="the first two"),
    ],
)
def test_a_part_of_an_ipv4_address(host: str, text: str) -> None:
    """Neighbouring octets, in order or reversed."""
    assert own_address_in(host, ip_address(IPV4)) == AddressInName(text, is_whole=False)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("", id="nothing"),
        pytest.param("mail", id="no number"),
        pytest.param("mx145", id="one octet"),
        pytest.param("mx0-2", id="two octets of too few digits"),
        pytest.param("x192-2", id="octets that are no neighbours"),
        pytest.param("x192-7-145", id="another number between them"),
        pytest.param("x1921-10145", id="their digits in longer numbers"),
        pytest.param("x2145", id="run together, of too few digits"),
        pytest.param("c000028f", id="another's in hexadecimal"),
        pytest.param("198-51-100-7", id="another's"),
    ],
)
def test_nothing_of_an_ipv4_address(host: str) -> None:
    assert own_address_in(host, ip_address(IPV4)) is None


@pytest.mark.parametrize(
    ("host", "text"),
    [
        pytest.param("p20010db812ff1a00.dip0", "20010db812ff", id="its prefix run together"),
        pytest.param("2001-0db8-12ff-1a00", "20010db812ff", id="its prefix in groups"),
        pytest.param("x-2001-db8-12ff-1", "2001-db8-12ff", id="in groups without zeros"),
        pytest.param("2001.db8.12ff", "2001-db8-12ff", id="with dots"),
        pytest.param("host-2163efffe123456", "3efffe123456", id="its end"),
        pytest.param("f.f.2.1.8.b.d.0.1.0.0.2.dyn", "ff218bd01002", id="nibbles, reversed, as in ip6.arpa"),
        pytest.param("6.5.4.3.2.1.e.f.f.f.e.3", "654321efffe3", id="the end's nibbles, reversed"),
    ],
)
def test_enough_of_an_ipv6_address(host: str, text: str) -> None:
    assert own_address_in(host, ip_address(IPV6)) == AddressInName(text, is_whole=True)


@pytest.mark.parametrize("host", ["2001-db8", "mx-3456", "12ff", "1.0.0.2", "db8-12ff", "0-0-0", "3e-ff-fe"])
def test_too_little_of_an_ipv6_address(host: str) -> None:
    assert own_address_in(host, ip_address(IPV6)) is None


@pytest.mark.parametrize("host", ["mx1", "x000000000001", "0-0-1", "0-0-0"])
def test_zeros_of_an_ipv6_address_are_everybodys(host: str) -> None:
    assert own_address_in(host, ip_address("2001:db8::1")) is None
