"""Which part of a name did a machine give?"""

from ipaddress import ip_address

import pytest

from bley.core.names.serial_number import serial_number_in


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param("vps12345.example.com", "vps12345", id="letters and digits"),
        pytest.param("vmi-987654.example.com", "vmi-987654", id="with a hyphen"),
        pytest.param("host.mara15874.com", "mara15874", id="in any label, the domain's too"),
        pytest.param("sv8389.example.com", "", id="four digits"),
        pytest.param("mail12345.example.com", "", id="a numbered mail server"),
        pytest.param("h12345.smtp.example.com", "", id="below a mail server's word"),
        pytest.param("h12345x.example.com", "", id="digits within a word"),
        pytest.param("static-192-0-2-1.example.com", "192-0-2-1", id="the address of a static line"),
        pytest.param("vps-0a1b2c3d.example.com", "0a1b2c3d", id="hexadecimal, a rented machine"),
        pytest.param("app-0a1b2c3d.example.com", "", id="hexadecimal, of other hosts"),
        pytest.param("vps-deadbeef.example.com", "", id="a word without a digit"),
        pytest.param("x-192-0-2-1.example.com", "", id="an access line, which has a finding of its own"),
        pytest.param("mx.example.com", "", id="a plain name"),
        pytest.param("", "", id="no name"),
    ],
)
def test_serial_number(name: str, number: str) -> None:
    assert serial_number_in(name, ip_address("192.0.2.1")) == number
